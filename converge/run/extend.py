"""A finished run gets the tables that are new in the source: made, and empty, for `sync` or `follow` to fill.

They are scanned and planned as in a new run, among the tables that are there. The statements that the plan
has more are carried out in one transaction, in which the run's plan in the ledger becomes this one: from then
on every command knows these tables as the run's own. A kill leaves either plan, with its tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from dataclasses import replace
from glob import escape
from typing import Any, get_args

import psycopg

from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.evidence import Evidence
from converge.model.plan import Phase, Plan, digest
from converge.model.recorded import READER, Made, Recorded
from converge.planner.inputs import Selection
from converge.planner.plan import make_plan
from converge.postgres.catalog import read_rows, shape_of
from converge.postgres.history import record_made, replace_plan
from converge.postgres.ledger import lock, run_steps, upgrade
from converge.postgres.made import sequence_values
from converge.run.blockers import blocked
from converge.run.evidence import ask_target, gather
from converge.run.migrate import require_plan_of
from converge.run.options import Options
from converge.run.prepare import Prepared


def require_same_but(run: Recorded, plan: Plan, names: Set[str]) -> None:
    """Raises BlockedError where the plan is another than the run's also without these source tables."""
    if digest(_without(run.plan, names)) != digest(_without(plan, names)):
        require_plan_of(run, plan)


def new_tables(run: Recorded, plan: Plan) -> set[str]:
    """Source tables that the run can get: those that neither it nor another run has migrated.

    None in load mode, where the application's migrations make tables.
    """
    if plan.mode == "load":
        return set()
    known = {table.source for table in run.plan.tables} | run.elsewhere.keys()
    return {table.source for table in plan.tables} - known


def extend(
    run: Recorded, now: Prepared, source: Endpoint, target: Endpoint, options: Options, emit: Sink
) -> Plan:
    """Makes the new tables of a finished run, and returns the plan that it has from now on.

    Raises BlockedError for what stops a run.
    """
    names = new_tables(run, now.plan)
    if not names or run.state != "finished" or run.made is None:
        return now.plan
    there, inputs = now.target, now.inputs
    assert there is not None
    exclude = (*inputs.selection.exclude, *map(escape, run.elsewhere))
    inputs = replace(inputs, selection=Selection(inputs.selection.include, exclude))
    scanned = gather(source, inputs, options, emit, now.position, only=names)
    _, asked = ask_target(replace(inputs, evidence=scanned), there, now.source)
    evidence = replace(asked, refused={**asked.refused, **inputs.evidence.refused})
    plan = make_plan(replace(inputs, evidence=evidence))
    if plan.blocks:
        raise blocked(plan.blocks)
    gone = {table.source for table in run.plan.tables} - {table.source for table in plan.tables}
    require_same_but(run, plan, names | gone | run.elsewhere.keys())
    plan = _with(plan, run.plan, gone)
    lock(there)
    upgrade(target)
    with there.transaction():
        there.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _carry_out(there, run, run.made, plan, evidence)
    return plan


def _carry_out(
    target: psycopg.Connection[Any], run: Recorded, made: Made, plan: Plan, evidence: Evidence
) -> None:
    before = _shape(target, plan.schema)
    done = _numbers(run.plan, plan)
    replace_plan(target, run.run, plan, evidence, done)
    left = [step for step in enumerate(plan.statements) if step[0] not in done.values()]
    order = get_args(Phase)
    run_steps(target, run.run, sorted(left, key=lambda step: order.index(step[1].phase)))
    objects = {name: text for name, text in _shape(target, plan.schema).items() if before.get(name) != text}
    numbers = {name: number for _, name, number, _ in sequence_values(target, plan)}
    after = Made({**made.objects, **objects}, {**numbers, **made.next_values}, READER)
    record_made(target, run.run, after)


def _shape(target: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """What the transaction sees of the schema, each name printed with its schema."""
    with target.transaction(force_rollback=True):
        target.execute("SET LOCAL search_path = pg_catalog")
        return shape_of(read_rows(target, schema))


def _numbers(was: Plan, plan: Plan) -> dict[int, int]:
    """The number of each statement of the run's plan in the new plan."""
    places = defaultdict[Any, list[int]](list)
    for number, one in enumerate(plan.statements):
        places[one.phase, one.object, one.sql].append(number)
    return {
        number: places[one.phase, one.object, one.sql].pop(0) for number, one in enumerate(was.statements)
    }


def _without(plan: Plan, names: Set[str]) -> Plan:
    """The plan without these source tables, and what belongs to them."""
    return replace(
        plan,
        tables=tuple(one for one in plan.tables if one.source not in names),
        statements=tuple(one for one in plan.statements if one.object not in names),
        outcomes=tuple(one for one in plan.outcomes if not _belongs(one.name, names)),
    )


def _with(plan: Plan, was: Plan, gone: Set[str]) -> Plan:
    """The plan with the tables that the source no longer has: the target has them, and they stay named."""
    plan = replace(
        plan,
        tables=(*plan.tables, *(one for one in was.tables if one.source in gone)),
        statements=(*plan.statements, *(one for one in was.statements if one.object in gone)),
        outcomes=(*plan.outcomes, *(one for one in was.outcomes if _belongs(one.name, gone))),
    )
    return replace(plan, digest=digest(plan))


def _belongs(name: str, tables: Set[str]) -> bool:
    return any(f"{name}.".startswith(f"{table}.") for table in tables)
