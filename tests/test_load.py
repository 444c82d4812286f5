"""`--mode load`: into tables that the application's own migrations have made, and nothing of them changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from conftest import NewDatabase
from support import Ran, converge, load_dump, mysql, postgres

from converge.model.existing import differences
from converge.postgres.existing import read_existing
from converge.sandbox import Server

SOURCE = """
CREATE TABLE parent (id CHAR(36) PRIMARY KEY, name VARCHAR(20));
CREATE TABLE item (
    id INT AUTO_INCREMENT PRIMARY KEY, parentId CHAR(36), flag TINYINT(1) NOT NULL, name VARCHAR(100),
    kind VARCHAR(20), code VARCHAR(20), made DATETIME(3), doc JSON, amount BIGINT UNSIGNED
) AUTO_INCREMENT = 100001;
INSERT INTO parent VALUES ('00000000-0000-0000-0000-00000000000a', 'one');
INSERT INTO item VALUES
    (1, '00000000-0000-0000-0000-00000000000A', 1, 'first', 'small', 'a', '2024-01-02 03:04:05.678',
     '{"a": 1}', 7),
    (2, NULL, 0, 'second', 'large', 'b', NULL, NULL, NULL);
"""
OWN = """
CREATE TYPE kind AS ENUM ('small', 'large');
CREATE TABLE parent (id uuid PRIMARY KEY, name varchar(20));
CREATE TABLE item (
    id serial PRIMARY KEY, "parentId" uuid, flag boolean NOT NULL, name varchar(10) NOT NULL, kind kind,
    code varchar(20), made timestamptz(3), doc jsonb, amount bigint,
    CONSTRAINT few CHECK (amount IS NULL OR amount < 1000 OR code IN ('huge', 'vast')),
    CONSTRAINT "codeOnce" UNIQUE (code),
    CONSTRAINT "toParent" FOREIGN KEY ("parentId") REFERENCES parent (id));
CREATE INDEX "byName" ON item (lower(name) DESC);
CREATE UNIQUE INDEX one_large ON item (flag, kind) WHERE flag AND made IS NULL AND kind IS NOT NULL;
COMMENT ON CONSTRAINT "toParent" ON item IS 'the parent';
"""


@pytest.fixture
def both(databases: tuple[str, str]) -> tuple[str, str]:
    """The application's tables on both sides, filled on one."""
    source, target = databases
    mysql(source, SOURCE)
    postgres(target, OWN)
    return source, target


def shape(target: str, schema: str = "public") -> dict[str, str]:
    with psycopg.connect(target, autocommit=True) as connection:
        return dict(read_existing(connection, schema).shape)


def load(source: str, target: str, *options: str) -> Ran:
    return converge("migrate", "--source", source, "--target", target, "--mode", "load", "--json", *options)


def plan(source: str, target: str, *options: str) -> Ran:
    return converge("plan", "--source", source, "--target", target, "--mode", "load", "--json", *options)


def written(path: Path, text: str) -> str:
    (path / "map.toml").write_text(text)
    return str(path / "map.toml")


def found(ran: Ran, code: str) -> list[dict[str, str]]:
    return [one for one in ran.json["findings"] if one["code"] == code]


def test_rows_arrive_in_the_types_that_are_there(both: tuple[str, str]) -> None:
    source, target = both
    before = shape(target)
    ran = load(source, target)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert not differences(before, shape(target))
    assert len(found(ran, "L021")) == 1
    query = (
        "SELECT id, \"parentId\"::text, flag, kind::text, made::text, doc->>'a', amount FROM item ORDER BY id"
    )
    assert postgres(target, query) == [
        (1, "00000000-0000-0000-0000-00000000000a", True, "small", "2024-01-02 03:04:05.678+00", "1", 7),
        (2, None, False, "large", None, None, None),
    ]
    assert postgres(target, "SELECT nextval('item_id_seq')") == [(100001,)]
    assert postgres(target, "SELECT convalidated FROM pg_constraint WHERE conname = 'toParent'") == [(True,)]


TRAPS = {
    "an invalid uuid": (
        "INSERT INTO item (parentId, flag, name) VALUES ('nameID-of-old', 0, 'x')",
        "V019", "item.parentId", "id 100001", "policy = { not_uuid",
    ),
    "a flag of 2": (
        "INSERT INTO item (flag, name) VALUES (2, 'x')", "V012", "item.flag", "id 100001", "not_boolean",
    ),
    "an orphan": (
        "INSERT INTO item (parentId, flag, name) VALUES ('00000000-0000-0000-0000-0000000000ff', 0, 'x')",
        "V030", "item.toParent", "id 100001", "validate = false",
    ),
    "a NULL for a NOT NULL target": (
        "INSERT INTO item (flag) VALUES (0)", "L006", "item.name", "id 100001", "COALESCE",
    ),
    "a too long text": (
        "INSERT INTO item (flag, name) VALUES (0, 'longer than ten')",
        "V017", "item.name", "id 100001", "too_long",
    ),
    "an enum label that the target lacks": (
        "INSERT INTO item (flag, name, kind) VALUES (0, 'x', 'middle')",
        "V044", "item.kind", "id 100001", "policy = { no_label",
    ),
    "a duplicate for a unique key that only the target has": (
        "INSERT INTO item (flag, name, code) VALUES (0, 'x', 'a')",
        "L007", "item.codeOnce", "id 1, 100001", "repair",
    ),
    "a duplicate for a partial unique index": (
        "INSERT INTO item (flag, name, kind) VALUES (1, 'x', 'large'), (1, 'y', 'large'), (0, 'z', 'large')",
        "L007", "item.one_large", "id 100001, 100002", "repair",
    ),
    "a row that breaks a CHECK of the target": (
        "INSERT INTO item (flag, name, code, amount) VALUES (0, 'x', 'c', 1000)",
        "L023", "item.few", "id 100001", "repair",
    ),
    "a number beyond the target's": (
        "INSERT INTO item (flag, name, code, amount) VALUES (0, 'x', 'vast', 18446744073709551615)",
        "V013", "item.amount", "id 100001", "null",
    ),
}  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_blocks_before_the_first_write(both: tuple[str, str], trap: str) -> None:
    source, target = both
    statement, code, object_, keys, fix = TRAPS[trap]
    assert plan(source, target).code == 0
    mysql(source, statement)
    before = shape(target)
    ran = plan(source, target)
    assert ran.code == 3, ran.out
    blocks = {(one["code"], one["object"]): one for one in ran.json["findings"] if one["severity"] == "block"}
    finding = blocks[code, object_]
    assert keys in str(finding)
    assert fix in finding["hint"]
    stopped = load(source, target)
    assert stopped.code == 3
    assert code in stopped.err
    assert keys in stopped.err
    assert shape(target) == before
    assert postgres(target, "SELECT count(*) FROM item") == [(0,)]
    assert postgres(target, "SELECT to_regnamespace('converge')") == [(None,)]


def test_what_one_side_has_alone_must_be_acknowledged(both: tuple[str, str], tmp_path: Path) -> None:
    source, target = both
    mysql(source, "CREATE TABLE sites (id INT PRIMARY KEY); ALTER TABLE item ADD COLUMN old_name INT")
    postgres(target, "CREATE TABLE audit (id int); ALTER TABLE item ADD COLUMN extra text DEFAULT 'none'")
    ran = plan(source, target)
    assert ran.code == 3
    blocks = {(one["code"], one["object"]) for one in ran.json["findings"] if one["severity"] == "block"}
    assert blocks == {
        ("L001", "sites"), ("L002", "item.old_name"), ("L005", "item.extra"),
    }  # fmt: skip
    hints = "\n".join(one["hint"] for one in ran.json["findings"] if one["severity"] == "block")
    map_ = written(tmp_path, hints)
    ran = load(source, target, "--map", map_)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert postgres(target, "SELECT DISTINCT extra FROM item") == [("none",)]


def test_a_column_that_nothing_fills_is_impossible(both: tuple[str, str]) -> None:
    source, target = both
    postgres(target, "ALTER TABLE item ADD COLUMN needed int NOT NULL")
    ran = plan(source, target)
    assert ran.code == 3
    assert found(ran, "L005")[0]["object"] == "item.needed"


def test_names_differ_by_case_by_map_and_are_proposed_by_likeness(
    both: tuple[str, str], tmp_path: Path
) -> None:
    source, target = both
    postgres(target, "CREATE SCHEMA app; ALTER TABLE item SET SCHEMA app; ALTER TABLE parent SET SCHEMA app")
    postgres(target, 'ALTER TABLE app.item RENAME TO "Item"; ALTER TABLE app.parent RENAME TO parents')
    postgres(target, 'ALTER TABLE app."Item" RENAME COLUMN code TO the_code')
    ran = plan(source, target, "--schema", "app")
    hints = {one["object"]: one["hint"] for one in ran.json["findings"] if one["severity"] == "block"}
    assert 'rename = "parents"' in hints["parent"]
    assert 'rename = "the_code"' in hints["item.code"]
    map_ = written(
        tmp_path,
        '[[table]]\nmatch = { table = "parent" }\nrename = "parents"\n'
        '[[column]]\nmatch = { table = "item", column = "code" }\nrename = "the_code"\n',
    )
    before = shape(target, "app")
    ran = load(source, target, "--schema", "app", "--map", map_)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert shape(target, "app") == before
    assert postgres(target, 'SELECT the_code FROM app."Item" ORDER BY 1') == [("a",), ("b",)]


def test_an_impossible_type_blocks(both: tuple[str, str]) -> None:
    source, target = both
    postgres(target, "ALTER TABLE item ALTER COLUMN doc TYPE point USING NULL")
    ran = plan(source, target)
    assert ran.code == 3
    assert [one["object"] for one in found(ran, "L003")] == ["item.doc"]


SEEDED = (
    "INSERT INTO parent VALUES ('00000000-0000-0000-0000-00000000000a', 'seeded'), (gen_random_uuid(), 'own')"
)


@pytest.mark.parametrize(
    ("rows", "names"), [("source", ["one"]), ("merge", ["one", "own"]), ("target", ["own", "seeded"])]
)
def test_seeded_rows_are_handled_by_the_maps_word(
    both: tuple[str, str], tmp_path: Path, rows: str, names: list[str]
) -> None:
    source, target = both
    postgres(target, SEEDED)
    ran = load(source, target)
    assert ran.code == 3
    assert "by key: 0 equal, 1 differ, 0 only in the source, 1 only in the target" in ran.err
    assert 'rows = "source"' in ran.err
    map_ = written(tmp_path, f'[[table]]\nmatch = {{ table = "parent" }}\nrows = "{rows}"\n')
    ran = load(source, target, "--map", map_)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert [name for (name,) in postgres(target, "SELECT name FROM parent ORDER BY name")] == names
    again = converge("verify", "--source", source, "--target", target, "--map", map_, "--json")
    assert again.json["verdict"] == "verified", again.err


def test_rows_that_only_the_source_has_must_not_be_missed(both: tuple[str, str], tmp_path: Path) -> None:
    """Of a table whose rows the map keeps: others refer to them."""
    source, target = both
    postgres(target, "INSERT INTO parent VALUES (gen_random_uuid(), 'own')")
    map_ = written(tmp_path, '[[table]]\nmatch = { table = "parent" }\nrows = "target"\n')
    ran = load(source, target, "--map", map_)
    assert ran.code == 3
    assert "1 row refers to rows of parent that the target does not have" in ran.err


def test_truncate_empties_the_loaded_tables_and_no_others(both: tuple[str, str], tmp_path: Path) -> None:
    source, target = both
    assert load(source, target).code == 0
    postgres(target, "CREATE TABLE other (id uuid REFERENCES parent (id))")
    postgres(target, "INSERT INTO other SELECT id FROM parent")
    map_ = written(tmp_path, '[[target]]\nmatch = { table = "other" }\nkeep = true\n')
    ran = load(source, target, "--map", map_, "--truncate", "--yes")
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert postgres(target, "SELECT count(*) FROM other") == [(1,)]


def test_circular_keys_triggers_and_a_role_without_superuser(
    databases: tuple[str, str], postgres_175: Server
) -> None:
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT PRIMARY KEY, b_id INT NOT NULL); "
        "CREATE TABLE b (id INT PRIMARY KEY, a_id INT NOT NULL, up INT); "
        "INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (2, 1, 2)",
    )
    postgres(
        target,
        "CREATE TABLE a (id int PRIMARY KEY, b_id int NOT NULL); "
        "CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a, up int REFERENCES b);"
        "ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b DEFERRABLE;"
        "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''never''; END';"
        "CREATE TRIGGER never BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION never();"
        "CREATE TRIGGER replica BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION never();"
        "ALTER TABLE b ENABLE REPLICA TRIGGER replica;"
        "DROP ROLE IF EXISTS application; DROP ROLE IF EXISTS mover;"
        "CREATE ROLE application; CREATE ROLE mover LOGIN; GRANT application TO mover;"
        "ALTER TABLE a OWNER TO application; ALTER TABLE b OWNER TO application;"
        "DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO mover', current_database()); END$$;"
        "GRANT USAGE, CREATE ON SCHEMA public TO mover, application",
    )
    limited = target.replace("postgres@", "mover@")
    before = shape(target)
    ran = load(source, limited)
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert shape(target) == before
    postgres(target, "ALTER TABLE b OWNER TO postgres")
    ran = load(source, limited, "--truncate", "--yes")
    assert ran.code == 3
    assert "L009" in ran.err
    assert 'GRANT "postgres" TO' in ran.err


@pytest.mark.parametrize("taken", [False, True])
def test_recover_sets_back_what_the_run_has_set(databases: tuple[str, str], taken: bool) -> None:
    """Two columns share the sequence; it keeps its value where others have taken numbers meanwhile."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY);"
        "CREATE TABLE b (id INT AUTO_INCREMENT PRIMARY KEY);"
        "INSERT INTO a VALUES (500); INSERT INTO b VALUES (7)",
    )
    postgres(
        target,
        "CREATE SEQUENCE s; CREATE TABLE a (id int PRIMARY KEY DEFAULT nextval('s')); "
        "CREATE TABLE b (id int PRIMARY KEY DEFAULT nextval('s')); "
        "CREATE FUNCTION takes() RETURNS event_trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM nextval('public.s'); END $$",
    )
    if taken:
        postgres(target, "CREATE EVENT TRIGGER takes ON ddl_command_end EXECUTE FUNCTION takes()")
    try:
        assert load(source, target).code == 0
    finally:
        postgres(target, "DROP EVENT TRIGGER IF EXISTS takes")
    standing = "SELECT last_value, is_called FROM s"
    assert postgres(target, standing) == [(501, False)]
    postgres(target, "UPDATE converge.run SET state = 'failed'")
    ran = converge("recover", "--yes", "--target", target)
    assert ran.code == 0, ran.err
    assert postgres(target, standing) == [(501, False) if taken else (1, False)]


def test_a_run_that_was_not_taken_back_is_in_the_way(both: tuple[str, str]) -> None:
    """Its keys are away: they must not be taken for what the application has made."""
    source, target = both
    assert load(source, target).code == 0
    postgres(target, "UPDATE converge.run SET state = 'failed'; TRUNCATE item, parent")
    ran = load(source, target)
    assert ran.code == 3
    assert "L052" in ran.err
    assert "converge recover" in ran.err


def test_two_databases_are_loaded_in_one_run(
    both: tuple[str, str],
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    tmp_path: Path,
) -> None:
    """Planned both before any is written: what blocks one blocks all."""
    other = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(other[0], SOURCE)
    postgres(other[1], OWN)
    entries = "".join(
        f'[[database]]\nname = "{name}"\nsource = "{source}"\ntarget = "{target}"\nmode = "load"\n'
        for name, (source, target) in {"first": both, "second": other}.items()
    )
    (tmp_path / "converge.toml").write_text(entries)
    command = ("--config", str(tmp_path / "converge.toml"), "--json")
    postgres(other[1], "INSERT INTO parent VALUES (gen_random_uuid(), 'in the way')")
    ran = converge("migrate", *command)
    assert (ran.code, ran.json["verdict"]) == (3, "blocked")
    assert postgres(both[1], "SELECT count(*) FROM item") == [(0,)]
    postgres(other[1], "TRUNCATE item, parent")
    ran = converge("migrate", *command)
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [one["name"] for one in ran.json["databases"]] == ["first", "second"]
    again = converge("verify", *command)
    assert again.json["verdict"] == "verified", again.err


@pytest.fixture(params=[("mysql_8015", "postgres_14"), ("mysql_8033", "postgres_175")])
def servers(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    first, second = request.param
    yield request.getfixturevalue(first), request.getfixturevalue(second)


def application(
    name: str,
    servers: tuple[Server, Server],
    new_mysql: NewDatabase,
    new_postgres: NewDatabase,
    shared_data: Path,
) -> tuple[str, str]:
    """Both databases of an application: the source filled, the target as its migrations made it."""
    source, target = new_mysql(servers[0]), new_postgres(servers[1])
    load_dump(source, shared_data / name / "mysql.sql.gz")
    postgres(target, (shared_data / name / "pg_schema.sql").read_text("utf-8"))
    return source, target


# On the oldest servers Kratos and the applications of test_load_apps are loaded.
@pytest.mark.parametrize("servers", [("mysql_8033", "postgres_175")], indirect=True)
def test_alkemio(
    servers: tuple[Server, Server],
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
) -> None:
    source, target = application("alkemio", servers, new_mysql_database, new_postgres_database, shared_data)
    before = shape(target)
    ran = load(source, target, "--map", "alkemio")
    assert ran.code == 0, ran.err
    document = ran.json
    assert document["verdict"] == "verified"
    assert len(document["tables"]) == 76
    assert shape(target) == before
    valid = (
        "SELECT count(*) FILTER (WHERE convalidated), count(*) FROM pg_constraint "
        "WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    )
    assert postgres(target, valid) == [(201, 201)]
    emptied = [one for one in document["changes"] if one["trap"] == "empty_uuid"]
    assert (len(emptied), sum(one["rows"] for one in emptied)) == (13, 1831)
    assert postgres(target, "SELECT nextval('\"user_rowId_seq\"')") == mysql(
        source, "SELECT `AUTO_INCREMENT` FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() "
        "AND TABLE_NAME = 'user'",
    )  # fmt: skip


def test_kratos(
    servers: tuple[Server, Server],
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
    shared_data: Path,
) -> None:
    source, target = application("kratos", servers, new_mysql_database, new_postgres_database, shared_data)
    before = shape(target)
    ran = load(source, target, "--map", "kratos")
    assert ran.code == 0, ran.err
    assert ran.json["verdict"] == "verified"
    assert len(ran.json["tables"]) == 23
    assert shape(target) == before
    assert postgres(target, "SELECT count(*) FROM identity_credential_types") == [(5,)]
