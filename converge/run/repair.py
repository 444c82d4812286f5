"""`verify --repair`: the target's rows that differ are replaced by the source's, all in one transaction.

What differs is told by the drill-down, row by row. The target's rows go, and the source's come by the
copy's own SELECT and COPY, under the snapshot that was compared (`run/choose`, `run/replace`), between the
statements of `run/repair_task`.

A row that only the target has goes where the run or an earlier repair has written it, which its xmin shows;
else its writer may be the application, and its table has to be named.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from converge.codes import Code
from converge.errors import BlockedError, TargetError
from converge.files import folder_of_rows
from converge.model.arguments import Checked
from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, phase
from converge.model.extent import Range
from converge.model.finding import Finding
from converge.model.recovery import Approve, Removal
from converge.model.table_plan import TablePlan
from converge.model.words import counted, said
from converge.model.work import (
    Digest,
    DigestTask,
    Fetched,
    FetchTask,
    FindTask,
    RecordsTask,
    Repaired,
)
from converge.mysql.digest import change_counts
from converge.mysql.rows import where
from converge.planner.inputs import Selection, require_match
from converge.postgres.digest import pages_of
from converge.postgres.ledger import upgrade, writers
from converge.run.compared import Compared
from converge.run.comparison import Comparison
from converge.run.options import RESUME
from converge.run.proof import count_task, require_all_rows
from converge.run.repair_task import repair_task
from converge.run.replace import OnSql
from converge.run.snapshot import held_still
from converge.run.suspects import WHOLE_ROWS, about_rows, pages_at_once
from converge.run.unlike import parts_of

_PAGES = 8
"""Parts of a table of the target in one task."""
_FETCHES = 4
"""Ranges of a table in which the source's rows are fetched."""


@dataclass(frozen=True, slots=True)
class Repair(Checked):
    """What `verify` may do about rows that differ."""

    delete_extra: tuple[str, ...] = ()
    """Patterns of source tables: rows that only the target has go there, whoever has written them."""
    approve: Approve | None = None
    """Is asked before rows are replaced, and may raise."""
    on_sql: OnSql | None = None
    """Gets the statements as a script for psql, in pieces; then nothing is carried out."""
    catches_up: bool = False
    """The source is expected to have moved: next values follow also where no row differs, rows that others
    have changed in the target stay, and the source is looked at once more in the end."""


def require_repairable(both: Compared, repair: Repair) -> None:
    """Raises UsageError for a pattern that no table matches, BlockedError where no finished run is there."""
    names = [table.source for table in both.plan.tables]
    require_match("delete-extra", repair.delete_extra, names)
    if both.run is not None and both.run.state != "finished":
        raise BlockedError(
            f"run {both.run.id} is {both.run.state}, and only a finished run's rows are repaired",
            code=Code.V123,
            hint=RESUME,
        )


def carry_out(on: Comparison, target: Endpoint, suspects: Mapping[str, int], repair: Repair) -> list[Finding]:
    """Repairs what differs of these source tables, each with the number of rows that are known to, and the
    next values of all sequences.

    Returns what came of it. Raises BlockedError for tables that cannot be repaired; then nothing is.
    """
    both = on.both
    if not repair.on_sql:
        if repair.approve is not None and suspects:
            repair.approve(Removal("repair", str(target), tuple(suspects.items())))
        if both.run is not None:
            upgrade(target)
    with folder_of_rows() as folder:
        tables = sorted(map(on.plan.table, suspects), key=lambda table: table.rows_estimate, reverse=True)
        places = {table.source: Path(folder, str(number)) for number, table in enumerate(tables)}
        differing = _Rows(on, tables, places, repair).found()
        found = [differing[name] for name in on.ranges if name in differing]
        with phase(on.result, on.emit, "repair"):
            files = {one.table: [file for _, file in _fetches(on, one, places)] for one in found}
            task = repair_task(both, on.plan, found, places, files, as_script=repair.on_sql is not None)
            _fetch(on, found, places)
            for answer in on.workers.work([task]):
                if isinstance(answer, bytes) and repair.on_sql:
                    repair.on_sql(answer)
    return list(_findings(found, repair))


class _Rows:
    """The comparison of single rows: the digests of both sides of a table, and then what differs of it."""

    def __init__(
        self, on: Comparison, tables: Sequence[TablePlan], places: Mapping[str, Path], repair: Repair
    ) -> None:
        self._on, self._places, self._repair = on, places, repair
        self._named = Selection(repair.delete_extra)
        both = on.both
        self._ours = writers(both.target, both.run.id) if both.run else {}
        self._todo = deque[RecordsTask | FindTask | DigestTask]()
        self._finds, self._left, self._sums = dict[str, FindTask](), Counter[str](), dict[str, Digest]()
        for table, pages in zip(tables, pages_of(both.target, on.plan.schema, tables), strict=True):
            self._add(table, pages)

    def _add(self, table: TablePlan, pages: int) -> None:
        name, place, rows = table.source, self._places[table.source], about_rows(table, pages)
        place.mkdir()
        find = FindTask(
            self._on.plan.schema, table, f"{place}/keys", tuple(self._ours.get(name, ())),
            bool(self._repair.delete_extra) and self._named.takes(name), self._repair.catches_up,
        )  # fmt: skip
        if rows >= WHOLE_ROWS:
            self._todo.append(find)
            return
        task = RecordsTask(self._on.plan.schema, table, str(place), parts_of(rows))
        self._finds[name] = replace(find, folder=task.folder, parts=task.parts)
        self._sums[name] = Digest(name)
        ranges = self._on.ranges[name]
        asked: list[RecordsTask | DigestTask] = [*_records(task, ranges, pages)]
        if len(ranges) > 1:
            asked.insert(0, count_task(table))
        self._left[name] = len(asked)
        self._todo += asked

    def found(self) -> dict[str, Repaired]:
        """What differs of each table; its folder gets the file that says which rows."""
        on, found = self._on, dict[str, Repaired]()
        with phase(on.result, on.emit, "compare", len(self._todo) + len(self._finds)):
            for answer in on.workers.work(self._tasks()):
                if isinstance(answer, Digest):
                    self._note(answer)
                elif isinstance(answer, Repaired):
                    found[answer.table] = answer
                if isinstance(answer, Digest | Repaired):
                    on.emit(Advanced("compare", answer.table))
        # Check first: a source row outside all key ranges would look like an extra row of the target and be
        # deleted.
        require_all_rows(self._sums.values(), held_still(on.both.catalog, on.result.snapshot))
        on.know(
            replace(one, target_sum=one.target_sum - found[name].gone_sum)
            for name, one in self._sums.items()
            # The proof counts what policies change, too; rows that a merge has kept may change their side.
            if not change_counts(on.plan.table(name)) and on.plan.table(name).rows != "merge"
        )
        return found

    def _tasks(self) -> Iterator[RecordsTask | FindTask | DigestTask | None]:
        while self._todo or self._left:
            yield self._todo.popleft() if self._todo else None

    def _note(self, digest: Digest) -> None:
        name = digest.table
        self._sums[name] += digest
        self._left[name] -= 1
        if not self._left[name]:
            del self._left[name]
            # Put it first: it can run while other tables are still read.
            self._todo.appendleft(self._finds[name])


def _records(task: RecordsTask, ranges: Sequence[Range], pages: int) -> Iterator[RecordsTask]:
    """The ranges of both sides, so that both servers work at the same time."""
    here = (where(task.table.key, part) for part in ranges)
    listed = list(pages_at_once(pages))
    there = (tuple(listed[start : start + _PAGES]) for start in range(0, len(listed), _PAGES))
    for part, some in zip_longest(here, there):
        if part is not None:
            yield replace(task, part=part)
        if some is not None:
            yield replace(task, pages=some)


def _fetch(on: Comparison, found: Sequence[Repaired], places: Mapping[str, Path]) -> None:
    """Reads the source's rows that are to come, so that the target's tables are locked only to be written."""
    todo = [
        FetchTask(on.plan.schema, on.plan.table(one.table), f"{places[one.table]}/keys", part, file)
        for one in found
        for part, file in _fetches(on, one, places)
    ]
    rows = Counter[str]()
    for answer in on.workers.work(todo):
        if isinstance(answer, Fetched):
            rows[answer.table] += answer.rows
    still = held_still(on.both.catalog, on.result.snapshot)
    for one in found:
        if rows[one.table] != one.come and one.table not in still:
            raise BlockedError(
                f"{one.table}: rows have been written in the source meanwhile; nothing has been changed",
                code=Code.V123,
                hint="no snapshot holds it still: run it again while nobody writes to it",
            )
        if rows[one.table] != one.come:
            raise TargetError(
                f"{one.table}: {counted(one.come, 'row')} compared, {rows[one.table]:,} read; "
                "nothing has been changed",
                code=Code.R002,
            )


def _fetches(on: Comparison, one: Repaired, places: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Conditions of ranges of the source, each with the file that gets its rows."""
    ranges = on.ranges[one.table]
    size = -(-len(ranges) // _FETCHES)
    for start in range(0, len(ranges) if one.come else 0, size):
        part = Range(ranges[start].low, ranges[min(start + size, len(ranges)) - 1].high)
        condition = where(on.plan.table(one.table).key, part) or " WHERE true"
        yield condition, f"{places[one.table]}/{start}.rows"


def _findings(done: Sequence[Repaired], repair: Repair) -> Iterator[Finding]:
    word = "to be repaired" if repair.on_sql else "repaired"
    changed = [one for one in done if one.inserted or one.replaced or one.deleted]
    if changed:
        yield _changed(changed, word)
    if kept := [one for one in done if one.kept]:
        rows = sum(one.kept for one in kept)
        words = said(rows, f"were not written by the run and stay{'s' * (rows == 1)}")
        more = "the source does not have them: --delete-extra TABLE deletes them"
        if repair.catches_up:
            more = (
                "converge verify --repair replaces those that the source has, too, and --delete-extra TABLE "
                "deletes those that it does not have"
            )
        yield Finding(
            Code.V119, "note", "target", f"{words}; {more}",
            " ".join(f"--delete-extra {one.table}" for one in kept),
            evidence="; ".join(f"{one.table}: {one.kept:,}" for one in kept),
        )  # fmt: skip


def _changed(changed: Sequence[Repaired], word: str) -> Finding:
    verbs = ("inserted", "replaced", "deleted")
    listed = ", ".join(f"{sum(getattr(one, verb) for one in changed):,} {verb}" for verb in verbs)
    if overwritten := sum(one.overwritten for one in changed):
        listed += f", {overwritten:,} of the replaced ones not written by the run"
    return Finding(
        Code.V118, "note", "target", f"{word}: {counted(len(changed), 'table')}; rows: {listed}",
        evidence="; ".join(map(str, changed)),
    )  # fmt: skip
