"""`converge recover`: wherever a run in load mode was stopped, the target becomes what it was before."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from conftest import NewDatabase
from own_schema import CHUNKS, LOADED, ROWS, SCHEMA, SINCE_15
from support import ENVIRONMENT, converge, postgres, relations

from converge.errors import BlockedError, ConvergeError, Interrupted, TargetError
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Advanced, Event, silent
from converge.model.evidence import Evidence
from converge.model.existing import OFF, Existing, OwnTable, differences
from converge.model.extent import Range
from converge.model.plan import Plan
from converge.model.recovery import Recovery
from converge.postgres.catalog import read_rows, shape_of
from converge.postgres.connect import connect
from converge.postgres.existing import read_existing
from converge.postgres.history import last_evidence
from converge.postgres.ledger import Ledger, upgrade
from converge.postgres.saved import merge, save, saved_table
from converge.run.recover import recover, require_rolled_back
from converge.sandbox import Server

Connection = psycopg.Connection[Any]
Step = Callable[[Connection], None]
SOURCE = "mysql://reader@source/shop"


@dataclass(frozen=True)
class Target:
    """A database whose tables belong to a role that is no superuser."""

    url: str
    admin: str
    before: Existing
    rows: dict[str, list[Any]]

    @property
    def endpoint(self) -> Endpoint:
        return parse(self.url)

    def load(self, steps: int | None = None, *, truncate: bool = False) -> int:
        """Carries out some steps of a run in load mode, and is gone; its number."""
        upgrade(self.endpoint)
        with connect(self.endpoint) as connection:
            evidence = Evidence(existing=self.before)
            ledger = Ledger.open(connection, self.plan, evidence, resume=False, clears=truncate, again=None)
            ledger.add_chunks(
                (name, number, Range(None, None))
                for name, _ in loaded(self.before)
                for number in range(len(CHUNKS[name]))
            )
            for _, step in list(load_steps(self.before, ledger.run_id))[:steps]:
                with connection.transaction():
                    step(connection)
        return ledger.run_id

    @property
    def copied(self) -> int:
        """The steps after which all rows are in, and nothing is back."""
        return next(
            number for number, (what, _) in enumerate(load_steps(self.before, 0)) if what == "put back"
        )

    @property
    def plan(self) -> Plan:
        """As much of a plan as the ledger takes."""
        targets = dict(loaded(self.before))
        return cast(Plan, SimpleNamespace(source=SOURCE, schema="app", digest="d", targets=targets))

    def recover(self) -> Recovery:
        return recover(self.endpoint, "app", silent)

    def require_same(self, place: str) -> None:
        with connect(self.endpoint) as connection:
            after = read_existing(connection, "app")
        assert differences(self.before.shape, after.shape) == [], place
        assert after.sequences == self.before.sequences, place
        assert after == self.before, place
        assert rows_of(self.admin) == self.rows, place
        assert [name for name in relations(self.admin) if "saved" in name or "kept " in name] == [], place


@pytest.fixture(params=["postgres_14", "postgres_175"])
def target(request: pytest.FixtureRequest, new_postgres_database: NewDatabase) -> Iterator[Target]:
    server: Server = request.getfixturevalue(request.param)
    admin = new_postgres_database(server)
    name = parse(admin).database
    postgres(admin, "DROP ROLE IF EXISTS app_owner")
    postgres(admin, "CREATE ROLE app_owner LOGIN")
    postgres(admin, f"GRANT CREATE ON DATABASE {name} TO app_owner")
    url = admin.replace("postgres@", "app_owner@")
    for part in (SCHEMA, ROWS, SINCE_15 if request.param == "postgres_175" else ""):
        postgres(url, part)
    with connect(parse(url)) as connection:
        before = read_existing(connection, "app")
    yield Target(url, admin, before, rows_of(admin))
    postgres(admin, "DROP OWNED BY app_owner CASCADE")
    postgres(admin, f"REVOKE ALL ON DATABASE {name} FROM app_owner")
    postgres(admin, "DROP ROLE app_owner")


def rows_of(url: str) -> dict[str, list[Any]]:
    """All rows of all tables, as texts."""
    names = postgres(
        url,
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('app', 'other')",
    )
    return {name: postgres(url, f"SELECT (t.*)::text FROM {name} AS t ORDER BY 1") for (name,) in names}


def load_steps(before: Existing, run: int) -> Iterator[tuple[str, Step]]:
    """What a run does, each in one transaction: it takes away, saves, copies, merges, and puts back."""
    yield from (("load", step) for step in _load(before, run))
    yield from (("put back", step) for step in _put_back(before))


def _load(before: Existing, run: int) -> Iterator[Step]:
    tables = {source: before.by_name[name] for source, name in loaded(before)}
    keys = before.keys_of({table.quoted for table in tables.values()})
    yield from (run_sql(key.remove) for key in keys)
    yield from (
        run_sql(trigger.switch(table.quoted, OFF)) for table in tables.values() for trigger in table.triggers
    )
    yield from (run_sql(index.remove) for index in removable(tables))
    yield from (run_sql(save("app", table)) for table in tables.values())
    for name in tables:
        yield from (copied(run, name, number, sql) for number, sql in enumerate(CHUNKS[name]))
    yield run_sql(merge("app", tables["Parent"]))
    yield run_sql(merge("app", tables["weird"]))
    yield run_sql(
        """UPDATE converge.run SET next_values = '{"app.child_id_seq": 1001}'""",
        "SELECT setval('app.child_id_seq', 1000)",
    )


def _put_back(before: Existing) -> Iterator[Step]:
    tables = {source: before.by_name[name] for source, name in loaded(before)}
    keys = before.keys_of({table.quoted for table in tables.values()})
    yield from (run_sql(*index.restore[:1]) for index in removable(tables))
    yield from (run_sql(*index.restore[1:]) for index in removable(tables) if index.restore[1:])
    yield from (run_sql(statement) for key in keys for statement in key.restore)
    yield from (run_sql(key.validate) for key in keys if key.validate)
    yield run_sql(f"DROP TABLE IF EXISTS {saved_table('app', tables['hollow'].name)}")
    for table in tables.values():
        for trigger in table.triggers:
            yield run_sql(trigger.switch(table.quoted, trigger.enabled))


def loaded(before: Existing) -> list[tuple[str, str]]:
    """Source tables and the target's that are there: some need a newer server."""
    return [(source, name) for source, name in LOADED.items() if name in before.by_name]


def removable(tables: dict[str, OwnTable]) -> list[Any]:
    return [index for table in tables.values() for index in table.indexes if index.remove]


def run_sql(*statements: str) -> Step:
    def step(connection: Connection) -> None:
        for statement in statements:
            connection.execute(statement.encode())

    return step


def copied(run: int, name: str, number: int, sql: str) -> Step:
    def step(connection: Connection) -> None:
        cursor = connection.execute(sql.encode())
        connection.execute(
            "UPDATE converge.chunk SET done_at = now(), rows = %s, xid = pg_current_xact_id()::xid "
            "WHERE run_id = %s AND source_table = %s AND number = %s",
            (cursor.rowcount, run, name, number),
        )

    return step


def test_indexes_that_must_stay(target: Target) -> None:
    stay = {index.name for table in target.before.tables for index in table.indexes if not index.remove}
    assert stay == {
        # Of a published table.
        "parent key",
        "stays_key",
        "stays_place",
        "stays_slow",
        "stays_span",
        "stays_clustered",
        "parent_counted",
    }
    everything = {index.name for table in target.before.tables for index in table.indexes}
    assert {
        "child_pkey",
        "parent_name",
        "parent_some",
        'pk %s "x',
        "in%s",
        "hollow_number",
    } <= everything - stay


def test_after_every_step_of_a_run(target: Target) -> None:
    count = len(list(load_steps(target.before, 0)))
    assert count > 60
    # Every step on the newest server, and some of them on the oldest.
    for steps in range(0, count + 1, 1 if "newer" in target.before.by_name else 9):
        run = target.load(steps)
        recovery = target.recover()
        assert (recovery.mode, recovery.run) == ("load", run)
        target.require_same(f"after {steps} of {count} steps")


def test_recover_is_stopped_after_each_of_its_steps(target: Target) -> None:
    target.load(target.copied)
    stops = 0

    def stop(event: Event) -> None:
        nonlocal stops
        if isinstance(event, Advanced):
            stops += 1
            raise KeyboardInterrupt

    while True:
        try:
            recover(target.endpoint, "app", stop)
            break
        except Interrupted as stopped:
            assert (stopped.exit_code, stopped.hint) == (130, "converge recover")
            states = postgres(target.admin, "SELECT state FROM converge.run")
            assert states == [("recovering",)]
    assert stops > 30
    target.require_same(f"after {stops} stops")


def test_a_connection_that_is_lost_and_a_command_that_goes_on(target: Target) -> None:
    target.load(target.copied)
    with psycopg.connect(target.admin) as other:
        # So that it waits in the middle of its work, with some of it done.
        other.execute("LOCK TABLE app.hollow IN ACCESS SHARE MODE")
        held = subprocess.Popen(
            [sys.executable, "-m", "converge", "recover", "--yes", "--target", target.url, "--schema", "app"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=ENVIRONMENT,
        )  # fmt: skip
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'app_owner'"
        while not (found := postgres(target.admin, waiting)):
            assert held.poll() is None, held.communicate()
            time.sleep(0.1)
        ran = converge("recover", "--yes", "--target", target.url, "--schema", "app")
        assert (ran.code, "error[T009]" in ran.err) == (3, True), ran.err
        postgres(target.admin, "SELECT pg_terminate_backend(%s)", *found[0])
        _, said = held.communicate(timeout=60)
        assert held.returncode == 5, said
        assert "converge recover" in said
    again = converge("recover", "--yes", "--target", target.url, "--schema", "app", "--json")
    assert again.code == 0, again.err
    assert (again.json["verdict"], again.json["identical"]) == ("recovered", True)
    assert again.json["put_back"]["foreign keys"] > 0
    assert again.json["compared"] == len(target.before.shape)
    target.require_same("at the end")
    more = converge("recover", "--yes", "--target", target.url, "--schema", "app")
    assert (more.code, more.out) == (0, "Nothing to recover: no run into this schema is unfinished.\n")


def test_nothing_to_recover(target: Target) -> None:
    ran = converge("recover", "--yes", "--target", target.url, "--schema", "app", "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "nothing to recover"), ran.err
    assert [name for name in relations(target.admin) if name.startswith("converge.")] == []
    run = target.load(0)
    target.recover()
    postgres(
        target.admin,
        "INSERT INTO converge.run (source, target_schema, plan_digest, state, targets) "
        "VALUES ('mysql://x', 'app', 'd', 'failed', '{\"child\": \"child\", \"gone\": \"gone\"}')",
    )
    ran = converge("recover", "--yes", "--target", target.url, "--schema", "app")
    assert ran.out.splitlines()[:2] == [
        f"Nothing to recover: run {run + 1} creates its tables, and has set nothing aside.",
        "left      child",
    ]
    assert ran.code == 0


def test_the_record_of_an_earlier_version_is_left_to_it(target: Target) -> None:
    target.load(target.copied)
    forget = "evidence = (evidence::jsonb #- '{existing,reader}')::json"
    kept = postgres(target.admin, "SELECT evidence::text FROM converge.run")
    postgres(target.admin, f"UPDATE converge.run SET {forget}")
    rows = rows_of(target.admin)
    with pytest.raises(BlockedError) as refused:
        target.recover()
    assert (refused.value.code, rows_of(target.admin)) == ("L052", rows)
    with connect(target.endpoint) as connection, pytest.raises(BlockedError) as resumed:
        last_evidence(connection, target.plan.source, "app", None)
    assert resumed.value.code == "L052"
    postgres(target.admin, "UPDATE converge.run SET evidence = %s::json", *kept[0])
    target.recover()
    target.require_same("with its own version")


def test_rows_of_others_are_never_removed(target: Target) -> None:
    target.load(target.copied)
    postgres(target.admin, "UPDATE app.child SET note = 'mine' WHERE id = 9")
    with pytest.raises(BlockedError) as refused:
        target.recover()
    assert refused.value.code == "T019"
    (detail,) = refused.value.details
    assert detail == '"app"."child": 1 row of others, 49 rows of the run, 2 rows saved before it'
    shown = postgres(target.admin, str(refused.value.hint).splitlines()[1])
    assert [row[0] for row in shown] == [9]
    assert postgres(target.admin, "SELECT state FROM converge.run") == [("running",)]
    postgres(target.admin, "DELETE FROM app.child WHERE id = 9")
    target.recover()
    target.require_same("without the row")


def test_numbers_that_others_have_taken_stay_taken(target: Target) -> None:
    """A sequence that is set back would give them once more."""
    next_id = "SELECT last_value FROM app.child_id_seq"
    # Before chunks are entered, before the last one, and before the run's own setval.
    for steps, chunks in (
        (0, "DELETE FROM converge.chunk"),
        (target.copied - 4, ""),
        (target.copied - 1, ""),
    ):
        postgres(target.admin, "SELECT setval('app.child_id_seq', 2)")
        target.load(steps)
        postgres(target.admin, f"{chunks or 'SELECT 1'}; SELECT nextval('app.child_id_seq')")
        target.recover()
        assert postgres(target.admin, next_id) == [(3,)], steps

    postgres(target.admin, "SELECT setval('app.child_id_seq', 2)")
    target.load(target.copied)
    postgres(target.admin, "SELECT nextval('app.child_id_seq')")
    target.recover()
    assert postgres(target.admin, next_id) == [(1001,)]


def test_keys_and_triggers_of_others_are_not_taken_away(target: Target) -> None:
    target.load(target.copied)
    postgres(target.url, "CREATE TABLE other.new (id int PRIMARY KEY)")
    postgres(
        target.url,
        "ALTER TABLE app.hollow ADD CONSTRAINT added FOREIGN KEY (number) REFERENCES other.new NOT VALID",
    )
    postgres(
        target.url, "CREATE TRIGGER added AFTER DELETE ON app.child FOR EACH ROW EXECUTE FUNCTION app.stamp()"
    )
    with pytest.raises(BlockedError) as refused:
        target.recover()
    assert set(refused.value.details) == {
        'foreign key added on "app"."hollow"', 'trigger added on "app"."child"',
    }  # fmt: skip
    for statement in str(refused.value.hint).splitlines()[1:]:
        postgres(target.url, statement)
    postgres(target.url, "DROP TABLE other.new")
    target.recover()
    target.require_same("without what others have added")


def test_rows_removed_by_truncate_are_said_to_be_gone(target: Target) -> None:
    target.load(len(target.before.foreign_keys), truncate=True)
    postgres(target.admin, """DELETE FROM app."we%ird ""T.x\"""")
    ran = converge("recover", "--yes", "--target", target.url, "--schema", "app", "--json")
    assert ran.code == 0, ran.err
    (finding,) = ran.json["findings"]
    assert (finding["code"], finding["object"]) == ("L053", 'we%ird "T.x')
    assert finding["message"] == "had 2 rows and has 0: --truncate has removed them for good"
    told = converge("status", "--target", target.url, "--schema", "app").out
    assert "is recovered (rolled back): its rows are removed" in told and "\nrows " not in told, told


def test_what_others_have_changed_is_listed(target: Target) -> None:
    target.load(3)
    postgres(target.url, "COMMENT ON TABLE app.parent IS 'changed'")
    postgres(target.url, "CREATE INDEX more ON app.not_loaded (id)")
    postgres(target.url, "DROP INDEX app.not_loaded_both")
    with pytest.raises(TargetError) as refused:
        target.recover()
    assert refused.value.code == "L051"
    new, gone, changed = refused.value.details
    assert gone.startswith("index app.not_loaded_both is gone: CREATE ")
    assert new.startswith("index app.more is new: CREATE ")
    assert changed == 'table app.parent has changed: comment was "a comment", is "changed"'


def test_rows_that_a_foreign_key_does_not_allow_any_more(target: Target) -> None:
    target.load(target.copied)
    postgres(target.admin, "INSERT INTO app.not_loaded VALUES (3, 7)")
    with pytest.raises(TargetError) as refused:
        target.recover()
    first = refused.value.details[0]
    assert first.startswith('not_loaded_parent_id_fkey on "app"."not_loaded": Key (parent_id)=(7)')
    postgres(target.admin, "DELETE FROM app.not_loaded WHERE id = 3")
    target.recover()
    target.require_same("without the orphan")


def test_a_run_that_is_taken_back_is_not_resumed(target: Target) -> None:
    target.load(target.copied)
    with connect(target.endpoint) as connection, pytest.raises(BlockedError) as refused:
        require_rolled_back(connection, "app")
    assert refused.value.code == "L052"
    for state, code in (("recovering", "L052"), ("recovered", "T010")):
        postgres(target.admin, "UPDATE converge.run SET state = %s", state)
        with connect(target.endpoint) as connection, pytest.raises(ConvergeError) as error:
            Ledger.open(connection, target.plan, Evidence(), resume=True, clears=False, again=None)
        assert error.value.code == code
    with connect(target.endpoint) as connection:
        require_rolled_back(connection, "app")


def test_merged_rows_are_those_whose_key_is_not_loaded(target: Target) -> None:
    target.load(target.copied)
    found = postgres(target.admin, "SELECT id, name FROM app.parent WHERE id >= 50 ORDER BY id")
    assert found == [(50, "new 50"), (100, "taken"), (101, "two")]


def test_keys_are_the_same_as_their_own_type_says(target: Target) -> None:
    """An operator's name would say that these differ: no session looks into the schema of citext's."""
    postgres(target.admin, "CREATE EXTENSION citext SCHEMA other")
    postgres(target.admin, "CREATE SCHEMA more; GRANT USAGE ON SCHEMA other TO app_owner")
    postgres(target.admin, "CREATE TABLE more.word (word other.citext, n numeric, PRIMARY KEY (word, n))")
    postgres(target.admin, "INSERT INTO more.word VALUES ('One', 1.0), ('Two', 2.00), ('Two', 3)")
    upgrade(parse(target.admin))
    with connect(parse(target.admin)) as connection:
        (word,) = read_existing(connection, "more").tables
        connection.execute(save("more", word).encode())
        connection.execute("INSERT INTO more.word VALUES ('oNE', 1), ('two', 3.0)")
        connection.execute(merge("more", word).encode())
        found = connection.execute("SELECT word::text, n::text FROM more.word ORDER BY n, word").fetchall()
    assert found == [("oNE", "1"), ("Two", "2.00"), ("two", "3.0")]


def test_names_of_saved_tables_are_not_mixed_up() -> None:
    parts = (("a.b", "c"), ("a", "b.c"), ("a", "b"), ("a", '"b.c"'))
    assert len({saved_table(*names) for names in parts}) == 4
    assert saved_table("public", "film") == '"converge"."saved public.film"'
    long = saved_table("public", "x" * 63)
    assert len(long.removeprefix('"converge".')) == 63 + len('""')
    assert long != saved_table("public", "x" * 62)


def test_every_code_is_documented() -> None:
    folder = Path(__file__).parents[1]
    sources = "".join(path.read_text() for path in (folder / "converge").rglob("*.py"))
    documented = set(re.findall(r"^\| (L\d{3}) ", (folder / "docs/load.md").read_text(), re.MULTILINE))
    assert set(re.findall(r"Code\.(L\d{3})", sources)) == documented


CHANGES = """
ALTER TABLE app.hollow SET LOGGED
ALTER TABLE app.parent SET (fillfactor = 81)
ALTER TABLE app.parent SET (toast.autovacuum_enabled = true)
ALTER TABLE app.stays DISABLE ROW LEVEL SECURITY
ALTER TABLE app.stays FORCE ROW LEVEL SECURITY
ALTER TABLE app.stays REPLICA IDENTITY FULL
ALTER TABLE app.stays CLUSTER ON stays_place
ALTER TABLE app.stays SET WITHOUT CLUSTER
ALTER POLICY "some %" ON app.stays USING (id > 1)
REVOKE SELECT ON app.parent FROM PUBLIC
REVOKE UPDATE (name) ON app.parent FROM PUBLIC
REVOKE USAGE ON SEQUENCE app.child_id_seq FROM PUBLIC
ALTER SEQUENCE app.child_id_seq OWNED BY NONE
ALTER SEQUENCE app.child_id_seq CACHE 5
ALTER TABLE app.parent ALTER name DROP NOT NULL
ALTER TABLE app.parent ALTER mood SET DEFAULT 'loud'
ALTER TABLE app.parent ALTER id SET GENERATED BY DEFAULT
ALTER TABLE app.parent ALTER upper DROP EXPRESSION
ALTER TABLE app.child ALTER note TYPE varchar(21)
ALTER TABLE app.parent ALTER doc SET STORAGE extended
ALTER TABLE app.parent ALTER doc SET COMPRESSION pglz
ALTER TABLE app.parent ALTER name SET STATISTICS 499
ALTER TABLE app.parent ALTER code RESET (n_distinct)
COMMENT ON COLUMN app.parent.name IS NULL
COMMENT ON CONSTRAINT parent_name ON app.parent IS NULL
COMMENT ON INDEX app.parent_name IS NULL
COMMENT ON TRIGGER a_stamp ON app.parent IS NULL
COMMENT ON CONSTRAINT "out side" ON other.outside IS NULL
ALTER TABLE app.child DROP CONSTRAINT child_name
ALTER TABLE app.child ALTER CONSTRAINT child_parent NOT DEFERRABLE
ALTER TABLE other.outside DROP CONSTRAINT "out side"
ALTER TABLE app.parent DISABLE TRIGGER a_stamp
ALTER TABLE app.parent ENABLE ALWAYS TRIGGER c_replica
DROP INDEX app.parent_class
ALTER INDEX app.parent_class SET (fillfactor = 71)
ALTER INDEX app.parent_counted ALTER COLUMN 1 SET STATISTICS 301
ALTER STATISTICS app.parent_stats SET STATISTICS 51
DROP STATISTICS app.parent_stats
ALTER PUBLICATION app_tables DROP TABLE app.stays
ALTER DOMAIN app.price DROP CONSTRAINT not_below
ALTER TYPE app.mood RENAME VALUE 'loud' TO 'wild'
CREATE OR REPLACE VIEW app.by_key AS SELECT id, place, count(1) FROM app.stays GROUP BY id
CREATE RULE quiet AS ON DELETE TO app.hollow DO INSTEAD NOTHING
REFRESH MATERIALIZED VIEW app.kept WITH NO DATA
CREATE OR REPLACE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'
CREATE TYPE app.pair AS (one int, two int)
ALTER SCHEMA app OWNER TO postgres
"""


def test_the_shape_tells_of_every_change(target: Target) -> None:
    with psycopg.connect(target.admin, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        for change in CHANGES.strip().splitlines():
            with connection.transaction(force_rollback=True):
                connection.execute(change.encode())
                changed = differences(target.before.shape, shape_of(read_rows(connection, "app")))
            assert changed, change
        assert shape_of(read_rows(connection, "app")) == target.before.shape
