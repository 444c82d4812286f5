"""Views, and the expressions of indexes, read on both servers and compared as rows are.

Sums of row digests decide first, inside the servers. Where they differ, the drill-down finds the rows, which
are compared by value. What need not be equal, like RAND(), is left out and makes a note.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import psycopg
import pymysql

from converge.errors import SourceError
from converge.model.quote import fit, my_name, pg_name, pg_text
from converge.model.result import Difference, ViewResult, rows_differ
from converge.model.table_plan import WHOLE, Computed, TablePlan
from converge.model.words import counted
from converge.model.work import ViewTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import describe as describe_source
from converge.mysql.query import fetch
from converge.postgres.query import describe as describe_target
from converge.postgres.query import read_only
from converge.run.relation import (
    TOLERANCE,
    Relation,
    Row,
    as_text,
    row_digests,
    row_text,
    sums,
    unequal,
    window,
)
from converge.run.retry import is_gone
from converge.run.suspects import Suspects, by_size
from converge.types.field import Field, shown
from converge.types.results import field

_FETCHED_VALUES = 30_000
"""Values that are fetched at once from each server."""
_LONG = {"json": 16_000, "list": 64_000}
_LONG_TEXT = 1000
"""Bytes up to which other values are fetched; of a longer one only its digest."""
_MOST_SUSPECTS = 1_000_000
_ORDERED_ROWS = 50_000
_EXAMPLES = 5
_LOOKED_AT = 1000
"""Rows among which the one is looked for that is most like another."""
_KEY_COLUMNS = 3
_TIMED_OUT = (3024, "57014")
_NOT_ALLOWED = "42501"
_BROKEN = ("21", "22", "23", "2F", "38", "39", "0A", "42", "P0", "XX")
"""Classes of SQLSTATE for which the target cannot compute what the source does."""


class NotComparedError(Exception):
    """Why there is nothing to compare."""


class BrokenError(Exception):
    """What the target says instead of giving rows."""


class ViewComparison:
    """The comparison of one object, on a worker's connections."""

    def __init__(self, source: WatchedConnection, target: psycopg.Connection[Any], task: ViewTask) -> None:
        self._source, self._target, self._task, self._computed = source, target, task, task.computed
        self._reasons = dict(task.computed.undefined)
        self._deadline = time.monotonic() + 2 * task.seconds
        self._rows: tuple[int | None, int | None] = (None, None)
        self._notes: list[str] = []

    def result(self) -> tuple[ViewResult, list[Difference]]:
        """What came of it, and examples of what differs. Raises the drivers' errors of lost connections."""
        started, one = time.monotonic(), self._computed
        differences: list[Difference] = []
        state: Literal["equal", "differs", "not compared"] = "not compared"
        try:
            with self._bounded():
                differences = self._differences()
            state = "differs" if differences else "equal"
        except (NotComparedError, BrokenError, SourceError, psycopg.Error, pymysql.err.Error) as error:
            reason = self._told(error)
            if isinstance(reason, BrokenError):
                state = "differs"
                differences = [self._difference("rows", _counted(self._rows[0]), str(reason))]
            else:
                self._notes = [str(reason)]
        took = round(time.monotonic() - started, 3)
        why = "; ".join(self._notes)
        return ViewResult(one.kind, one.source, one.target, state, why, *self._rows, took), differences

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Both sessions with limits of time, the source's without one of GROUP_CONCAT."""
        task = self._task
        limit = f"max_execution_time={task.seconds * 1000}"
        fetch(self._source, f"SET SESSION {limit},group_concat_max_len=@@max_allowed_packet")
        try:
            with read_only(self._target, task.schema, task.seconds):
                yield
        finally:
            # A connection that is lost ends the process with its session.
            if self._source.open:
                again = "timestamp=DEFAULT,max_execution_time=0,group_concat_max_len=DEFAULT"
                fetch(self._source, f"SET SESSION {again}")

    def _told(self, error: Exception) -> Exception:
        """What an error says of the comparison. Raises the drivers' errors of lost connections."""
        if not isinstance(error, psycopg.Error | pymysql.err.Error):
            return error
        if is_gone(error) or (isinstance(error, psycopg.Error) and error.sqlstate is None):
            raise error
        side, code, text = "source", error.args[0] if error.args else 0, str(error.args[-1])
        if isinstance(error, psycopg.Error):
            side, code = "target", error.sqlstate or ""
            text = (error.diag.message_primary or str(error)).splitlines()[0]
            if code.startswith(_BROKEN) and code != _NOT_ALLOWED:
                return BrokenError(f"ERROR: {text}")
        if code in _TIMED_OUT:
            return NotComparedError(f"a query of it takes more than {self._task.seconds} s on the {side}")
        return NotComparedError(f"the {side} cannot read it: {text}")

    def _differences(self) -> list[Difference]:
        one = self._computed
        source, target = self._places()
        columns = describe_source(self._source, source)
        there = describe_target(self._target, target, self._task.schema)
        names = [fit(column.name) for column in columns], [column.name for column in there]
        if names[0] != names[1]:
            return [self._difference("columns", *(", ".join(side) for side in names))]
        fields = [field(*pair) for pair in zip(columns, there, strict=True)]
        for place, separator in one.unsorted:
            fields[place] = replace(fields[place], judge="list", separator=separator)
        fields = [replace(field, longest=_LONG.get(field.judge, 0)) for field in fields]
        kept = tuple(field for place, field in enumerate(fields) if place not in self._reasons)
        relation = Relation(one.source, source, target, kept)
        exact = [field for field in kept if field.judge == "text"]
        all_same, same, exact_same = self._sums(relation, (fields, kept, exact))
        if not all_same and WHOLE in self._reasons:
            raise NotComparedError(f"{rows_differ(*self._rows)}, and depend on {self._reasons[WHOLE]}")
        order = [fields[place] for place in one.order]
        found = [] if same else self._drill(relation, order, certain=not exact_same)
        for place in sorted(self._reasons.keys() - {WHOLE}) if not (found or all_same) else ():
            self._note(f"{fields[place].name} was not compared: it depends on {self._reasons[place]}")
        return found or self._order(relation, order, exact)

    def _places(self) -> tuple[str, str]:
        """What stands in FROM."""
        one, table, schema = self._computed, self._task.table, self._task.schema
        if table is None:
            return my_name(one.source), pg_name(schema, one.target)
        index = pg_text(pg_name(schema, one.target))
        parts = ",".join(f"pg_get_indexdef(indexrelid,{place},false)" for place, _ in one.expressions)
        query = f"SELECT {parts} FROM pg_index WHERE indexrelid=to_regclass({index})"
        indexed = self._target.execute(query.encode()).fetchone()
        if indexed is None:
            raise NotComparedError("the target has no such index")
        return _expressions(one, table, schema, indexed)

    def _sums(self, relation: Relation, groups: Iterable[Iterable[Field]]) -> list[bool]:
        """Whether the sums of all rows are equal, for each group of fields."""
        totals = [sums(row_digests(fields)) for fields in groups]
        asked = list(dict.fromkeys(totals))
        broken, there, right = None, None, []
        try:
            listed = ",".join(there for _, there in asked)
            query = f"SELECT extract(epoch from now()),count(*),{listed} FROM {relation.target}"
            ((now, there, *right),) = self._target.execute(query.encode()).fetchall()
            # NOW() of the source is this moment from now on.
            fetch(self._source, f"SET SESSION timestamp={now}")
        except psycopg.Error as error:
            broken = self._told(error)
            if not isinstance(broken, BrokenError):
                raise
        listed = ",".join(here for here, _ in asked)
        ((here, *left),) = fetch(self._source, f"SELECT COUNT(*),{listed} FROM {relation.source}")
        self._rows = (here, there)
        if broken is not None:
            raise broken
        equal = {total: (here, a) == (there, b) for total, a, b in zip(asked, left, right, strict=True)}
        return [equal[total] for total in totals]

    def _drill(self, relation: Relation, order: list[Field], *, certain: bool) -> list[Difference]:
        """Examples of rows that differ by value; none where they only print differently."""
        by_size = [replace(one, judge="size") if one.judge == "list" else one for one in relation.fields]
        long = False
        try:
            for source, target in self._portions(relation):
                left, right, near = unequal(relation.fields, source, target)
                if self._computed.limited and (left or right):
                    left, right, _ = unequal(relation.fields, *self._tied(relation, order, source, target))
                    self._note("" if left or right else "which of the rows that tie LIMIT takes is open")
                long = long or bool(left or right)
                left, right, _ = unequal(by_size, left, right)
                if left or right:
                    return _examples(self._computed.source, relation.fields, left, right)
                if near:
                    self._note(f"approximate numbers differ by no more than {TOLERANCE:g} of their size")
            if long:
                most = _LONG["list"]
                raise NotComparedError(
                    f"lists of more than {most:,} bytes differ, and only their sizes are equal"
                )
        except (NotComparedError, SourceError, psycopg.Error, pymysql.err.Error) as error:
            reason = self._told(error)
            if isinstance(reason, BrokenError) or not certain or self._computed.limited:
                raise reason from error
        if certain and not self._computed.limited:
            here, there = map(_counted, self._rows)
            return [self._difference("rows", here, f"{there}, whose digests differ")]
        return []

    def _portions(self, relation: Relation) -> Iterator[tuple[list[Row], list[Row]]]:
        """Rows of both sides that differ by digest, in portions that memory has room for.

        Equal rows are in the same one. Of a view with LIMIT it is all rows, in their order.
        """
        fetched = max(100, _FETCHED_VALUES // max(1, len(relation.fields)))
        most = max(count or 0 for count in self._rows)
        suspects = Suspects(self._source, self._target, relation, _LONG_TEXT, most)
        if self._computed.limited:
            if most > fetched:
                raise NotComparedError(
                    f"its rows differ, and {most:,} are too many to look at those that tie"
                )
            yield self._ask(relation, suspects.sides[0].values, suspects.sides[1].values, fetched)
            return
        found = {
            one.identity.hex(): max(one.source.total(), one.target.total())
            for one in islice(suspects, _MOST_SUSPECTS)
        }
        if len(found) == _MOST_SUSPECTS:
            raise NotComparedError("too many of its rows differ in text to compare their values")
        for batch in by_size(found, fetched):
            sides = (side.rows(batch, 2 * fetched + 1) for side in suspects.sides)
            here, there = ([row for rows in side.values() for row in rows] for side in sides)
            if max(len(here), len(there)) > 2 * fetched:
                raise NotComparedError("its rows differ in text; too many are alike to compare their values")
            yield here, there
            if time.monotonic() > self._deadline:
                raise NotComparedError("its rows differ in text; there was no time to compare all values")

    def _tied(
        self, relation: Relation, order: list[Field], source: list[Row], target: list[Row]
    ) -> Iterator[list[Row]]:
        """The rows; only the keys of those that tie with the last, or the first: LIMIT may leave them out."""
        places = {relation.fields.index(field) for field in order if field in relation.fields}

        def key(row: Row) -> Row:
            return tuple(value if place in places else None for place, value in enumerate(row))

        ends = {key(rows[-1]) for rows in (source, target) if rows}
        if self._computed.limited == "offset":
            ends |= {key(rows[0]) for rows in (source, target) if rows}
        for rows in (source, target):
            yield [key(row) if key(row) in ends else row for row in rows]

    def _order(self, relation: Relation, order: list[Field], exact: list[Field]) -> list[Difference]:
        """The first place where the rows of an ordered view do not come in the same order."""
        hidden, most = self._computed.hidden, self._rows[0] or 0
        if not (order or hidden) or most < 2:
            return []
        if most > _ORDERED_ROWS:
            self._note(f"its order was not compared: it has more than {_ORDERED_ROWS:,} rows")
            return []
        # Texts are sorted by a collation, of which the other server has none that is quite the same.
        sure = next(
            (n for n, field in enumerate(order) if field.collated or field.judge == "double"), len(order)
        )
        # Whole rows tell whether a key that is not shown makes another order; some may tie.
        whole = [row_digests(exact)] if hidden else []
        shown = [(field.source_value, field.target_value) for field in order] + whole
        source, target = zip(*shown, strict=True)
        here, there = self._ask(relation, source, target, most)
        for number, (one, other) in enumerate(zip(here, there, strict=False), 1):
            if one[:sure] != other[:sure]:
                left, right = (
                    ", ".join("NULL" if value is None else value for value in row) for row in (one, other)
                )
                return [self._difference("order", left, right, f"row {number:,}")]
        if [row[: len(order)] for row in here] != [row[: len(order)] for row in there]:
            self._note("its texts are sorted by another collation in the target")
        elif here != there:
            self._note("its rows come in another order, and what sorts them is not shown")
        return []

    def _ask(
        self, relation: Relation, source: Sequence[str], target: Sequence[str], most: int
    ) -> tuple[list[Row], list[Row]]:
        """These expressions of all rows, in their order."""
        # Two of them can be the same, which a view's columns cannot be.
        here, there = (
            ",".join(f"{text} AS c{number}" for number, text in enumerate(side)) for side in (source, target)
        )
        left = fetch(self._source, f"SELECT {here} FROM {relation.source} LIMIT {most}")
        right = self._target.execute(f"SELECT {there} FROM {relation.target} LIMIT {most}".encode())
        return [tuple(map(as_text, row)) for row in left], [tuple(map(as_text, row)) for row in right]

    def _note(self, text: str) -> None:
        if text and text not in self._notes:
            self._notes.append(text)

    def _difference(self, column: str, source: str, target: str, key: str = "") -> Difference:
        return Difference(self._computed.source, key, column, source, target)


def _expressions(one: Computed, table: TablePlan, schema: str, indexed: Sequence[str]) -> tuple[str, str]:
    """What stands in FROM for an index: the key and the expressions of each row."""
    names = [key.source for key in table.keys]
    names += [f"expression {place}" for place, _ in one.expressions]
    here = [my_name(key.source) for key in table.keys] + [f"({text})" for _, text in one.expressions]
    there = [pg_name(key.target) for key in table.keys] + [f"({text})" for text in indexed]
    source = ",".join(f"{text} AS {my_name(name)}" for text, name in zip(here, names, strict=True))
    target = ",".join(f"{text} AS {pg_name(fit(name))}" for text, name in zip(there, names, strict=True))
    return (
        f"(SELECT {source} FROM {my_name(table.source)}) AS computed",
        f"(SELECT {target} FROM {pg_name(schema, table.target)}) AS computed",
    )


def _examples(view: str, fields: Sequence[Field], left: list[Row], right: list[Row]) -> list[Difference]:
    """Some of the rows that differ, each beside the one of the other side that is most like it."""
    found: list[Difference] = []
    places = range(len(fields))
    right = right[:_LOOKED_AT]

    def key(row: Row, places: Sequence[int]) -> str:
        shown_key = places[:_KEY_COLUMNS]
        return ", ".join(f"{fields[place].name}={shown(str(row[place]))[:40]}" for place in shown_key)

    for row in left[:_EXAMPLES]:
        if not right:
            found.append(Difference(view, key(row, places), None, row_text(row), None))
            continue
        other = max(right, key=lambda one: sum(one[place] == row[place] for place in places))
        right.remove(other)
        same = [place for place in places if row[place] == other[place]]
        for place in places:
            if place not in same:
                values = window(*(value and shown(value) for value in (row[place], other[place])))
                found.append(Difference(view, key(row, same), fields[place].name, *values))
    for row in right[: max(0, _EXAMPLES - len(left))]:
        found.append(Difference(view, key(row, places), None, None, row_text(row)))
    return found


def _counted(rows: int | None) -> str:
    return "readable" if rows is None else counted(rows, "row")
