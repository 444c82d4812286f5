"""A comparison of all rows, which a repair may repeat without asking for all sums again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from converge.model.event import Sink
from converge.model.extent import Range
from converge.model.plan import Plan
from converge.model.result import Result, TableResult
from converge.model.work import Digest
from converge.postgres.digest import Moment
from converge.run.compared import Compared
from converge.run.proof import Proof, Tell, VerifyLevel
from converge.run.snapshot import held_still
from converge.run.workers import Workers


@dataclass(kw_only=True)
class Comparison:
    """Both sides under the workers' snapshot of the source; `result` gets what comes of it."""

    both: Compared
    plan: Plan
    workers: Workers
    ranges: dict[str, list[Range]]
    """The source's, by table."""
    level: VerifyLevel
    result: Result
    emit: Sink
    require_schema: Callable[[], None]
    """Raises SourceError when a table is no longer what was planned (`run/snapshot`)."""
    known: dict[str, Digest] = field(default_factory=dict)
    """Sums, by table, where the last proof need not ask for them again: of the source, and of the target's
    rows that are older than `since` and stay. These are counted again."""
    since: Moment | None = None
    """When the target's rows were read."""

    def prove(self, tell: Tell | None = None) -> Proof:
        """Compares all rows."""
        plan, result = self.plan, self.result
        tables = {t.source: TableResult(t.source, f"{plan.schema}.{t.target}") for t in self.both.plan.tables}
        proof = Proof(
            plan=plan,
            workers=self.workers,
            source=self.both.source,
            target=self.both.target,
            ranges=self.ranges,
            level=self.level,
            result=result,
            emit=self.emit,
            tables=tables,
            tell=tell,
            known=self.known,
            since=self.since,
            still=held_still(self.both.catalog, result.snapshot),
        )
        proof.prove()
        self.require_schema()
        # Of views; those of tables went to `tell` already.
        others = [one for one in result.differences if one.table not in tables]
        if tell is not None and others:
            tell(others)
        result.tables = list(tables.values())
        return proof

    def know(self, sums: Iterable[Digest]) -> None:
        """Keeps the sums of the tables that a snapshot of the source holds still."""
        still = held_still(self.both.catalog, self.result.snapshot)
        self.known |= {
            one.table: replace(one, target_rows=0, target_sum=one.target_sum if self.since else 0)
            for one in sums
            if one.table in still
        }
