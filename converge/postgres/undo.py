"""Takes back a run in load mode: its rows go, and all that it took away from the catalog comes back.

Every step is one transaction, and is decided by what is there now against what was recorded before the
run. So it may end at any point, and begins again from wherever that was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.errors import BlockedError
from converge.model.existing import Existing, OwnForeignKey, OwnTable
from converge.model.recovery import LoadRun, Part
from converge.postgres.existing import read_existing
from converge.postgres.undo_rows import Rows, exists, look, require_none_of_others, undo_rows

_OFF = "D"
"""State of a trigger that is switched off."""


@dataclass(frozen=True, slots=True)
class Done:
    """A step that is done: what was put back, how much of it, and where."""

    part: Part | None
    """None for what only makes room for the next steps."""
    count: int
    object: str


class Undo:
    """One run's way back, over one connection."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str, run: LoadRun) -> None:
        self._connection = connection
        self._schema = schema
        self._run = run
        self._xids = _transactions(connection, run)
        self.refused: list[str] = []
        """Foreign keys that rows do not satisfy, with the server's words."""

    def require_alone(self) -> None:
        """Raises BlockedError when rows or foreign keys of others are in the way. Writes nothing."""
        found = [self._look(table) for table in self._run.tables]
        require_none_of_others(found)
        known = {(key.table, key.name) for key in self._run.existing.foreign_keys}
        emptied = {rows.table.quoted for rows in found if rows.to_do}
        added = [key for key in self._now().keys_of(emptied) if (key.table, key.name) not in known]
        if added:
            raise BlockedError(
                f"others have added {len(added)} foreign keys since the run began, which are in the way",
                code="T019",
                details=[f"{key.name} on {key.table}" for key in added],
                hint="\n".join(f"{key.remove};" for key in added),
            )

    def steps(self) -> Iterator[Done]:
        """Does one step after the other, each when it is asked for."""
        tables = [table for table in self._run.tables if self._look(table).to_do]
        yield from self._make_room(tables)
        for table in tables:
            rows = undo_rows(self._connection, self._schema, table, self._xids[table.name])
            yield Done("rows removed", rows.own + rows.merged, table.quoted)
            yield Done("rows put back", rows.saved or 0, table.quoted)
        yield from self._sequences()
        yield from self._indexes()
        yield from self._foreign_keys()
        yield from self._check()
        yield from self._triggers()

    def _make_room(self, tables: Sequence[OwnTable]) -> Iterator[Done]:
        """A row that goes must neither be refused nor take others along, nor call the application's code."""
        now = self._now()
        for key in now.keys_of({table.quoted for table in tables}):
            yield self._do(None, key.name, key.remove)
        for table in tables:
            for trigger in now.by_name[table.name].triggers:
                if trigger.enabled != _OFF:
                    yield self._do(None, trigger.name, trigger.switch(table.quoted, _OFF))

    def _sequences(self) -> Iterator[Done]:
        now, before = self._now().sequences, self._run.existing.sequences
        names = (column.sequence for table in self._run.tables for column in table.columns)
        for name in dict.fromkeys(filter(None, names)):
            if name in now and now[name] != before[name]:
                self._connection.execute("SELECT setval(%s::regclass, %s, %s)", (name, *before[name]))
                yield Done("sequences", 1, name)

    def _indexes(self) -> Iterator[Done]:
        for table, now in self._pairs():
            there = {index.name: index for index in now.indexes}
            for index in table.indexes:
                found = there.get(index.name)
                if found is None and index.remove:
                    yield self._do("indexes", index.name, *index.restore)
                elif found is not None and found.restore[1:] != index.restore[1:]:
                    yield self._do("indexes", index.name, *index.restore[1:])

    def _foreign_keys(self) -> Iterator[Done]:
        """They hold for new rows at once; what is there is checked afterwards."""
        there = {(key.table, key.name): key for key in self._now().foreign_keys}
        for key in self._keys():
            found = there.get((key.table, key.name))
            if found is None:
                yield self._do("foreign keys", key.name, *key.restore)
            elif found.comment != key.comment:
                yield self._do("foreign keys", key.name, *key.restore[1:])

    def _check(self) -> Iterator[Done]:
        there = {(key.table, key.name): key for key in self._now().foreign_keys}
        for key in self._keys():
            if key.validate and not there[key.table, key.name].validated:
                try:
                    yield self._do(None, key.name, key.validate)
                except psycopg.errors.ForeignKeyViolation as error:
                    self.refused.append(f"{key.name} on {key.table}: {error.diag.message_detail}")

    def _triggers(self) -> Iterator[Done]:
        for table, now in self._pairs():
            there = {trigger.name: trigger.enabled for trigger in now.triggers}
            for trigger in table.triggers:
                if there.get(trigger.name, trigger.enabled) != trigger.enabled:
                    yield self._do("triggers", trigger.name, trigger.switch(table.quoted, trigger.enabled))

    def _pairs(self) -> list[tuple[OwnTable, OwnTable]]:
        """The loaded tables as they were and as they are; without those that are gone."""
        now = self._now().by_name
        return [(table, now[table.name]) for table in self._run.tables if table.name in now]

    def _keys(self) -> list[OwnForeignKey]:
        """The foreign keys on or to the loaded tables; without those of tables that are gone."""
        return [
            key
            for key in self._run.foreign_keys
            if all(exists(self._connection, name) for name in (key.table, key.parent))
        ]

    def _look(self, table: OwnTable) -> Rows:
        return look(self._connection, self._schema, table, self._xids[table.name])

    def _now(self) -> Existing:
        return read_existing(self._connection, self._schema)

    def _do(self, part: Part | None, object_: str, *statements: str) -> Done:
        with self._connection.transaction():
            for statement in statements:
                self._connection.execute(statement.encode())
        return Done(part, 1, object_)


def _transactions(connection: psycopg.Connection[Any], run: LoadRun) -> dict[str, list[str]]:
    """The transactions of the run's chunks, by the table of the target that they have filled."""
    xids: dict[str, list[str]] = {table.name: [] for table in run.tables}
    rows = connection.execute(
        "SELECT source_table, xid::text FROM converge.chunk WHERE run_id = %s AND xid IS NOT NULL", (run.id,)
    )
    for source, xid in rows:
        if run.targets[source] in xids:
            xids[run.targets[source]].append(xid)
    return xids
