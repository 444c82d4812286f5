"""Views, and the expressions of indexes, read on both servers and compared as rows are.

Sums of row digests decide first, inside the servers. Where they differ, rows are fetched, a bounded number at
once, and compared by value: JSON by what it means, approximate numbers within a tolerance, because their sums
depend on the order of rows. What need not be equal, like RAND(), makes a note and not a difference.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Literal

from converge.model.plan import Computed, TablePlan
from converge.model.quote import fit, my_name, pg_name, pg_text
from converge.model.result import Difference, ViewResult
from converge.model.work import ViewTask
from converge.mysql.digest import number as source_number
from converge.planner.views import WHOLE
from converge.postgres.digest import number as target_number
from converge.run.view_rows import (
    LONG,
    TOLERANCE,
    BrokenError,
    NotComparedError,
    Row,
    Sides,
    examples,
    leftover,
    without_ties,
)
from converge.types.results import Texts, texts

_FETCHED_VALUES = 30_000
"""Values that are fetched at once from each server."""
_LONG = {"text": 1000, "double": 1000, "json": 16_000}
_LONG_PARTS = 64_000
"""Bytes up to which a value is fetched; of a longer one only its digest."""
_ORDERED_ROWS = 50_000


class ViewComparison:
    """The comparison of one object."""

    def __init__(self, sides: Sides, task: ViewTask) -> None:
        self._sides, self._task, self._computed = sides, task, task.computed
        self._reasons = dict(task.computed.undefined)
        self._ignored = self._reasons.keys() - {WHOLE}
        self._deadline = time.monotonic() + 2 * task.seconds
        self._rows: tuple[int | None, int | None] = (None, None)
        self._notes: list[str] = []

    def result(self) -> tuple[ViewResult, list[Difference]]:
        """What came of it, and examples of what differs. Raises the drivers' errors of lost connections."""
        started, one = time.monotonic(), self._computed
        differences: list[Difference] = []
        state: Literal["equal", "differs", "not compared"]
        with self._sides.settled():
            try:
                differences = self._differences()
                state = "differs" if differences else "equal"
            except NotComparedError as reason:
                state, self._notes = "not compared", [str(reason)]
            except BrokenError as error:
                state, differences = (
                    "differs",
                    [self._difference("rows", _counted(self._rows[0]), str(error))],
                )
        took = round(time.monotonic() - started, 3)
        why = "; ".join(self._notes)
        return ViewResult(one.kind, one.source, one.target, state, why, *self._rows, took), differences

    def _differences(self) -> list[Difference]:
        if not self._find_columns():
            return [self._difference("columns", *(", ".join(names) for names in self._both_names))]
        same, certain = self._sums()
        if not same and WHOLE in self._reasons:
            raise NotComparedError(f"its rows differ, and depend on {self._reasons[WHOLE]}")
        found = [] if same else self._drill(certain=certain)
        return found or self._order()

    def _find_columns(self) -> bool:
        """Whether both sides have the same columns; finds how to compare them."""
        one, table, schema = self._computed, self._task.table, self._task.schema
        if table is None:
            self._from_source, self._from_target = my_name(one.source), pg_name(schema, one.target)
        else:
            index = pg_text(pg_name(schema, one.target))
            parts = ",".join(f"pg_get_indexdef(indexrelid,{place},false)" for place, _ in one.expressions)
            rows = self._sides.target(f"SELECT {parts} FROM pg_index WHERE indexrelid=to_regclass({index})")
            if not rows:
                raise NotComparedError("the target has no such index")
            self._from_source, self._from_target = _expressions(one, table, schema, rows[0])
        here, there = self._sides.described(self._from_source, self._from_target)
        self._names = [column.name for column in here]
        self._both_names = [fit(name) for name in self._names], [column.name for column in there]
        if self._both_names[0] != self._both_names[1]:
            return False
        self._columns = [texts(column, other) for column, other in zip(here, there, strict=True)]
        loose = {n for n, column in enumerate(self._columns) if column.judge != "text"}
        loose |= self._ignored | dict(one.unsorted).keys()
        self._exact = [column for n, column in enumerate(self._columns) if n not in loose]
        self._fetched = max(100, _FETCHED_VALUES // len(self._columns))
        return True

    def _sums(self) -> tuple[bool, bool]:
        """Whether the sums of all rows are equal, and whether those of the exact columns differ."""
        # A second sum only where there are columns whose values decide, not their texts.
        groups = [self._columns] + [self._exact] * (self._exact != self._columns)
        broken, there, right = None, None, []
        try:
            sums = [f"sum({target_number(_target_digest(group))})" for group in groups]
            query = _select("extract(epoch from now())", "count(*)", *sums)
            ((now, there, *right),) = self._sides.target(f"{query} FROM {self._from_target}")
            self._sides.stop_clock(now)
        except BrokenError as error:
            broken = error
        query = _select("COUNT(*)", *(f"SUM({source_number(_source_digest(group))})" for group in groups))
        ((here, *left),) = self._sides.source(f"{query} FROM {self._from_source}")
        self._rows = (here, there)
        if broken is not None:
            raise broken
        return (here, left) == (there, right), (here, left[-1]) != (there, right[-1])

    def _drill(self, *, certain: bool) -> list[Difference]:
        """Examples of rows that differ by value; none where they only print differently."""
        one = self._computed
        try:
            for source, target in self._portions():
                left, right, near = leftover(source, target, self._columns, one)
                if one.limited and (left or right):
                    left, right = without_ties(one, source, target, left, right)
                    self._note("" if left or right else "which of the rows that tie LIMIT takes is open")
                if left or right:
                    return examples(one.source, self._names, left, right, self._ignored)
                if near:
                    self._note(f"approximate numbers differ by no more than {TOLERANCE:g} of their size")
        except NotComparedError:
            if not certain:
                raise
        for place in sorted(self._ignored):
            self._note(f"{self._names[place]} was not compared: it depends on {self._reasons[place]}")
        if certain and not one.limited:
            here, there = map(_counted, self._rows)
            return [self._difference("rows", here, f"{there}, whose digests differ")]
        return []

    def _portions(self) -> Iterator[tuple[list[Row], list[Row]]]:
        """All rows of both sides, in portions that memory has room for; equal rows are in the same one."""
        most = max(count or 0 for count in self._rows)
        if most <= self._fetched:
            yield self._values("", "")
            return
        if self._computed.limited:
            raise NotComparedError(f"its rows differ, and {most:,} are too many to look at those that tie")
        parts = most // self._fetched + 1
        for columns in self._exact[:1], self._exact:
            here, there = source_number(_source_digest(columns)), target_number(_target_digest(columns))
            for number in range(parts if columns else 0):
                rows = self._values(f" WHERE {here}%{parts}={number}", f" WHERE {there}%{parts}={number}")
                if max(map(len, rows)) > 2 * self._fetched:
                    break
                yield rows
                if time.monotonic() > self._deadline:
                    raise NotComparedError("its rows differ in text; there was no time to compare all values")
            else:
                return
        raise NotComparedError("its rows differ in text; too many are alike to compare their values")

    def _values(self, here: str, there: str) -> tuple[list[Row], list[Row]]:
        most = 2 * self._fetched + 1
        parts = dict(self._computed.unsorted)
        longest = [_LONG_PARTS if n in parts else _LONG[one.judge] for n, one in enumerate(self._columns)]
        sizes = list(zip(self._columns, longest, strict=True))
        source = _select(*(_short(one.source_shown, "LENGTH", size) for one, size in sizes))
        target = _select(*(_short(one.target_shown, "octet_length", size) for one, size in sizes))
        return (
            self._sides.source_rows(f"{source} FROM {self._from_source}{here}", most),
            self._sides.target_rows(f"{target} FROM {self._from_target}{there}", most),
        )

    def _order(self) -> list[Difference]:
        """The first place where the rows of an ordered view do not come in the same order."""
        shown, hidden = self._computed.order, self._computed.hidden
        keys = [self._columns[place] for place in shown]
        most = self._rows[0] or 0
        if not (keys or hidden) or most < 2:
            return []
        if most > _ORDERED_ROWS:
            self._note(f"its order was not compared: it has more than {_ORDERED_ROWS:,} rows")
            return []
        # Texts are sorted by a collation, of which the other server has none that is quite the same.
        sure = next((n for n, key in enumerate(keys) if key.text or key.judge == "double"), len(keys))
        # Whole rows tell whether a key that is not shown makes another order; some may tie.
        whole = (_source_digest(self._exact), _target_digest(self._exact)) if hidden else ()
        source = _select(*(key.source_shown for key in keys), *whole[:1])
        target = _select(*(key.target_shown for key in keys), *whole[1:])
        here = self._sides.source_rows(f"{source} FROM {self._from_source}", most)
        there = self._sides.target_rows(f"{target} FROM {self._from_target}", most)
        for number, (one, other) in enumerate(zip(here, there, strict=False), 1):
            if one[:sure] != other[:sure]:
                return [self._difference("order", _row(one), _row(other), f"row {number:,}")]
        if [row[: len(keys)] for row in here] != [row[: len(keys)] for row in there]:
            self._note("its texts are sorted by another collation in the target")
        elif here != there:
            self._note("its rows come in another order, and what sorts them is not shown")
        return []

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


def _select(*expressions: str) -> str:
    """With names of their own, because two of them can be the same."""
    return "SELECT " + ",".join(f"{text} AS c{number}" for number, text in enumerate(expressions))


def _source_digest(columns: Sequence[Texts]) -> str:
    return f"MD5(CONCAT_WS('|',{','.join(['0', *(one.source for one in columns)])}))"


def _target_digest(columns: Sequence[Texts]) -> str:
    # An array, because a function takes no more than 100 arguments.
    return f"md5(concat_ws('|',VARIADIC ARRAY[{','.join(['0::text', *(one.target for one in columns)])}]))"


def _short(text: str, length: str, most: int) -> str:
    """The text, or what tells one long text from another."""
    digest = f"CONCAT({length}({text}),'{LONG}',MD5({text}))"
    return f"CASE WHEN {length}({text})>{most} THEN {digest} ELSE {text} END"


def _counted(rows: int | None) -> str:
    return "readable" if rows is None else f"{rows:,} rows"


def _row(row: Row) -> str:
    return ", ".join("NULL" if value is None else value for value in row)
