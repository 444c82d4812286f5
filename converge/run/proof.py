"""The proof: digests of every row and every column, computed inside both servers.

Sums of whole tables decide. Only a table whose sums differ is looked into, by the drill-down, and
its word is final: values that print differently and are the same do not count as a difference.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Literal

import psycopg

from converge.codes import Code
from converge.errors import SourceError
from converge.model.event import Advanced, Sink, phase
from converge.model.extent import Range
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.quote import my_name
from converge.model.result import Changed, Difference, GoingBack, NotCompared, Result, TableResult
from converge.model.table_plan import TablePlan
from converge.model.words import counted
from converge.model.work import Counts, Digest, DigestTask, Drilled, DrillTask
from converge.mysql import snapshot
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import change_counts
from converge.mysql.digest import digest_query as source_digest
from converge.mysql.rows import where
from converge.mysql.snapshot import Snapshot, read_logs
from converge.postgres.digest import Moment, page_ranges, pages_of, rows_of
from converge.postgres.digest import digest_query as target_digest
from converge.run.computed import ask_checks, prove_views
from converge.run.drill_down import Tell as Tell
from converge.run.workers import Workers

_CHANGES = "source changes"

VerifyLevel = Literal["full", "counts", "none"]


def digest_task(
    schema: str, table: TablePlan, here: str | None, there: str | None, since: Moment | None = None
) -> DigestTask:
    """Sums up the digests of the rows of two WHERE clauses; None where a side is not asked. Of the target's
    rows those that were written `since`, where that is told."""
    return DigestTask(
        table.source,
        "" if here is None else source_digest(table, here),
        "" if there is None else target_digest(schema, table, there, since.xid if since else None),
        uncut=any(change.trap == "using" for column in table.columns for change in column.changes),
    )


def count_task(table: TablePlan) -> DigestTask:
    """Counts the source's rows, not by ranges."""
    return DigestTask(table.source, f"SELECT COUNT(*),0 FROM {my_name(table.source)}", "", counts=True)


def require_all_rows(totals: Iterable[Digest], still: Container[str]) -> list[Finding]:
    """Raises SourceError where rows of a table that was held still were counted, and its ranges do not have
    all of them; returns findings of other tables, which may have been written to in between.

    Copy and comparison read the source by the same ranges: what is in none of them would be missed twice.
    """
    found = []
    for total in totals:
        if total.all_read:
            continue
        name = my_name(total.table)
        words = (
            f"{total.table}: the table has {counted(total.counted or 0, 'row')}, and the ranges of its "
            f"primary key have {total.source_rows:,}"
        )
        rebuild = f"CHECK TABLE {name}; ALTER TABLE {name} FORCE;"
        if total.table in still:
            raise SourceError(words, code=Code.S034, hint=rebuild)
        hint = f"compare again while nobody writes to it; where that says the same, {rebuild}"
        found.append(Finding(Code.S034, "note", total.table, f"{words}, at another moment", hint))
    return found


@dataclass(kw_only=True)
class Proof:
    """Two databases compared by a plan, under the workers' snapshot; `result` gets what comes of it."""

    plan: Plan
    workers: Workers
    source: WatchedConnection
    target: psycopg.Connection[Any]
    ranges: dict[str, list[Range]]
    """The source's, by table."""
    level: VerifyLevel
    result: Result
    emit: Sink
    tables: dict[str, TableResult] = field(default_factory=dict)
    """Of all tables of the plan, where they are compared."""
    tell: Tell | None = None
    """Gets every row that differs; `result` has the first of each table."""
    known: Mapping[str, Digest] = field(default_factory=dict)
    """Sums of the source's tables under this very snapshot: of these only the target is asked."""
    since: Moment | None = None
    """Where `known` has the sums of the target's older rows, too."""
    still: Container[str] = frozenset()
    """Tables that are `held_still`."""
    totals: dict[str, Digest] = field(default_factory=dict)
    """What was summed up, by table."""

    def prove(self) -> None:
        """Compares, and gives the verdict; only a full comparison can end in `verified`.

        Raises SourceError where the ranges of a table's key do not have all of its rows.
        """
        result, full = self.result, self.level == "full"
        todo = self.tasks()
        with phase(result, self.emit, "verify", len(todo)):
            self.totals = self._totals(todo)
            result.findings += require_all_rows(self.totals.values(), self.still)
            result.changes = list(self._changes(self.totals))
            result.verdict = "differs" if result.rejects else "migrated"
            if self.level != "none":
                for name, total in self.totals.items():
                    self.tables[name].rows_source = total.source_rows
                    self.tables[name].rows_target = total.target_rows
            if self.level == "counts" and not all(total.equal for total in self.totals.values()):
                result.verdict = "differs"
            if full:
                self._compare_rows()
                same = all(table.verified for table in self.tables.values())
                result.verdict = "verified" if same else "differs"
        self.prove_computed()

    def _totals(self, todo: Sequence[DigestTask]) -> dict[str, Digest]:
        """What was summed up of each table, with what is known of it."""
        totals = {
            name: self.known.get(name, Digest(name)) + asked
            for name, asked in self.sums(todo, "verify").items()
        }
        if self.since is None:
            return totals
        targets = {name: self.plan.table(name).target for name in self.known}
        now = Moment.now(self.target, self.plan.schema, list(targets.values())).shapes
        then, self.since = self.since.shapes, None
        others = {
            name for name, target in targets.items() if not totals[name].equal or now[target] != then[target]
        }
        # The kept sums do not show what others changed in older rows, so sum these tables up in full.
        again = self.sums([task for task in self.tasks() if task.table in others], "verify") if others else {}
        return totals | {name: replace(self.known[name], target_sum=0) + again[name] for name in others}

    def prove_computed(self) -> None:
        """Compares views and the expressions of indexes, with the level `full`, and asks the maps' checks."""
        result, full = self.result, self.level == "full"
        if full:
            tables = [NotCompared("table", one.table, one.why) for one in self.plan.counters]
            result.not_compared += [one for one in tables if one not in result.not_compared]
            result.not_compared += [
                NotCompared("column", f"{table.source}.{column.source}", column.uncompared)
                for table in self.plan.tables for column in table.columns if column.uncompared
            ]  # fmt: skip
        if full and (self.plan.computed or self.plan.mode == "load"):
            with phase(result, self.emit, "views", len(self.plan.computed)):
                prove_views(self.plan, self.workers, result, self.emit)
        if self.plan.checks:
            with phase(result, self.emit, "check", len(self.plan.checks)):
                ask_checks(self.plan, self.workers, result, self.emit)
        if any(one.failed for one in result.checks) or any(one.state == "differs" for one in result.views):
            result.verdict = "differs"

    def tasks(self) -> list[DigestTask]:
        """The queries of both sides, the table of most rows first: its ranges take longest.

        Without a comparison only the rows that declared policies change are counted.
        """
        if self.level == "full":
            sizes = pages_of(self.target, self.plan.schema, self.plan.tables)
            tables = sorted(
                zip(self.plan.tables, sizes, strict=True), key=lambda one: one[0].rows_estimate, reverse=True
            )
            return [task for table, pages in tables for task in self._digests(table, pages)]
        if self.level == "counts":
            return [self._count(table) for table in self.plan.tables]
        return self._change_tasks()

    def _change_tasks(self) -> list[DigestTask]:
        return [replace(self._count(table), target="") for table in self.plan.tables if change_counts(table)]

    def count_changes(self) -> None:
        """Notes in how many rows declared policies change values, as `prove` does, and compares nothing."""
        self.result.changes = list(self._changes(self.sums(self._change_tasks(), "verify")))

    def sums(self, todo: Iterable[DigestTask], phase_: str) -> dict[str, Digest]:
        """Carries the queries out; returns a sum for each table."""
        totals = {table.source: Digest(table.source) for table in self.plan.tables}
        for digest in self.workers.work(todo):
            if isinstance(digest, Digest):
                totals[digest.table] += digest
                if not digest.half:
                    self.emit(Advanced(phase_, digest.table))
        return totals

    def _count(self, table: TablePlan) -> DigestTask:
        changes = "".join(f",{count}" for count in change_counts(table))
        return DigestTask(
            table.source,
            f"SELECT COUNT(*),0{changes} FROM {my_name(table.source)}",
            f"SELECT count(*),0 FROM {rows_of(self.plan.schema, table)}",
        )

    def _digests(self, table: TablePlan, pages: int) -> Iterator[DigestTask]:
        known = table.source in self.known
        ranges = () if known else self.ranges[table.source]
        for part, page in zip_longest(ranges, page_ranges(pages)):
            here = None if part is None else where(table.key, part)
            yield digest_task(self.plan.schema, table, here, page, self.since if known else None)
        if not known and len(ranges) != 1:
            # A table without a range is not empty for that.
            yield count_task(table)

    def _changes(self, totals: Mapping[str, Digest]) -> Iterator[Changed]:
        """What the declared policies did, column by column; those that did nothing are left out."""
        for name, total in totals.items():
            columns = self.plan.table(name).columns
            places = ((column.source, change) for column in columns for change in column.changes)
            for (column, change), rows in zip(places, total.changes, strict=False):
                if rows:
                    yield Changed(name, column, change.trap, change.policy, rows, change.words)

    def _compare_rows(self) -> None:
        """Notes digests, equality and counts of each table, and the first differences."""
        for name, total in self.totals.items():
            self.tables[name].verified = total.equal
            self.tables[name].digest = f"{total.target_sum:x}"
        suspects = [table for table in self.plan.tables if not self.totals[table.source].equal]
        # Workers answer in any order; report differences in the plan's order.
        differences: dict[str, tuple[Difference, ...]] = {}
        tasks = (DrillTask(self.plan.schema, table, self.tell is not None) for table in suspects)
        for answer in self.workers.work(tasks):
            if isinstance(answer, Drilled):
                table_result, total = self.tables[answer.table], self.totals[answer.table]
                counts = answer.counts
                rows = total.source_rows if total.counted in (None, total.target_rows) else total.counted
                if counts == Counts() and (missing := rows - total.target_rows):
                    # Different row counts always differ, even if the drill-down found nothing.
                    counts = Counts(missing=max(missing, 0), extra=max(-missing, 0))
                table_result.verified = counts == Counts()
                table_result.rows_missing, table_result.rows_extra = counts.missing, counts.extra
                table_result.rows_different = counts.different
                differences[answer.table] = answer.first
            elif isinstance(answer, list) and self.tell is not None:
                self.tell(answer)
        self.result.differences = [one for table in suspects for one in differences.get(table.source, ())]

    # ---- what the source has committed since ------------------------------------------------------------

    def look_back(self, then: Snapshot) -> None:
        """Notes whether the source has changed since the snapshot, whose digests were summed up.

        A log that stands where it stood has the answer. Otherwise the source alone is digested again, where
        the comparison was a full one: InnoDB's times of changes are forgotten, and neither its counters nor
        the binary log know of rows that a foreign key's CASCADE has changed. The workers' snapshot ends.
        """
        result, committed = self.result, then.logs.position is not None
        # The redo log is InnoDB's alone.
        tells = committed or not any(one.code == Code.P072 for one in self.plan.findings)
        if tells and then.logs.history is not None and read_logs(self.source).history == then.logs.history:
            log = "binary log, or its GTIDs," if committed else "redo log"
            result.going_back = GoingBack("still", f"the server's {log} has not moved since")
            return
        if self.level == "full":
            result.going_back = self._compared_with_source()
        elif committed:
            result.going_back = GoingBack("moved", "the server has committed changes since the snapshot")
        else:
            how = "the source user may not see where the server's log stands"
            result.going_back = GoingBack("not known", how)
        if committed or result.going_back.tables:
            result.findings.append(_moved(result.going_back))

    def _compared_with_source(self) -> GoingBack:
        todo = [
            DigestTask(table.source, source_digest(table, where(table.key, part)), "")
            for table in self.plan.tables
            for part in self.ranges[table.source]
        ]
        with phase(self.result, self.emit, _CHANGES, len(todo)):
            self.workers.everyone(snapshot.mark(self.source))
            now = self.sums(todo, _CHANGES)
        moved = tuple(
            name
            for name, total in now.items()
            for then in [self.totals[name]]
            if (total.source_rows, total.source_sum) != (then.source_rows, then.source_sum)
        )
        how = "all rows of the source were digested again, and compared with those of the snapshot"
        if not moved and (unsure := [name for name in now if name not in self.still]):
            names = f"of {', '.join(unsure)}, of which there are no snapshots"
            return GoingBack("not known", f"{how}; {names}, with those that were compared")
        return GoingBack("moved" if moved else "still", how, moved, named=True)


def _moved(back: GoingBack) -> Finding:
    message = "the server has committed changes since the snapshot was taken"
    if back.named and not back.tables:
        return Finding(Code.V004, "note", "source", f"{message}, none of them in the tables of this run")
    return Finding(
        Code.V004, "note", "source", f"{message}; the target does not have those of this database",
        "stop the application's writes before the last run", ", ".join(back.tables),
    )  # fmt: skip
