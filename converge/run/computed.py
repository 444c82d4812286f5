"""What both sides compute from their rows, compared: views, the expressions of indexes, the maps' checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from converge.codes import Code
from converge.model.check import CheckResult
from converge.model.event import Advanced, Sink
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.result import Difference, Result, ViewResult, rows_differ
from converge.model.work import CheckTask, ViewTask
from converge.run.workers import Workers


def prove_views(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    """Compares what views and the expressions of indexes give; notes what came of each."""
    refused = {one.object for one in result.findings if one.code == Code.P052}
    tables = {table.source: table for table in plan.tables}
    # A view may be called as an index is told: table.index.
    todo = {(one.kind, one.source): ViewTask(plan.schema, one, tables.get(one.table))
            for one in plan.computed if one.source not in refused}  # fmt: skip
    # Tables that do not have the source's rows in the target, as is said already.
    other = {one.table: f"{one.table}, whose rows differ" for one in result.differences}
    other |= {one.table: f"{one.table}, of which the map changes values" for one in result.changes}
    other |= {one.table: f"{one.table}, of which rows were rejected" for one in result.rejects}
    done: dict[tuple[str, str], tuple[ViewResult, list[Difference]]] = {}
    for answer in workers.work(todo.values()):
        if isinstance(answer, tuple):
            done[answer[0].kind, answer[0].name] = answer
            emit(Advanced("views", answer[0].name))
    for which, task in todo.items():
        one, differences = done[which]
        reads = [other[table] for table in task.computed.reads if table in other]
        if differences and reads:
            why = f"{rows_differ(one.rows_source, one.rows_target)}, and it reads {reads[0]}"
            one = replace(one, state="not compared", why=why)
            differences = []
        result.views.append(one)
        result.differences += differences
    # A cutover compares some views in its window, and all others before it.
    result.findings += [one for one in _view_findings(plan, result) if one not in result.findings]


def _view_findings(plan: Plan, result: Result) -> Iterator[Finding]:
    for one in result.views:
        if one.state == "not compared":
            message = f"the {one.kind} {one.name} was not compared: {one.why}"
            yield Finding(Code.V120, "note", one.name, message)
        elif one.why:
            yield Finding(Code.V121, "note", one.name, f"the {one.kind} {one.name}: {one.why}")
    if own := plan.own_views:
        said = "view that both sides have was not compared: the target's is its own"
        if len(own) > 1:
            said = "views that both sides have were not compared: the target's are its own"
        yield Finding(Code.V122, "note", "views", f"{len(own):,} {said}", evidence=", ".join(own))


def ask_checks(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    """Notes what came of each check: C001 where it failed, C002 where its query did."""
    done: dict[str, CheckResult] = {}
    todo = []
    there = {outcome.name for outcome in plan.outcomes if outcome.kind == "table"}
    for check in plan.checks:
        if lacking := [name for name in check.where_source_has if name not in there]:
            message = f"the source has no table {', '.join(lacking)}"
            done[check.place] = CheckResult(
                check.name, "skipped", check.wants, message=message, why=check.why, place=check.place
            )
        else:
            todo.append(CheckTask(check, plan.schema))
    for one in workers.work(todo):
        if isinstance(one, CheckResult):
            done[one.place] = one
            emit(Advanced("check", one.name))
    results = [done[check.place] for check in plan.checks]
    result.checks += results
    for one in results:
        if one.failed:
            code = Code.C001 if one.state == "differs" else Code.C002
            result.findings.append(Finding(code, "block", one.place, str(one), evidence=one.why))
