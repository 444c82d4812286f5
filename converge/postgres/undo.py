"""Rolls back a run in load mode: removes its rows, and restores all that it took from the catalog.

Every step is one transaction, and is decided by what is there now against what was recorded before the
run. So it may end at any point, and begins again from wherever that was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.existing import OFF, ROWS_LIMIT, Existing, OwnTable
from converge.model.quote import pg_name
from converge.model.recovery import LoadRun, Part
from converge.model.words import counted
from converge.postgres.connect import THEIR_PATH
from converge.postgres.existing import read_existing
from converge.postgres.next_values import next_number
from converge.postgres.query import exists, value
from converge.postgres.saved import kept_table, put_back, saved_table


@dataclass(frozen=True, slots=True)
class Done:
    """A step that is done: what was restored, how much of it, and where."""

    part: Part | None
    """None for what only makes room for the next steps."""
    count: int
    object: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A loaded table's rows, by who has written them."""

    table: OwnTable
    own: int = 0
    """By the run's chunks."""
    merged: int = 0
    """By the run, from those that it had saved."""
    others: int = 0
    saved: int | None = None
    """Rows that are set aside; None where none have been."""

    @property
    def to_do(self) -> bool:
        return self.own > 0 or self.saved is not None

    @property
    def unexpected(self) -> bool:
        """Whether others have written to the table since the run began."""
        if self.saved is not None:
            return self.others > 0
        return self.others > self.table.rows and self.table.rows < ROWS_LIMIT


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
        """Raises BlockedError when rows, foreign keys or triggers of others are in the way."""
        found = [self._look(table) for table in self._run.tables]
        _require_none_of_others(found)
        now = read_existing(self._connection, self._schema)
        added = dict(self._added(now, [rows.table for rows in found if rows.to_do]))
        if added:
            raise BlockedError(
                f"others have added {counted(len(added), 'key or trigger', 'keys or triggers')} since the "
                "run began, in the way of removing its rows",
                code=Code.T019,
                details=list(added),
                hint="remove them, then converge recover:\n" + "\n".join(added.values()),
            )

    def _added(self, now: Existing, tables: Sequence[OwnTable]) -> Iterator[tuple[str, str]]:
        """What others have added to these tables, each with the statement that removes it."""
        known = {(key.table, key.name) for key in self._run.existing.foreign_keys}
        for key in now.keys_of({table.quoted for table in tables}):
            if (key.table, key.name) not in known:
                yield f"foreign key {key.name} on {key.table}", f"{key.remove};"
        for table in tables:
            own = {trigger.name for trigger in table.triggers}
            for trigger in now.by_name[table.name].triggers:
                if trigger.name not in own:
                    drop = f"DROP TRIGGER {pg_name(trigger.name)} ON {table.quoted};"
                    yield f"trigger {trigger.name} on {table.quoted}", drop

    def steps(self) -> Iterator[Done]:
        """Does one step after the other, each when it is asked for."""
        tables = [table for table in self._run.tables if self._look(table).to_do]
        yield from self._make_room(tables)
        for table in tables:
            rows = self._undo_rows(table)
            yield Done("rows removed", rows.own + rows.merged, table.quoted)
            yield Done("rows restored", rows.saved or 0, table.quoted)
        now = read_existing(self._connection, self._schema)
        yield from self._sequences(now)
        yield from self._indexes(now)
        yield from self._foreign_keys(now)
        yield from self._triggers(now)

    def _make_room(self, tables: Sequence[OwnTable]) -> Iterator[Done]:
        """A row that goes must neither be refused nor take others along, nor call the application's code."""
        now = read_existing(self._connection, self._schema)
        for key in now.keys_of({table.quoted for table in tables}):
            yield self._do(None, key.name, key.remove)
        for table in tables:
            for trigger in now.by_name[table.name].triggers:
                if trigger.enabled != OFF:
                    yield self._do(None, trigger.name, trigger.switch(table.quoted, OFF))

    def _sequences(self, now: Existing) -> Iterator[Done]:
        """Those that stand where the run has set them: what others have taken since is in use."""
        before = self._run.existing.sequences
        names = [column.sequence for table in self._run.tables for column in table.columns]
        # What takes rows of the source and is not a table is the sequence of a counter.
        names += [pg_name(self._schema, name) for name in self._run.targets.values()]
        for name in dict.fromkeys(filter(None, names)):
            changed = name in before and now.sequences.get(name, before[name]) != before[name]
            if changed and self._set_by_run(name):
                self._connection.execute("SELECT setval(%s::regclass, %s, %s)", (name, *before[name]))
                yield Done("sequences", 1, name)

    def _set_by_run(self, sequence: str) -> bool:
        """Whether its next value is what the run was about to set."""
        recorded = self._run.next_values.get(sequence)
        return recorded is not None and recorded == value(self._connection, f"SELECT {next_number(sequence)}")

    def _indexes(self, now: Existing) -> Iterator[Done]:
        for table, other in self._pairs(now):
            there = {index.name: index for index in other.indexes}
            for index in table.indexes:
                found = there.get(index.name)
                if found is None and index.remove:
                    yield self._do("indexes", index.name, *index.restore)
                elif found is not None and found.restore[1:] != index.restore[1:]:
                    yield self._do("indexes", index.name, *index.restore[1:])

    def _foreign_keys(self, now: Existing) -> Iterator[Done]:
        """They hold for new rows at once; when all are there, what is in the tables is checked."""
        there = {(key.table, key.name): key for key in now.foreign_keys}
        unchecked = []
        for key in self._run.foreign_keys:
            if not all(exists(self._connection, name) for name in (key.table, key.parent)):
                continue  # its table is gone
            found = there.get((key.table, key.name))
            if found is None:
                yield self._do("foreign keys", key.name, *key.restore)
            elif found.comment != key.comment:
                yield self._do("foreign keys", key.name, *key.restore[1:])
            if key.validate and not (found and found.validated):
                unchecked.append(key)
        for key in unchecked:
            try:
                yield self._do(None, key.name, key.validate)
            except psycopg.errors.ForeignKeyViolation as error:
                self.refused.append(f"{key.name} on {key.table}: {error.diag.message_detail}")

    def _triggers(self, now: Existing) -> Iterator[Done]:
        for table, other in self._pairs(now):
            there = {trigger.name: trigger.enabled for trigger in other.triggers}
            for trigger in table.triggers:
                if there.get(trigger.name, trigger.enabled) != trigger.enabled:
                    switch = trigger.switch(table.quoted, trigger.enabled)
                    yield self._do("triggers", trigger.name, switch)

    def _pairs(self, now: Existing) -> list[tuple[OwnTable, OwnTable]]:
        """The loaded tables as they were and as they are; without those that are gone."""
        return [(table, now.by_name[table.name]) for table in self._run.tables if table.name in now.by_name]

    def _look(self, table: OwnTable) -> Rows:
        """Counts the table's rows."""
        aside, xids = saved_table(self._schema, table.name), self._xids[table.name]
        put_aside = exists(self._connection, aside)
        if not exists(self._connection, table.quoted) or not (xids or put_aside):
            return Rows(table)
        # A query with parameters reads % as their beginning.
        own, aside = (name.replace("%", "%%") for name in (table.quoted, aside))
        # Also a merged row is exactly as it was saved, the table's own triggers being off.
        merged = f"text IN (SELECT (s.*)::text FROM {aside} AS s)" if put_aside else "false"
        saved = f"(SELECT count(*) FROM {aside})" if put_aside else "NULL::bigint"
        query = (
            "SELECT count(*), count(*) FILTER (WHERE own), "
            f"count(*) FILTER (WHERE NOT own AND {merged}), {saved} "
            f"FROM (SELECT t.xmin = ANY (%s::xid[]) AS own, (t.*)::text AS text FROM {own} AS t) AS rows"
        )
        ((count, by_run, by_merge, rows_aside),) = self._connection.execute(
            query.encode(), (xids,)
        ).fetchall()
        return Rows(table, by_run, by_merge, count - by_run - by_merge, rows_aside)

    def _undo_rows(self, table: OwnTable) -> Rows:
        """Removes the run's rows and puts saved ones back, at once; what was found.

        Foreign keys and the table's own triggers must be away. Raises BlockedError when others have written.
        """
        do, xids = self._connection.execute, self._xids[table.name]
        with self._connection.transaction():
            do(THEIR_PATH)
            do(f"LOCK TABLE {table.quoted} IN ACCESS EXCLUSIVE MODE".encode())
            rows = self._look(table)
            _require_none_of_others([rows])
            if rows.others:
                name = table.quoted.replace("%", "%%")
                do(f"DELETE FROM {name} WHERE xmin = ANY (%s::xid[])".encode(), (xids,))
            elif rows.own or rows.merged:
                do(f"TRUNCATE {table.quoted}".encode())
            if rows.saved is not None:
                do(put_back(self._schema, table).encode())
                do(f"DROP TABLE IF EXISTS {saved_table(self._schema, table.name)}".encode())
            do(f"DROP TABLE IF EXISTS {kept_table(self._schema, table.name)}".encode())
        return rows

    def _do(self, part: Part | None, object_: str, *statements: str) -> Done:
        with self._connection.transaction():
            self._connection.execute(THEIR_PATH)
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


def _require_none_of_others(found: Sequence[Rows]) -> None:
    """Raises BlockedError when others have written to a table: their rows are never removed."""
    changed = [rows for rows in found if rows.unexpected]
    if not changed:
        return
    raise BlockedError(
        f"others have written to {counted(len(changed), 'table')} since the run began; "
        "their rows are not removed",
        code=Code.T019,
        details=[_counts(rows) for rows in changed],
        hint="remove these rows, or write them elsewhere, then converge recover; this shows them:\n"
        + "\n".join(
            f"SELECT * FROM {rows.table.quoted} WHERE NOT xmin = ANY (ARRAY(SELECT xid FROM converge.chunk "
            "WHERE xid IS NOT NULL));"
            for rows in changed
        ),
    )


def _counts(rows: Rows) -> str:
    there = f"{counted(rows.others, 'row')} of others, {counted(rows.own, 'row')} of the run"
    aside = "" if rows.saved is None else f", {counted(rows.saved, 'row')} saved before it"
    return f"{rows.table.quoted}: {there}{aside}"
