"""`converge recover`: wherever a run in load mode was stopped, the target becomes what it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest
from conftest import NewDatabase
from own_schema import CHUNKS, LOADED, ROWS, SCHEMA, SINCE_15
from support import postgres, relations

from converge.model.endpoint import Endpoint, parse
from converge.model.event import silent
from converge.model.evidence import Evidence
from converge.model.existing import Existing, OwnTable, differences
from converge.model.plan import Plan
from converge.model.recovery import Recovery
from converge.model.work import Range
from converge.pipeline.recover import recover
from converge.postgres.connect import connect
from converge.postgres.existing import read_existing
from converge.postgres.ledger import Ledger
from converge.postgres.saved import drop_saved, merge, save
from converge.postgres.upgrade import upgrade
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
            plan = cast(
                Plan,
                SimpleNamespace(
                    source=SOURCE,
                    schema="app",
                    digest="d",
                    tables=[SimpleNamespace(source=name, target=own) for name, own in loaded(self.before)],
                ),
            )
            evidence = Evidence(existing=self.before)
            ledger = Ledger.open(connection, plan, evidence, resume=False, truncate=truncate, again=False)
            ledger.add_chunks(
                (name, number, Range(None, None))
                for name, _ in loaded(self.before)
                for number in range(len(CHUNKS[name]))
            )
            for step in list(load_steps(self.before, ledger.run))[:steps]:
                with connection.transaction():
                    step(connection)
        return ledger.run

    def recover(self) -> Recovery:
        return recover(self.endpoint, "app", silent)

    def require_same(self, place: str) -> None:
        with connect(self.endpoint) as connection:
            after = read_existing(connection, "app")
        assert differences(self.before.shape, after.shape) == [], place
        assert after.sequences == self.before.sequences, place
        assert after == self.before, place
        assert rows_of(self.admin) == self.rows, place
        assert [name for name in relations(self.admin) if "saved" in name] == [], place


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


def load_steps(before: Existing, run: int) -> Iterator[Step]:
    """What a run does, each in one transaction: it takes away, saves, copies, merges, and puts back."""
    tables = {source: before.by_name[name] for source, name in loaded(before)}
    keys = before.keys_of({table.quoted for table in tables.values()})
    yield from (run_sql(key.remove) for key in keys)
    yield from (
        run_sql(trigger.switch(table.quoted, "D")) for table in tables.values() for trigger in table.triggers
    )
    yield from (run_sql(index.remove) for index in removable(tables))
    yield from (run_sql(save("app", table)) for table in tables.values())
    for name in tables:
        yield from (copied(run, name, number, sql) for number, sql in enumerate(CHUNKS[name]))
    yield run_sql(merge("app", tables["Parent"]))
    yield run_sql(merge("app", tables["weird"]))
    yield run_sql("SELECT setval('app.child_id_seq', 1000)")
    yield from (run_sql(*index.restore[:1]) for index in removable(tables))
    yield from (run_sql(*index.restore[1:]) for index in removable(tables) if index.restore[1:])
    yield from (run_sql(statement) for key in keys for statement in key.restore)
    yield run_sql(drop_saved("app", tables["hollow"]))
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
        "stays_key",
        "stays_place",
        "stays_slow",
        "stays_span",
        "stays_clustered",
        "parent_counted",
    }
    everything = {index.name for table in target.before.tables for index in table.indexes}
    assert {
        "parent key",
        "parent_name",
        "parent_some",
        'pk %s "x',
        "in%s",
        "hollow_number",
    } <= everything - stay


def test_after_every_step_of_a_run(target: Target) -> None:
    count = len(list(load_steps(target.before, 0)))
    assert count > 60
    for steps in range(count + 1):
        run = target.load(steps)
        recovery = target.recover()
        assert (recovery.mode, recovery.run) == ("load", run)
        target.require_same(f"after {steps} of {count} steps")
