"""The proof of what the target computes: views and expressions of indexes, under the workers' snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from converge.codes import Code
from converge.model.event import Advanced, Sink
from converge.model.plan import Finding, Plan
from converge.model.result import Difference, Result, ViewResult
from converge.model.work import ViewTask
from converge.phases.workers import Workers

PHASE = "views"


def compare_views(plan: Plan, workers: Workers, result: Result, emit: Sink) -> None:
    """Notes in `result` what came of each view and index; one that differs changes the verdict."""
    refused = {one.object for one in result.findings if one.code == Code.P052}
    tables = {table.source: table for table in plan.tables}
    todo = {one.source: ViewTask(plan.schema, one, tables.get(one.table))
            for one in plan.computed if one.source not in refused}  # fmt: skip
    other = _other_rows(result)
    done: dict[str, tuple[ViewResult, list[Difference]]] = {}
    for answer in workers.work(todo.values()):
        if isinstance(answer, tuple):
            done[answer[0].name] = answer
            emit(Advanced(PHASE, answer[0].name))
    for name, task in todo.items():
        one, differences = done[name]
        reads = [other[table] for table in task.computed.reads if table in other]
        if differences and reads:
            one = replace(one, state="not compared", why=f"its rows differ, and it reads {reads[0]}")
            differences = []
        result.views.append(one)
        result.differences += differences
    result.findings += _findings(plan, result.views)
    if any(one.state == "differs" for one in result.views):
        result.verdict = "differs"


def _other_rows(result: Result) -> Mapping[str, str]:
    """Tables that do not have the source's rows in the target, as is said already, in words."""
    differing = {one.table: f"{one.table}, whose rows differ" for one in result.differences}
    changed = {one.table: f"{one.table}, of which the map changes values" for one in result.changes}
    rejected = {one.table: f"{one.table}, of which rows were rejected" for one in result.rejects}
    return differing | changed | rejected


def _findings(plan: Plan, views: Iterable[ViewResult]) -> Iterator[Finding]:
    for one in views:
        if one.state == "not compared":
            yield Finding(
                Code.V120, "note", one.name, f"the {one.kind} {one.name} was not compared: {one.why}"
            )
        elif one.why:
            yield Finding(Code.V121, "note", one.name, f"the {one.kind} {one.name}: {one.why}")
    own = [one.name for one in plan.outcomes if one.kind == "view" and one.becomes]
    if plan.mode == "load" and own:
        said = "view that both sides have was not compared: the target's is its own"
        if len(own) > 1:
            said = "views that both sides have were not compared: the target's are its own"
        message = f"{len(own):,} {said}"
        yield Finding(Code.V122, "note", "views", message, evidence=", ".join(own))
