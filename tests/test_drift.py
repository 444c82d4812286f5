"""`converge migrations check`: all of a schema is compared, whatever `generate` writes DDL for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import NewDatabase
from revisions import folder, revision, run
from support import Ran, converge, postgres

from converge.revisions.folder import Folder
from converge.sandbox import Server

SCHEMA = """
CREATE TABLE orders (id bigint, d date, n int, CONSTRAINT n_positive CHECK (n > 0), PRIMARY KEY (id, d))
    PARTITION BY RANGE (d);
CREATE TABLE orders_23 PARTITION OF orders FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE orders_24 PARTITION OF orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX orders_n ON orders (n);
CREATE TABLE line (id int PRIMARY KEY, order_id bigint, d date,
    CONSTRAINT of_order FOREIGN KEY (order_id, d) REFERENCES orders);
CREATE TABLE log (d date PRIMARY KEY) PARTITION BY RANGE (d);
CREATE TABLE log_23 PARTITION OF log FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE entry (d date, CONSTRAINT of_log FOREIGN KEY (d) REFERENCES log);
CREATE VIEW few AS SELECT id FROM orders;
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER noting BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION noted();
CREATE TRIGGER noting BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION noted();
CREATE TABLE heir (more int) INHERITS (line);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE away (id int OPTIONS (name 'a')) SERVER far OPTIONS (name 'b');
CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE FUNCTION equal(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR === (FUNCTION = same, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR CLASS by_hash FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int);
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE CONVERSION latin FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TYPE pair AS (a int, b int);
CREATE FUNCTION first(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.a';
CREATE FUNCTION second(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1.b';
CREATE CAST (pair AS int) WITH FUNCTION first(pair);
CREATE TABLE parent (id int PRIMARY KEY, CONSTRAINT positive CHECK (id > 0));
CREATE TABLE child (id int PRIMARY KEY, CONSTRAINT of_parent FOREIGN KEY (id) REFERENCES parent);
CREATE INDEX by_id ON child (id);
"""
OTHERWISE = {
    "ALTER TABLE orders DROP CONSTRAINT n_positive": {
        f"constraint n_positive on public.orders{part}" for part in ("", "_23", "_24")
    },
    "DROP TRIGGER noting ON orders": {
        f"trigger noting on public.orders{part}" for part in ("", "_23", "_24")
    },
    "ALTER TABLE line DROP CONSTRAINT of_order": {"constraint of_order on public.line"},
    "ALTER TABLE orders DETACH PARTITION orders_23": {"table public.orders_23"},
    "DROP INDEX orders_n": {"index public.orders_n", "index public.orders_24_n_idx"},
    "DROP VIEW few": {"view public.few"},
    "ALTER TABLE heir NO INHERIT line": {"table public.heir"},
    "ALTER FOREIGN TABLE away OPTIONS (SET name 'c')": {"table public.away"},
    "ALTER FOREIGN TABLE away ALTER id OPTIONS (SET name 'c')": {"column public.away.id"},
    "DROP OPERATOR === (int, int)": set(),
    "CREATE OPERATOR === (FUNCTION = equal, LEFTARG = int, RIGHTARG = int)": {
        "operator public.===(integer,integer)"
    },
    "ALTER OPERATOR FAMILY by_hash USING hash ADD OPERATOR 1 = (bigint, bigint)": {
        "operator family public.by_hash using hash"
    },
    "DROP OPERATOR CLASS by_hash USING hash": {"operator class public.by_hash using hash"},
    "ALTER TEXT SEARCH DICTIONARY plain (STOPWORDS)": {"text search dictionary public.plain"},
    "ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR url": {"text search configuration public.words"},
    "COMMENT ON CONVERSION latin IS 'its comment'": {"conversion public.latin"},
    "DROP CAST (pair AS int)": set(),
    "CREATE CAST (pair AS int) WITH FUNCTION second(pair)": {"cast from public.pair to integer"},
    "ALTER TABLE log_23 DISABLE TRIGGER USER": {"trigger noting on public.log_23"},
    "ALTER TABLE log_23 DISABLE TRIGGER ALL": {"constraint of_log on public.entry"},
    # What ENABLE TRIGGER USER does not switch on again.
    "ALTER TABLE child DISABLE TRIGGER ALL; ALTER TABLE child ENABLE TRIGGER USER": {
        "constraint of_parent on public.child"
    },
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_id'::regclass": {"index public.by_id"},
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'parent_pkey'::regclass": {
        "invalid index public.parent_pkey"
    },
}


class Scene(NamedTuple):
    url: str
    folder: Folder

    def call(self, *arguments: str) -> Ran:
        options = ("--target", self.url, "--alembic", str(self.folder.location), "--json")
        return converge("migrations", *arguments, *options)

    def check(self) -> Ran:
        return self.call("check")


@pytest.fixture(params=["postgres_14", "postgres_175"])
def scene(request: pytest.FixtureRequest, new_postgres_database: NewDatabase, tmp_path: Path) -> Scene:
    url = new_postgres_database(request.getfixturevalue(request.param))
    made = Scene(url, folder(tmp_path / "migrations", SCHEMA.strip()))
    run(made.folder, made.url)
    return made


def test_what_no_ddl_is_written_for_is_compared(scene: Scene) -> None:
    current = scene.check()
    assert (current.code, current.json["verdict"]) == (0, "current"), current.out + current.err
    for statement in OTHERWISE:
        postgres(scene.url, statement)
    differs = scene.check()
    assert (differs.code, differs.json["verdict"]) == (1, "differs"), differs.out + differs.err
    words = {one["object"]: one["words"] for one in differs.json["differs"]}
    for statement, objects in OTHERWISE.items():
        assert objects <= words.keys(), statement
    more = words.keys() - {one for objects in OTHERWISE.values() for one in objects}
    assert all("orders_23" in one for one in more), more
    assert words["constraint of_parent on public.child"].startswith("has changed: not enforced by was null")


def test_what_a_baseline_leaves_out_is_named_and_differs(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """Until somebody writes it into the baseline."""
    scene = Scene(new_postgres_database(postgres_175), Folder.make(str(tmp_path / "migrations"), "public"))
    postgres(scene.url, SCHEMA)
    made = scene.call("generate", "-n", "baseline")
    assert made.code == 0, made.err
    left_out = set(made.json["left_out"])
    assert {
        "partitioned table public.orders",
        "partition public.orders_23",
        "constraint of_order on public.line (needs what is left out)",
        "view public.few (needs what is left out)",
        "inheriting table public.heir",
    } <= left_out
    assert not any("n_positive" in one or "noting" in one for one in left_out)
    assert (scene.call("run").json["stamped"], scene.check().code) == ([made.json["revision"]["id"]], 1)


IN_APP = "CREATE TABLE app.film (id int, title text); CREATE INDEX by_title ON app.film (title)"


def test_the_schema_is_the_one_that_the_project_says(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """The command line's, the entry's, the baseline's, or that of the version table."""
    made = Scene(new_postgres_database(postgres_175), folder(tmp_path / "m", IN_APP, schema="app"))
    run(made.folder, made.url)
    postgres(made.url, "DROP INDEX app.by_title")
    settings = tmp_path / "converge.toml"
    entry = f'[[database]]\nname = "a"\ntarget = "{made.url}"\nschema = '
    settings.write_text(entry + '"app"\n')
    options = ("--alembic", str(made.folder.location))
    of_entry = ("--config", str(settings), "--database", "a")
    for found in (
        made.check(),
        made.call("check", "--schema", "app"),
        converge("migrations", "check", *options, *of_entry, "--json"),
    ):
        assert (found.code, found.json["schema"]) == (1, "app"), found.out + found.err
        assert [one["object"] for one in found.json["differs"]] == ["index app.by_title"]
    postgres(made.url, "CREATE INDEX by_title ON app.film (title)")
    settings.write_text(entry + '"elsewhere"\n')
    current = converge("migrations", "check", *options, *of_entry, "--schema", "app")
    assert (current.code, "current: schema app is" in current.out) == (0, True), current.out + current.err
    for empty in (
        converge("migrations", "check", *options, *of_entry),
        made.call("check", "--schema", "public"),
    ):
        assert (empty.code, "error[A050]" in empty.err) == (2, True), empty.err
        assert "--schema app" in empty.err

    revision(tmp_path / "n", "r1", f"CREATE SCHEMA app; {IN_APP}", more='converge = {"schema": "app"}')
    other = Scene(new_postgres_database(postgres_175), folder(tmp_path / "n"))
    run(other.folder, other.url)
    postgres(other.url, "DROP INDEX app.by_title")
    of_baseline = other.check()
    assert (of_baseline.code, of_baseline.json["schema"]) == (1, "app"), of_baseline.err


OF_THE_SERVER = """
CREATE ROLE drift_other
ALTER ROLE drift_app CONNECTION LIMIT 10
ALTER ROLE drift_app RENAME TO drift_other
ALTER ROLE drift_app SET work_mem = '1MB'
GRANT pg_monitor TO drift_app
REVOKE pg_monitor FROM drift_app
DROP ROLE drift_app
COMMENT ON ROLE drift_app IS 'x'
DROP OWNED BY drift_app
ALTER SYSTEM SET work_mem = '1MB'
ALTER DATABASE postgres SET work_mem = '1MB'
ALTER DATABASE postgres CONNECTION LIMIT 7
GRANT CONNECT ON DATABASE postgres TO drift_app
COMMENT ON DATABASE postgres IS 'x'
CREATE TABLESPACE t LOCATION '/nowhere'
CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p
SELECT 1; ALTER ROLE drift_app PASSWORD 'secret'
""".strip().splitlines()


def test_what_would_change_the_whole_server_is_not_run_in_a_temporary_database(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """It is on the target's own server: a revision of long ago would set back what was changed since."""
    made = Scene(new_postgres_database(postgres_175), folder(tmp_path / "m", "CREATE TABLE film (id int)"))
    run(made.folder, made.url)
    postgres(made.url, "CREATE ROLE drift_app CONNECTION LIMIT 200")
    before = "SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE 'drift%' ORDER BY 1"
    here = postgres(made.url, before)
    try:
        for statement in OF_THE_SERVER:
            # A condition, so that it is no longer read without being run.
            revision(tmp_path / "m", "r2", f"if op.get_bind():\n    op.execute({statement!r})", down="r1")
            postgres(made.url, "UPDATE alembic_version SET version_num = 'r1'")
            tried = made.call("validate", "--artifacts", str(tmp_path / "a"))
            postgres(made.url, "UPDATE alembic_version SET version_num = 'r2'")
            for found in (tried, made.check()):
                assert (found.code, "error[A059]" in found.err) == (3, True), statement + found.err
                assert "upgrade r2: " in found.err and "cret" not in found.err
        harmless = (
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'drift_app')"
            " THEN CREATE ROLE drift_app; END IF; END $$; GRANT SELECT ON film TO drift_app;"
            "COMMENT ON TABLE film IS '100 %'; ALTER TABLE film OWNER TO postgres"
        )
        revision(tmp_path / "m", "r2", harmless, down="r1")
        postgres(made.url, "COMMENT ON TABLE film IS '100 %'")
        assert made.check().code == 0, made.check().err
        assert postgres(made.url, before) == here
    finally:
        postgres(made.url, "DROP OWNED BY drift_app; DROP ROLE drift_app")
