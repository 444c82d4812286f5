"""`converge verify`: both sides as they are now, every row and every column."""

from __future__ import annotations

from contextlib import ExitStack

from converge.errors import TargetError
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Finding
from converge.model.result import Result, TableResult
from converge.mysql import snapshot
from converge.mysql.chunks import cut
from converge.phases.crew import Crew
from converge.phases.verify import VerifyLevel
from converge.pipeline.checks import check_source
from converge.pipeline.options import Options
from converge.pipeline.prepare import Prepared, prepare
from converge.pipeline.prove import prove
from converge.pipeline.timing import phase
from converge.postgres.rights import require_readable


def verify(source: Endpoint, target: Endpoint, options: Options, level: VerifyLevel, emit: Sink) -> Result:
    """Compares the two databases. Writes nothing.

    Raises TargetError when a planned table is missing, and BlockedError for rights that either role lacks.
    """
    result = Result("verify", str(source), str(target))
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(options.jobs))
        with phase(result, emit, "plan"):
            prepared = stack.enter_context(
                prepare(source, target, options, emit, as_recorded=True, first=check_source)
            )
            plan = prepared.plan
            assert prepared.target is not None and prepared.facts is not None
            _require_tables(prepared)
            require_readable(prepared.target, prepared.facts, [table.target for table in plan.tables])
        result.findings = [Finding("V001", "note", "source", "the source may have moved since the migration")]
        tables = {t.source: TableResult(t.source, f"{plan.schema}.{t.target}") for t in plan.tables}
        crew.connect(source, target)
        names = [table.source for table in plan.tables]
        taken = snapshot.take(prepared.source, names, lambda: crew.everyone("begin"))
        result.snapshot = taken.level
        ranges = {table.source: list(cut(prepared.source, table)) for table in plan.tables}
        prove(plan, crew, prepared.target, ranges, level, tables, result, emit)
        result.tables = list(tables.values())
    return result


def _require_tables(prepared: Prepared) -> None:
    assert prepared.facts is not None
    there = prepared.facts.names
    missing = [table.target for table in prepared.plan.tables if table.target not in there]
    if missing:
        raise TargetError(
            f"{len(missing)} planned tables are not in the target schema {prepared.plan.schema}",
            code="T012",
            details=missing[:20],
            hint="converge migrate",
        )
