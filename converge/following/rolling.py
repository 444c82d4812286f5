"""The rolling proof: while the target is followed, its rows are compared a part at a time.

A part is compared in the view of an epoch, which the target equals until the next one. Rows of it that
change later are replaced by an epoch, which compares each of them. So a part that was equal once is still
equal, and when all parts of all tables have been compared, at whatever epochs, all is proven as of now, as
far as changes are in the log; what is not in it is found when the part's turn comes again.

Parts are ranges of the leading columns of the key that both servers sort alike; where they have sorted some
values in another way after all, and where there are no such columns, the table is compared as a whole. The
first and the last range are open, so each row of each server is in one of them.

No view holds the rows of another engine than InnoDB still: they are read as they are by then. Where they
equal the target's nevertheless, nothing is left to prove. Where they differ, the next epoch shows whether the
table was written to meanwhile; if so, only a table at rest can tell, or a source that stands still.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

import psycopg
import pymysql

from converge.following.epoch import Epoch
from converge.following.tables import Followed
from converge.model.event import silent
from converge.model.extent import Range
from converge.model.plan import Plan
from converge.model.quote import pg_text
from converge.model.result import Result, TableResult
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import where
from converge.postgres.following import (
    Proven,
    ToProve,
    begin_proof,
    forget_proof,
    next_to_prove,
    note_compared,
    proof_now,
    proven,
)
from converge.postgres.query import value
from converge.run.proof import Proof, digest_task
from converge.run.worker import METHODS, Worker

_SORTED_ALIKE = re.compile(r"(?:smallint|integer|bigint|numeric|boolean|date|timestamp|bytea|uuid)\b")
_GONE = frozenset({1146, 1412})
"""ER_NO_SUCH_TABLE, ER_TABLE_DEF_CHANGED: the table was made anew after the view began."""
_LEAST_ROWS = 1000
"""Of a part."""
_PACE = 20_000.0
"""Rows a second, before the first part has shown it."""


class InView(Worker):
    """Carries out a comparison's tasks on the view of an epoch, one after the other."""

    def __init__(self, source: WatchedConnection, target: psycopg.Connection[Any]) -> None:
        self.source, self.target = source, target

    def work(self, tasks: Any) -> Iterator[Any]:
        """The tasks' results."""
        for task in tasks:
            yield METHODS[type(task)](self, task)


class RollingProof:
    """The proof of a run that is followed, which the ledger keeps."""

    def __init__(
        self,
        view: WatchedConnection,
        target: psycopg.Connection[Any],
        plan: Plan,
        tables: Sequence[Followed],
        run: int,
        compared: dict[str, int],
    ) -> None:
        """`compared` has the rows of tables that were equal in the snapshot with which following begins."""
        self._target, self._plan, self._run = target, plan, run
        self.workers: Any = InView(view, target)
        self._tables = {table.plan.source: table for table in tables}
        self._pace = _PACE
        self._whole: set[str] = set()
        """Tables whose ranges are others in the source."""
        self._differed: set[str] = set()
        """Tables that no view holds still, and that differed in the last epoch."""
        self._at_rest: set[str] = set()
        """Those that were not written to since, so that the target differs."""
        self.moving: set[str] = set()
        """Those that were, at any time: they are compared when an epoch replaces none of their rows, or when
        the source stands still."""
        self.unheld = {name for name, table in self._tables.items() if not table.held}
        """Tables that no view holds still."""
        begin_proof(target, run, {name: compared.get(name) for name in self._tables})

    def step(self, epoch: Epoch, seconds: float, *, still: bool = False) -> Result | None:
        """Compares parts for about so long, inside of the epoch; what was found where rows differ.

        Of a source that stands `still` only what has no proof, or none that counts. A table that can only be
        compared as a whole takes its time.
        """
        until = time.monotonic() + seconds
        if still and (unsettled := self.unsettled):
            forget_proof(self._target, self._run, unsettled)
        self.moving |= self._differed & epoch.rows.keys()
        self._at_rest = (self._at_rest | self._differed) - epoch.rows.keys()
        self._differed = set()
        while (left := until - time.monotonic()) > 0:
            moves = self._differed | (self.moving & epoch.rows.keys())
            names = self.missing if still else self._tables.keys() - moves
            if not names:
                return None
            todo = next_to_prove(self._target, self._run, names)
            if todo.began is None and todo.proof is not None and todo.proof.epoch == epoch.number:
                return None
            try:
                found = self._part(self._tables[todo.source_table], todo, epoch, left)
            except pymysql.err.MySQLError as error:
                if error.args[0] in _GONE:
                    return None
                raise
            if found is not None:
                forget_proof(self._target, self._run, [todo.source_table])
                if still or todo.source_table not in self.unheld or todo.source_table in self._at_rest:
                    return found
                self._differed.add(todo.source_table)
        return None

    def forget(self) -> None:
        """Lets all be compared anew."""
        forget_proof(self._target, self._run)

    def summary(self) -> dict[str, Any]:
        """How many tables are verified, and how old that is: `postgres.following.proof_now`."""
        return proof_now(self._target, self._run)

    @property
    def missing(self) -> set[str]:
        """Tables without a proof."""
        return {one["source"] for one in self.tables() if one["epoch"] is None}

    @property
    def unsettled(self) -> list[str]:
        """Tables that no view holds still, and that have been written to since they were compared."""
        return [
            one["source"] for one in self.tables()
            if one["replaced_since"] != 0 and one["source"] in self.unheld
        ]  # fmt: skip

    def tables(self) -> list[dict[str, Any]]:
        """Of each table, when it was compared: `postgres.following.proven`."""
        return proven(self._target, self._run)

    def _part(self, table: Followed, todo: ToProve, epoch: Epoch, seconds: float) -> Result | None:
        started = time.monotonic()
        now = Proven(epoch.number, epoch.seen_at, todo.replaced, 0)
        sorted_ = 0 if table.plan.source in self._whole else _sorted_alike(table)
        high = self._bound(table, sorted_, todo.upto, max(_LEAST_ROWS, int(self._pace * seconds)))
        here, there = _conditions(table, sorted_, todo.upto, high)
        digest = self.workers.digest(digest_task(self._plan.schema, table.plan, here, there))
        rows = digest.target_rows
        began = todo.began or now
        if not digest.equal:
            whole = self._compare_whole(table)
            if whole.verdict != "verified":
                return whole
            self._whole.add(table.plan.source)
            began, high, rows = now, None, whole.tables[0].rows_target or 0
        if high is not None:
            self._pace = rows / (time.monotonic() - started)
        began = replace(began, rows=began.rows + rows)
        note_compared(self._target, self._run, todo, began, high)
        return None

    def _bound(
        self, table: Followed, columns: int, low: Sequence[str] | None, rows: int
    ) -> tuple[str, ...] | None:
        """The key that ends a part of so many rows; None where the table does."""
        if not columns:
            return None
        names = table.key_names[:columns]
        texts = ",".join(f"{name}::text" for name in names)
        query = (
            f"SELECT ARRAY[{texts}] FROM {table.name}{_beyond(table, columns, low)} "
            f"ORDER BY {','.join(names)} OFFSET {rows - 1} LIMIT 1"
        )
        bound = value(self._target, query)
        return None if bound is None else tuple(bound)

    def _compare_whole(self, table: Followed) -> Result:
        """Compares all its rows, and shows which ones differ."""
        plan, name = replace(self._plan, tables=(table.plan,), computed=(), checks=()), table.plan.source
        result = Result("follow", "", "")
        result.tables = [TableResult(name, f"{plan.schema}.{table.plan.target}")]
        Proof(
            plan=plan,
            workers=self.workers,
            source=self.workers.source,
            target=self._target,
            ranges={name: [Range()]},
            level="full",
            result=result,
            emit=silent,
            tables={name: result.tables[0]},
        ).prove()
        return result


def _sorted_alike(table: Followed) -> int:
    """How many leading columns of the key both servers sort alike, and bounds can be given of."""
    # A row whose key is NULL, in load mode, would be in no range.
    filled = {one.name for one in table.own.columns if not one.nullable}
    pairs = zip(table.plan.keys, table.of_texts, strict=False)
    alike = takewhile(
        lambda pair: pair[1] and _SORTED_ALIKE.match(pair[0].target_type) and pair[0].target in filled, pairs
    )
    return len(list(alike))


def _conditions(
    table: Followed, columns: int, low: Sequence[str] | None, high: Sequence[str] | None
) -> tuple[str, str]:
    """The rows with low < key <= high, on both servers."""
    makes = table.of_texts[:columns]
    bounds = [
        None if bound is None else tuple(make(one) for make, one in zip(makes, bound, strict=True) if make)
        for bound in (low, high)
    ]
    there = _beyond(table, columns, low)
    if high is not None:
        there += f" {'AND' if there else 'WHERE'} ({_names(table, columns)}) <= ({_texts(high)})"
    return where(table.plan.key[:columns], Range(*bounds)), there


def _beyond(table: Followed, columns: int, low: Sequence[str] | None) -> str:
    return "" if low is None else f" WHERE ({_names(table, columns)}) > ({_texts(low)})"


def _names(table: Followed, columns: int) -> str:
    return ",".join(table.key_names[:columns])


def _texts(bound: Sequence[str]) -> str:
    return ",".join(map(pg_text, bound))
