"""An epoch: the target is made equal to the source at one instant, in one transaction.

The log says which rows may differ, never how. A view of the source is opened; then the log is read to its
end, so that every change that the view shows is among the keys; then the rows of these keys are replaced by
those of the view. So no order of changes matters, nor what happened to a row twice, and maps and policies
apply as in the copy. All tables are in one transaction: it needs no order of parents and children, values of
unique keys may be swapped, and what the target shows is always the source at an instant.

Foreign keys and triggers of the tables are away in that transaction, as in `run.repair_task`, and foreign
keys come back NOT VALID: new rows are checked, and no time is spent that grows with the tables. The cutover
has them validated.

What is not yet visible in the view though it is in the log must be read again: the next epoch begins at a
place of which all was visible to this one (`mysql.log`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
import pymysql

from converge.codes import Code
from converge.errors import SourceError, TargetError, listed
from converge.following.changes import Changes
from converge.following.dirty import Dirty
from converge.following.events import Log
from converge.following.tables import Followed, watched_tables
from converge.model.catalog import changed
from converge.model.endpoint import Endpoint
from converge.model.existing import Existing
from converge.model.log import LogPosition, place_order
from converge.model.quote import my_name, pg_name
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.log import in_flight, log_position
from converge.mysql.privileges import Privileges, read_privileges
from converge.mysql.query import fetch
from converge.mysql.snapshot import begin, mark, read_identities, table_names
from converge.postgres.following import Following, forget_proof, note_epoch, note_replaced, note_written
from converge.postgres.query import value
from converge.run.prepare import Prepared

_VISIBLE_SECONDS = 1.0
_LOCKS = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_CHANGED = 1412
"""ER_TABLE_DEF_CHANGED: a table was made anew after the view began."""
TRIES = 5
_FIRST = 4
"""Where the events of a file begin."""
_ACTING = """
    SELECT coalesce(md5(string_agg(what, ',' ORDER BY what)), '') FROM (
        SELECT concat(conrelid::regclass, ' ', conname, replace(pg_get_constraintdef(oid), ' NOT VALID', ''))
          FROM pg_constraint WHERE contype = 'f'
        UNION ALL SELECT concat(tgrelid::regclass, tgenabled, pg_get_triggerdef(oid))
          FROM pg_trigger WHERE NOT tgisinternal) AS acting (what)"""
"""All foreign keys and triggers of the database: those that must not act are known by what `existing` has."""
_SCHEMAS = """
    SELECT coalesce(array_agg(DISTINCT nspname), '{}') FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid
      LEFT JOIN pg_type b ON b.oid = t.typbasetype
      JOIN pg_namespace n ON n.oid = coalesce(b.typnamespace, t.typnamespace)
     WHERE attrelid = ANY (%s::regclass[]) AND attnum > 0 AND nspname <> 'pg_catalog'"""
"""Of the types of all columns."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What came of one."""

    number: int
    rows: Mapping[str, int]
    """Rows that were brought, by source table."""
    whole: tuple[str, ...]
    """Tables that were replaced as a whole."""
    seconds: float
    seen_at: str
    log: LogPosition
    """Where the log stood before the view."""
    keys: int
    """How many keys the log has told of, at most."""


class Epochs:
    """The epochs of a run, one after the other, on connections of their own."""

    def __init__(
        self,
        prepared: Prepared,
        source: Endpoint,
        view: WatchedConnection,
        existing: Existing,
        tables: tuple[Followed, ...],
        *,
        run: int,
        following: Following,
    ) -> None:
        """The connection of `prepared` asks about the source as it is, `view` reads it as it was at an
        instant."""
        assert prepared.target is not None
        self._here, self._target = prepared.source, prepared.target
        self._catalog, self._schema = prepared.inputs.catalog, prepared.plan.schema
        self._source, self.view, self._existing, self._tables = source, view, existing, tables
        self._run, self.state = run, following
        self._dirty = Dirty(self._target, tables)
        self._pending: tuple[LogPosition, frozenset[str]] | None = None
        self.unplanned: frozenset[str] = frozenset()
        """Tables that were made since the catalog was read, which nothing follows."""
        self._crashed = ""
        self._mark = mark(self._here)
        self._compare_as_keys_do()
        self._dirty.find_orphans()
        self._acting = value(self._target, _ACTING)
        ((folds,),) = fetch(self._here, "SELECT @@lower_case_table_names")
        self._folds = bool(folds)
        fetch(view, "SET SESSION range_optimizer_max_mem_size = 0")
        self.wait_for_locks(60)

    def wait_for_locks(self, seconds: float) -> None:
        """Set the lock timeout of both sides, in seconds (at least 1). The target is tried `TRIES` times."""
        self._target.execute(f"SET lock_timeout = '{seconds:.0f}s'".encode())
        fetch(self.view, f"SET SESSION lock_wait_timeout = {seconds:.0f}")

    @contextmanager
    def next(self) -> Iterator[Epoch]:
        """Carries out an epoch; inside, the view is still open, and the target is equal to it.

        Raises SourceError for what cannot be followed.
        """
        started = time.monotonic()
        self._dirty.begin()
        # Before the view, which is to be short.
        self._read(self.state.log)
        for left in reversed(range(TRIES)):
            try:
                done = self._epoch(started, holds=left < TRIES - 1)
                break
            except (pymysql.err.MySQLError, psycopg.Error) as error:
                # A table was made anew before it was read, or others hold locks.
                if not left or not (isinstance(error, _LOCKS) or error.args[0] == _CHANGED):
                    raise
                self.view.rollback()
        yield done
        # Not after an error: an answer may be left unread, and all connections are ended then.
        self.view.rollback()

    def _epoch(self, started: float, *, holds: bool) -> Epoch:
        place = self.place()
        visible = self._visible(place)
        begin(self.view, self._mark)
        if holds:
            # What has been read cannot be made anew before the view ends.
            for name in self._names():
                fetch(self.view, f"SELECT 1 FROM {my_name(name)} LIMIT 1")
        ((seen_at,),) = fetch(self._here, "SELECT CONCAT(UTC_TIMESTAMP(6), '+00')")
        identities = read_identities(self._here, self._catalog.database, self._names())
        before = self.state.identities
        others = {
            table.number
            for table, name in zip(self._tables, self._names(), strict=True)
            if identities.get(name) != tuple(before.get(name, ()))
        }
        self._read()
        if others or self._changes.altered:
            self._require_definitions()
        self._dirty.whole |= others
        with self._dirty.transaction():
            self._dirty.stage(self.view)
            rows = self._replaced()
            state = replace(
                self.state,
                log=self._start(visible, place),
                identities=identities,
                epoch=self.state.epoch + 1,
                rows=self.state.rows + sum(rows.values()),
                seen_at=seen_at,
                keys=self._dirty.count,
                crashed=self._crashed or self.state.crashed,
            )
            note_epoch(self._target, self._run, state)
            if rows:
                self._note_rows(state, rows)
            if state.crashed != self.state.crashed:
                # Rows that were replaced before may be gone from the source, and the log is silent.
                forget_proof(self._target, self._run)
        self.state = state
        whole = tuple(self._tables[number].plan.source for number in sorted(self._dirty.whole))
        seconds = time.monotonic() - started
        return Epoch(state.epoch, rows, whole, seconds, seen_at, place, self._dirty.count)

    # ---- the source --------------------------------------------------------------------------------------

    def place(self) -> LogPosition:
        """Where the log stands. Raises SourceError for a server whose log cannot be followed."""
        place = log_position(self._here)
        if place is None or place.server != self.state.log.server:
            why = "writes no binary log, or leaves out databases" if place is None else "is another server"
            code = Code.W002 if place is None else Code.W003
            raise SourceError(f"the source {why}", code=code, hint="converge sync; then converge follow")
        return place

    def _visible(self, place: LogPosition) -> LogPosition | None:
        """The last place of which everything will be visible in a view that begins now."""
        flying = first = in_flight(self._here)
        until = time.monotonic() + _VISIBLE_SECONDS
        while first and flying and first & flying and time.monotonic() < until:
            flying = in_flight(self._here)
        if first is None or flying is None:
            return None
        if not first & flying:
            self._pending = None
            return place
        candidate = place, first
        earlier, self._pending = self._pending, self._pending or candidate
        if earlier is not None and not earlier[1] & flying:
            self._pending = candidate
            return earlier[0]
        return None

    def _start(self, visible: LogPosition | None, place: LogPosition) -> LogPosition:
        """Where the next epoch reads from: not behind a transaction that XA has prepared."""
        start = visible or self.state.log
        first = self._changes.whole_before((start.file, start.position))
        return start if first == (start.file, start.position) else LogPosition(start.server, *first, place.at)

    def _read(self, start: LogPosition | None = None) -> None:
        """Reads the log to its end, from `start` or from where it was read to; from an earlier place on where
        XA has committed what was prepared before. That costs time, as rows of more keys are replaced.

        Raises SourceError where it was prepared even earlier.
        """
        if start is not None:
            self._crashed = ""
            self._come = self._begun = start
            fold = str.casefold if self._folds else str
            watched = watched_tables(self._catalog.database, self._tables, fold=self._folds)
            begin, since = ((one.file, one.position) for one in (start, self.state.log))
            self._changes = Changes(watched, fold, self._dirty.add, begin, since)
        log = Log(self._source, self._come, self._mark)
        for event in log:
            self._changes.take(event, (log.file, event[2]))
        self._dirty.flush()
        self._come = log.come
        self._crashed = log.crashed or self._crashed
        if self._changes.unprepared:
            if (earlier := self._earlier()) == self._begun:
                raise SourceError(
                    f"{self._changes.unprepared} was prepared long before the place to follow from",
                    code=Code.W005,
                    hint="converge sync, then converge follow",
                )
            self._read(earlier)

    def _earlier(self) -> LogPosition:
        """The beginning of the log's file before the one from which is followed, or of that one."""
        start = self.state.log
        files = [name for name, *_ in fetch(self._here, "SHOW BINARY LOGS")]
        before = [name for name in files if place_order((name, 0)) < place_order((start.file, 0))]
        return replace(start, file=before[-1] if before else start.file, position=_FIRST)

    def _names(self) -> list[str]:
        return [one.plan.source for one in self._tables]

    def _require_definitions(self) -> None:
        """Raises SourceError for tables that are no longer what was planned, and notes those that are new."""
        names, own = self._names(), self.look_for_new()
        after = read_catalog(self._here, own, names)
        if others := changed(self._catalog, after, names):
            raise SourceError(
                f"{listed(others, 20)}: changed in the source since the run was planned",
                code=Code.W006,
                hint="converge follow again: it goes on where nothing that is migrated has changed, and "
                "leaves out what is gone; else undo the change, or converge migrate --recreate (in load "
                "mode: --truncate) --follow",
            )

    def look_for_new(self) -> Privileges:
        """Notes the tables that the plan was made without; returns the privileges to read them."""
        catalog = self._catalog
        own = read_privileges(self._here, catalog.database)
        there = filter(own.may_read, table_names(self._here, catalog.database))
        # A MERGE table is a view of the catalog.
        self.unplanned = frozenset(there) - {
            name for kind, name in catalog.objects() if kind in ("table", "view")
        }
        return own

    # ---- the target --------------------------------------------------------------------------------------

    def _compare_as_keys_do(self) -> None:
        """Lets `=` be that of the keys: citext has its own in the schema of its extension, without which
        texts are compared, and case counts. After these schemas comes the role's own path, by which
        functions of the target's columns find what they call."""
        schemas = value(self._target, _SCHEMAS, ([table.name for table in self._tables],))
        path = ", ".join(("pg_catalog", *map(pg_name, schemas)))
        self._target.execute(
            "SELECT set_config('search_path', concat_ws(', ', %s::text, nullif(reset_val, '')), false) "
            "FROM pg_settings WHERE name = 'search_path'",
            (path,),
        )

    def _replaced(self) -> dict[str, int]:
        """Replaces the rows of all dirty keys; rows by table."""
        dirty = self._dirty
        tables = [self._tables[number] for number in sorted(dirty.active | dirty.whole)]
        with self._set_aside(tables):
            for table in tables:
                dirty.delete(table)
            rows = {table.plan.source: dirty.insert(self.view, self._schema, table) for table in tables}
            dirty.note_orphans()
        unequal = [table for table in tables if not dirty.equal(table)]
        # Written to between two reads of it: the log has that for the next epoch.
        dirty.unsure |= {table.number for table in unequal if not table.held}
        if others := [table.plan.source for table in unequal if table.held]:
            raise TargetError(
                f"{', '.join(others)}: other rows were written than read; nothing has been changed",
                code=Code.W009,
                hint="converge verify says which rows differ; converge sync replaces them",
            )
        return rows

    def _note_rows(self, after: Following, rows: Mapping[str, int]) -> None:
        """Lets them count as the run's, and as compared."""
        whole, unsure = (
            [self._tables[number].plan.source for number in numbers]
            for numbers in (self._dirty.whole - self._dirty.unsure, self._dirty.unsure)
        )
        note_written(self._target, self._run, [*rows])
        note_replaced(self._target, self._run, after, rows, whole, unsure)

    @contextmanager
    def _set_aside(self, tables: list[Followed]) -> Iterator[None]:
        """Foreign keys and triggers that must not act while rows of these tables are replaced are away.

        Raises TargetError where the target has others than those that are known.
        """
        if tables:
            # From here on nobody adds a key or a trigger.
            names = ", ".join(table.name for table in tables)
            self._carry_out([f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE"])
            if value(self._target, _ACTING) != self._acting:
                raise TargetError(
                    "foreign keys or triggers of the target are others than when it was begun to follow",
                    code=Code.W009,
                    hint="converge follow goes on with those of now",
                    lost=True,
                )
        locked, remove, restore = self._existing.set_aside([table.own for table in tables])
        lock = [f"LOCK TABLE {', '.join(locked)} IN ACCESS EXCLUSIVE MODE"] if locked else []
        self._carry_out([*lock, *remove])
        yield
        self._carry_out(restore)

    def _carry_out(self, statements: Iterable[str]) -> None:
        for statement in statements:
            self._target.execute(statement.encode())
