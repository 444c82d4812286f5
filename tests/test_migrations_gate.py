"""The gate: what a revision's text does to rows, and that nothing runs until it was validated or named."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from revisions import folder, revert, revision, run, states
from sqlalchemy import DDL, text
from sqlalchemy.dialects.postgresql import dialect
from support import postgres

from converge.errors import BlockedError
from converge.model.endpoint import parse
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.revisions.gate.effect import Arms, Empties, Fires, Loses, Renamed, Unjudged
from converge.revisions.gate.effects import effects
from converge.revisions.gate.judge import judged
from converge.revisions.gate.source import hides
from converge.revisions.gate.widening import widens
from converge.revisions.gate.words import statements
from converge.revisions.validated import made, record
from converge.revisions.way import ahead
from converge.revisions.write import executed
from converge.sandbox import Server

HARMLESS = """
CREATE TABLE t (a int NOT NULL, b text DEFAULT 'x;y')
CREATE UNIQUE INDEX CONCURRENTLY i ON t (lower(a))
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; DELETE FROM t; END
CREATE FUNCTION f() RETURNS void AS $$ BEGIN DELETE FROM t; END $$ LANGUAGE plpgsql
CREATE TYPE e AS ENUM ('drop', 'table')
ALTER TABLE t ADD COLUMN c int, ADD d int NOT NULL DEFAULT 0, ADD CONSTRAINT p PRIMARY KEY (a)
ALTER TABLE t ADD CHECK (a > 0)
ALTER TABLE ONLY t ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY NOT NULL
ALTER TABLE t DROP CONSTRAINT p CASCADE, ALTER a DROP NOT NULL
ALTER TABLE t ALTER COLUMN a SET DEFAULT 1, VALIDATE CONSTRAINT q
ALTER TABLE t RENAME COLUMN a TO b
ALTER TYPE e ADD VALUE 'x'
ALTER INDEX i RENAME TO j
DROP INDEX IF EXISTS i
DROP MATERIALIZED VIEW v CASCADE
DROP FUNCTION f(integer, text)
DROP SCHEMA s
CREATE FUNCTION own() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1'
CREATE TRIGGER w BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION own()
CREATE VIEW v AS SELECT own()
CREATE INDEX i ON t (own(a))
ALTER FUNCTION own() RENAME TO others
DROP FUNCTION own(int)
ALTER TABLE t ENABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY
ALTER TABLE t ALTER a DROP EXPRESSION
ALTER TYPE e RENAME TO f
COMMENT ON TABLE t IS 'DROP TABLE t'
INSERT INTO t (a) SELECT max(b) FROM u ON CONFLICT DO NOTHING
SET LOCAL lock_timeout = '1s'
SELECT setval('s', (SELECT max(id) FROM t))
SELECT pg_catalog.setval('s', 1)
GRANT DELETE ON t TO r
/* DROP /* nested */ TABLE t */ CREATE VIEW v AS SELECT 1 -- ; DROP TABLE t
""".strip().splitlines()

LOSING = {
    'DROP TABLE IF EXISTS "T", s.u': [("T",), ("s", "u")],
    "DROP SEQUENCE s": [("s",)],
    "ALTER TABLE IF EXISTS ONLY s.t DROP COLUMN IF EXISTS a": [("s", "t")],
    "ALTER TABLE t DROP a, ADD COLUMN b int": [("t",)],
    "alter table t alter a set not null": [("t",)],
    "ALTER TABLE t ADD COLUMN a int NOT NULL": [("t",)],
    "ALTER TABLE t ALTER COLUMN a SET DATA TYPE smallint": [("t",)],
    "UPDATE ONLY t SET a = 1": [("t",)],
    "DELETE FROM t USING u WHERE true": [("t",)],
    "TRUNCATE TABLE a, ONLY b RESTART IDENTITY": [("a",), ("b",)],
    'DROP TABLE a, s.U&"x", b': [("a",), ()],
    "TRUNCATE ÄRGER": [("Ärger",)],
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE": [("t",)],
    "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2": [("t",)],
    "ALTER TABLE p DETACH PARTITION s.t CONCURRENTLY": [("s", "t")],
    "ALTER TABLE p ATTACH PARTITION t DEFAULT": [("t",)],
    "ALTER TABLE t NO INHERIT p": [("t",)],
    "ALTER TABLE t INHERIT p": [("t",)],
    "ALTER TABLE t ALTER COLUMN a SET EXPRESSION AS (b + 1)": [("t",)],
}

UNJUDGED = """
DO $$ BEGIN DELETE FROM t; END $$
CALL p()
SELECT f()
SELECT count(*) FROM t
SELECT setval('s', f())
WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d
INSERT INTO u WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d
INSERT INTO u SELECT own(a) FROM t
CREATE TABLE u AS SELECT own(1)
CREATE UNLOGGED TABLE u (a int DEFAULT s.own(), CHECK (a > 0))
CREATE DOMAIN d AS int DEFAULT own()
ALTER TABLE t ADD COLUMN z int DEFAULT own()
ALTER TABLE t ADD CHECK ("own"() = 1)
ALTER TABLE t ALTER a SET DEFAULT own()
ALTER DOMAIN d ADD CHECK (own(VALUE) = 1)
UPDATE t SET a = own()
DELETE FROM t WHERE own() = 1
SELECT setval('s', 1), own()
ALTER TYPE e RENAME VALUE 'x' TO 'y'
COMMIT
BEGIN
END
DROP TYPE e CASCADE
DROP EXTENSION x
DROP OWNED BY r
DROP DATABASE d
ALTER TABLE t SET UNLOGGED
ALTER TABLE t FROBNICATE
ALTER TYPE c DROP ATTRIBUTE a
ALTER SCHEMA s RENAME TO t
SET search_path TO elsewhere
SET session_replication_role = replica
COPY t FROM '/x'
ALTER TABLE U&"x" DROP COLUMN a
ALTER TABLE t RENAME TO U&"x"
DROP SCHEMA U&"x" CASCADE
EXPLAIN ANALYZE DELETE FROM t
ROLLBACK
""".strip().splitlines()


def _effects(sql: str) -> list[object]:
    (one,) = statements(sql)
    return list(effects(one, frozenset({"own"})))


@pytest.mark.parametrize("sql", HARMLESS)
def test_harmless(sql: str) -> None:
    assert [one for one in _effects(sql) if not isinstance(one, Renamed | Fires | Arms)] == []


@pytest.mark.parametrize("sql", LOSING)
def test_losing(sql: str) -> None:
    found = _effects(sql)
    assert [one.relation for one in found if isinstance(one, Loses)] == LOSING[sql], found


@pytest.mark.parametrize("sql", UNJUDGED)
def test_unjudged(sql: str) -> None:
    assert any(isinstance(one, Unjudged) for one in _effects(sql))


def test_names_and_cascades() -> None:
    assert _effects("ALTER TABLE s.t RENAME TO u") == [Renamed(("s", "t"), name="u")]
    assert _effects("ALTER INDEX t RENAME TO u") == [Renamed(("t",), name="u")]
    assert _effects("ALTER TABLE t SET SCHEMA s") == [Renamed(("t",), schema="s")]
    assert _effects('DROP SCHEMA IF EXISTS "S" CASCADE') == [Empties("S")]
    assert [type(one) for one in _effects("DROP TABLE t CASCADE")] == [Loses, Unjudged]


def test_what_hangs_on_a_relation() -> None:
    assert _effects("INSERT INTO s.t SELECT 1") == [Fires(("s", "t"), ("insert",))]
    assert Fires(("t",), ("insert", "update", "delete")) in _effects("MERGE INTO t USING u ON true")
    assert Fires(("b",), ("truncate",)) in _effects("TRUNCATE a, b")
    assert _effects("CREATE OR REPLACE TEMP VIEW v AS SELECT 1") == [Arms(("v",))]
    for arming in (
        "CREATE CONSTRAINT TRIGGER w AFTER INSERT ON t EXECUTE FUNCTION f()",
        "CREATE OR REPLACE RULE r AS ON INSERT TO t DO ALSO DELETE FROM u",
        "ALTER TABLE t ENABLE ALWAYS TRIGGER w",
        "CREATE SCHEMA s CREATE VIEW v AS SELECT 1",
    ):
        assert _effects(arming) == [Arms()], arming


def test_statements_end_at_their_semicolons() -> None:
    parts = [
        "SELECT ';', $a$;$$;$a$, E'\\';'",
        'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT ";")',
        "END",
    ]
    assert [one.text for one in statements(";".join(parts) + " ;; ")] == parts


WIDER = """
smallint > integer | integer > bigint | bigint > numeric | smallint > numeric(5,0) | real > double precision
text > character varying | character varying(5) > character varying(9) | character varying(5) > text
numeric(5,2) > numeric(6,2) | numeric(5,2) > numeric | integer[] > bigint[] | text > text
timestamp(3) without time zone > timestamp without time zone
"""
NARROWER = """
integer > smallint | bigint > integer | bigint > numeric(18,0) | numeric > integer | double precision > real
text > character varying(9) | character varying(9) > character varying(5) | character(5) > text
numeric(5,2) > numeric(5,3) | numeric > numeric(9,2) | text > integer | integer[] > bigint | text > uuid
timestamp without time zone > timestamp with time zone
timestamp without time zone > timestamp(3) without time zone
"""


def _pairs(lines: str) -> list[list[str]]:
    return [pair.strip().split(" > ") for line in lines.strip().splitlines() for pair in line.split("|")]


@pytest.mark.parametrize(("old", "new"), _pairs(WIDER))
def test_wider(old: str, new: str) -> None:
    assert widens(old, new)


@pytest.mark.parametrize(("old", "new"), _pairs(NARROWER))
def test_narrower(old: str, new: str) -> None:
    assert not widens(old, new)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_a_statement_is_executed_as_it_was_given(sql: str) -> None:
    _same(sql)


@given(st.text("ab:\\\"'\n$1 ", min_size=1))
@example("\\:$:")
@example(":a$")
def test_a_statement_with_colons_and_quotes(sql: str) -> None:
    _same(sql)


def _same(sql: str) -> None:
    call = ast.parse(executed(sql), mode="eval").body
    assert isinstance(call, ast.Call)
    (given,) = call.args
    how = text if isinstance(given, ast.Constant) else DDL
    read = ast.literal_eval(given if isinstance(given, ast.Constant) else ast.unparse(given)[4:-1])
    made = dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    assert str(how(read).compile(dialect=made)) == sql


def test_a_text_that_hides_what_it_does() -> None:
    assert hides("from alembic import op\nimport sqlalchemy as sa\nop.add_column('t', sa.Column('a'))") == ""
    for hiding in (
        "import os", "from alembic import op, context", "from .other import x", "op.get_bind()", "open('x')",
        "op.get_context().as_sql", "eval('1')", "def (",
    ):  # fmt: skip
        assert hides(hiding), hiding


@pytest.fixture
def url(postgres_175: Server, new_postgres_database: object) -> str:
    made = new_postgres_database(postgres_175)  # type: ignore[operator]
    postgres(made, "CREATE TABLE film (id int, title varchar(9), length smallint)")
    postgres(made, "CREATE TABLE empty (id int, name text)")
    postgres(made, "INSERT INTO film VALUES (1, 'a', 1), (2, 'b', 2)")
    return str(made)


@pytest.mark.parametrize(
    "code",
    [
        "DROP TABLE film",
        "op.drop_column('film', 'length')",
        "op.alter_column('film', 'title', nullable=False)",
        "op.alter_column('film', 'title', type_=sa.String(3))",
        "ALTER TABLE film ALTER length TYPE integer USING length * 2",
        "UPDATE film SET length = 3",
        "ALTER TABLE film RENAME TO movie; ALTER TABLE movie SET SCHEMA pg_temp; DROP TABLE pg_temp.movie",
        "DROP SCHEMA public CASCADE",
        "DO $$ BEGIN END $$",
        "op.get_bind().execute(sa.text('SELECT 1'))",
        "op.execute(undefined)",
        "op.execute('COMMIT')",
        "CREATE VIEW seen AS SELECT * FROM film; ALTER VIEW seen RENAME TO v; DELETE FROM v",
        "CREATE RULE r AS ON INSERT TO empty DO ALSO DELETE FROM film; INSERT INTO empty VALUES (1)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM film RETURNING 1';"
        " ALTER TABLE film ADD COLUMN z int DEFAULT f()",
    ],
)
def test_refused_with_rows(code: str, url: str, tmp_path: Path) -> None:
    """And nothing of the list is run: neither what comes before nor the version table."""
    revisions = folder(tmp_path, "CREATE TABLE before (id int)", code)
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert (caught.value.code, caught.value.exit_code) == ("A009", 3)
    assert caught.value.message.startswith("r2 may lose rows")
    assert "2 rows" in "".join(caught.value.details)
    assert "--accept-data-loss r2" in str(caught.value.hint)
    assert postgres(url, "SELECT to_regclass('before'), to_regclass('alembic_version')") == [(None, None)]
    assert postgres(url, "SELECT count(*) FROM film") == [(2,)]


@pytest.mark.parametrize(
    "code",
    [
        "DROP TABLE empty",
        "op.alter_column('empty', 'name', nullable=False)",
        "op.alter_column('film', 'title', type_=sa.String(20))",
        "op.alter_column('film', 'length', type_=sa.BigInteger())",
        "ALTER TABLE film ALTER COLUMN length TYPE int USING length::int",
        "op.bulk_insert(sa.table('film', sa.column('id', sa.Integer)), [{'id': 3}])",
        "CREATE TABLE made (id int); INSERT INTO made VALUES (1); UPDATE made SET id = 2",
        "with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE INDEX CONCURRENTLY i ON film (id)')",
        "op.create_table('x', sa.Column('id', sa.Integer, primary_key=True), sa.Column('at', sa.DateTime,"
        " server_default=sa.func.now()))",
    ],
)
def test_passes_with_rows(code: str, url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, code)
    assert run(revisions, url).ran == ("r1",)


HANGING = """
CREATE FUNCTION wipe() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM film; RETURN NULL; END';
CREATE FUNCTION delord() RETURNS int LANGUAGE sql AS 'DELETE FROM film RETURNING 1';
CREATE FUNCTION fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE logged (id int PRIMARY KEY, parent int REFERENCES logged);
CREATE TRIGGER t AFTER INSERT OR DELETE ON logged EXECUTE FUNCTION wipe();
CREATE TABLE ruled (id int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM film;
CREATE TABLE filling (id int, n int DEFAULT delord());
CREATE TABLE checked (id int CHECK (fine(id)));
CREATE TABLE above (id int);
CREATE TABLE below () INHERITS (above);
CREATE TRIGGER t AFTER INSERT ON below FOR EACH ROW EXECUTE FUNCTION wipe();
CREATE VIEW shown AS SELECT * FROM empty;
CREATE TABLE parted (id int) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parted DEFAULT;
INSERT INTO parted VALUES (1);
CREATE TABLE base (id int);
ALTER TABLE film INHERIT base;
"""


def test_what_hangs_on_tables_in_the_database(url: str, tmp_path: Path) -> None:
    postgres(url, HANGING)
    refused = (
        "INSERT INTO logged VALUES (1)", "DELETE FROM logged", "INSERT INTO ruled VALUES (1)",
        "INSERT INTO filling (id) VALUES (1)", "INSERT INTO checked VALUES (1)",
        "INSERT INTO above VALUES (1)", "INSERT INTO shown VALUES (1)",
        "ALTER TABLE film ADD COLUMN z int DEFAULT delord()", "ALTER TYPE mood RENAME VALUE 'good' TO 'bad'",
        "ALTER TABLE parted DETACH PARTITION part", "ALTER TABLE film NO INHERIT base",
    )  # fmt: skip
    passing = (
        "UPDATE logged SET id = 2", "UPDATE ruled SET id = 2", "TRUNCATE logged",
        "ALTER TABLE logged DISABLE TRIGGER t", "INSERT INTO empty VALUES (3)", "INSERT INTO film VALUES (3)",
    )  # fmt: skip
    revisions = folder(tmp_path, *refused, *passing)
    at = applied(revisions, parse(url))
    found = judged(revisions, parse(url), ahead(revisions, at, "head"), "up", at).dangers
    assert list(dict.fromkeys(one.revision for one in found)) == [f"r{n + 1}" for n in range(len(refused))]


@pytest.mark.parametrize("renamed", [True, False])
def test_rows_that_come_after_the_gate_has_looked(url: str, tmp_path: Path, renamed: bool) -> None:
    """An INSERT that nobody has committed yet: DROP TABLE would wait for it, and take its row."""
    postgres(url, 'CREATE TABLE "a%b" (id int)')
    first, name = ('ALTER TABLE "a%b" RENAME TO "c%" ', "c%") if renamed else ("CREATE TABLE x ()", "a%b")
    revisions = folder(tmp_path, first, f'CREATE TABLE before (); DROP TABLE "{name}" ')
    with psycopg.connect(url) as writer:
        writer.execute('INSERT INTO "a%b" VALUES (1)')
        # Committed when a revision waits for it, and the gate has passed both.
        with ThreadPoolExecutor(1) as pool:
            ran = pool.submit(run, revisions, url)
            for _ in range(200):
                if ran.done() or postgres(url, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                    break
                sleep(0.05)
            writer.commit()
            with pytest.raises(BlockedError) as caught:
                ran.result()
    assert (caught.value.code, caught.value.exit_code) == ("A009", 3)
    assert caught.value.message.startswith(f"upgrade r2: public.{name} had no rows")
    assert postgres(url, f'SELECT id FROM "{name}"') == [(1,)]
    assert postgres(url, "SELECT to_regclass('before')") == [(None,)]
    assert states(revisions, url) == {"r1": "applied", "r2": "pending"}
    assert run(revisions, url, "head", "r2").ran == ("r2",)


def test_rows_that_the_revisions_put_in_themselves(url: str, tmp_path: Path) -> None:
    revisions = folder(
        tmp_path, "INSERT INTO empty VALUES (1)", "UPDATE empty SET id = 2", "DROP TABLE empty"
    )
    assert run(revisions, url).ran == ("r1", "r2", "r3")


def test_a_table_that_an_earlier_revision_renames(url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, "op.rename_table('film', 'movie')", "DROP TABLE movie")
    with pytest.raises(BlockedError) as caught:
        run(revisions, url)
    assert "public.film has 2 rows" in caught.value.details[0]


def test_unjudged_on_a_database_without_rows(url: str, tmp_path: Path) -> None:
    postgres(url, "TRUNCATE film")
    revisions = folder(tmp_path, "DO $$ BEGIN END $$", "op.get_bind().scalar(sa.text('SELECT 1'))")
    assert run(revisions, url).ran == ("r1", "r2")


def test_validated_or_accepted(url: str, tmp_path: Path) -> None:
    """For exactly this text, in this direction; a changed one is refused again."""
    revisions = folder(tmp_path, "DELETE FROM film WHERE id = 1")
    path = revision(tmp_path, "r1", "DELETE FROM film WHERE id = 1", "DELETE FROM film")
    revisions = Folder.open(str(tmp_path))
    record(revisions, made(revisions.revision("r1"), ["up"], {"public.film": 2}, "postgresql://h/d", "17.5"))
    path.write_text(path.read_text() + "# another text\n")
    with pytest.raises(BlockedError):
        run(revisions, url)
    path.write_text(path.read_text().removesuffix("# another text\n"))
    assert run(revisions, url).ran == ("r1",)
    assert postgres(url, "SELECT id FROM film") == [(2,)]
    with pytest.raises(BlockedError, match="r1 may lose rows"):
        revert(revisions, url)
    assert states(revisions, url) == {"r1": "applied"}
    assert revert(revisions, url, "-1", "r1").ran == ("r1",)
    assert postgres(url, "SELECT count(*) FROM film") == [(0,)]


def test_only_the_accepted_one_passes(url: str, tmp_path: Path) -> None:
    revisions = folder(tmp_path, "DELETE FROM film", "DROP TABLE film")
    with pytest.raises(BlockedError) as caught:
        run(revisions, url, "head", "r1")
    assert caught.value.message.startswith("r2 may lose rows")
    assert run(revisions, url, "head", "r1", "r2").ran == ("r1", "r2")


def test_rows_that_row_security_hides_are_no_reason_to_pass(url: str, tmp_path: Path) -> None:
    postgres(url, "CREATE ROLE gate_keeper LOGIN")
    try:
        postgres(url, "ALTER TABLE film OWNER TO gate_keeper; GRANT CREATE ON SCHEMA public TO gate_keeper")
        postgres(url, "ALTER TABLE film ENABLE ROW LEVEL SECURITY; ALTER TABLE film FORCE ROW LEVEL SECURITY")
        revisions = folder(tmp_path, "DROP TABLE film")
        with pytest.raises(Exception, match="row-level security"):
            run(revisions, url.replace("postgres@", "gate_keeper@"))
    finally:
        postgres(url, "DROP OWNED BY gate_keeper")
        postgres(url, "DROP ROLE gate_keeper")
