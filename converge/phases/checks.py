"""The checks of the maps, once the rows are there: by the workers, under the snapshot of the copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from converge.codes import Code
from converge.model.check import Check, CheckResult
from converge.model.event import Advanced, Sink
from converge.model.plan import Finding, Plan
from converge.model.work import CheckTask
from converge.phases.workers import Workers

PHASE = "check"


def run_checks(plan: Plan, workers: Workers, emit: Sink) -> list[CheckResult]:
    """What came of each check, in the plan's order."""
    done: dict[str, CheckResult] = {}
    todo = []
    there = {outcome.name for outcome in plan.outcomes if outcome.kind == "table"}
    for check in plan.checks:
        if lacking := [name for name in check.where_source_has if name not in there]:
            done[check.place] = _passed_over(check, lacking)
        else:
            todo.append(CheckTask(check, plan.schema, bool(check.source)))
    for result in workers.work(todo):
        if isinstance(result, CheckResult):
            done[result.place] = result
            emit(Advanced(PHASE, result.name))
    return [done[check.place] for check in plan.checks]


def findings(results: Iterable[CheckResult]) -> Iterator[Finding]:
    """C001 for each that does not hold, C002 for each whose query failed."""
    for one in results:
        if one.failed:
            code = Code.C001 if one.state == "differs" else Code.C002
            yield Finding(code, "block", one.place, str(one), evidence=one.why)


def _passed_over(check: Check, lacking: list[str]) -> CheckResult:
    message = f"the source has no table {', '.join(lacking)}"
    return CheckResult(
        check.name, "passed over", check.wants, message=message, why=check.why, place=check.place
    )
