"""A finished run gets the tables that are new in the source: empty, for `sync` and `follow` to fill.

They are scanned and planned as in a new run, among the tables that are there. The statements that the plan
has more are carried out in one transaction, in which the run's plan in the ledger becomes this one: from then
on every command knows these tables as the run's own. A kill leaves either plan, with its tables.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from glob import escape
from typing import Any, get_args

import psycopg

from converge.errors import BlockedError, listed
from converge.model.catalog import Catalog
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.evidence import Evidence
from converge.model.plan import Phase, Plan, digest
from converge.model.quote import pg_name
from converge.model.recorded import Recorded
from converge.planner.inputs import Selection
from converge.planner.plan import make_plan
from converge.postgres.catalog import read_rows, shape_of
from converge.postgres.ledger import run_steps, upgrade
from converge.postgres.lock import lock
from converge.postgres.next_values import sequence_values
from converge.postgres.recorded import record_made, recorded_made, replace_plan
from converge.postgres.target import occupied
from converge.run.blockers import blocked
from converge.run.compared import narrowed
from converge.run.evidence import ask_target, gather
from converge.run.migrate import require_plan_of
from converge.run.options import Options
from converge.run.prepare import Prepared

_SHOWN = 5


def _require_same_but_tables(run: Recorded, plan: Plan, catalog: Catalog) -> None:
    """Raises BlockedError where more is another than in the run's plan than which tables there are."""
    names = _tables(run.plan) ^ _tables(plan) | run.elsewhere.keys()
    # A trigger goes with its table, and its outcome does not say with which.
    triggers = {one.name for one in catalog.routines if one.table in names}
    there = {one.name for one in catalog.routines} | _triggers_of_others(run.plan, names)
    gone = {one.name for one in run.plan.outcomes if one.kind == "trigger" and one.name not in there}
    was, now = (_without(one, names, triggers | gone) for one in (run.plan, plan))
    if digest(was) != digest(now):
        require_plan_of(replace(run, plan=was), now)


def _triggers_of_others(plan: Plan, names: Set[str]) -> set[str]:
    """Triggers that the plan makes on other tables than these."""
    others = [f" ON {pg_name(plan.schema, one.target)} " for one in plan.tables if one.source not in names]
    return {
        one.object
        for one in plan.statements
        if one.phase == "trigger" and any(place in one.sql for place in others)
    }


def _tables(plan: Plan) -> set[str]:
    """All tables of the source, also those that are not migrated."""
    return {one.name for one in plan.outcomes if one.kind == "table"} | plan.targets.keys()


def extend(
    run: Recorded,
    now: Prepared,
    source: Endpoint,
    target: Endpoint,
    options: Options,
    emit: Sink,
    *,
    dry_run: bool = False,
) -> Plan:
    """Gives a finished run its new tables, and takes those from its plan that neither side has any more;
    `dry_run` only looks whether that can be.

    Returns the plan that the run has from now on, without tables of other runs and those that the source
    no longer has. In load mode, where the application's migrations make tables, nothing is new. Raises
    BlockedError for a plan that is another in more than its tables, and for what stops a run.
    """
    there, inputs, facts = now.target, now.inputs, now.inputs.facts
    assert there is not None and facts is not None
    known, planned = ({table.source: table for table in plan.tables} for plan in (run.plan, now.plan))
    own = planned.keys() - run.elsewhere.keys()
    new = own - known.keys() if now.plan.mode == "create" else set()
    left = {name for name, table in known.items() if table.target in facts.names} - own
    gone = known.keys() - own - left
    # Those that this run has never scanned decide nothing here; of the others views and keys may speak.
    exclude = (*inputs.selection.exclude, *map(escape, run.elsewhere.keys() - known.keys()))
    inputs = replace(inputs, selection=Selection(inputs.selection.include, exclude))
    if not (new or gone) or run.state != "finished" or run.made is None:
        plan = make_plan(inputs) if run.elsewhere else now.plan
        _require_same_but_tables(run, plan, inputs.catalog)
        return narrowed(plan, own & known.keys())
    scanned = gather(source, inputs, options, emit, now.position, only=new)
    _, asked = ask_target(replace(inputs, evidence=scanned), there, now.source)
    evidence = replace(asked, refused={**asked.refused, **inputs.evidence.refused})
    plan = make_plan(replace(inputs, evidence=evidence))
    # Not before: columns that foreign keys join get one type, by what the new tables hold, too.
    with _naming_unseen(evidence, new):
        _require_same_but_tables(run, plan, inputs.catalog)
    # A later run that has made a table again carries out what becomes of it, and is told what stops it.
    triggers = {one.name for one in inputs.catalog.routines if one.table in run.elsewhere}
    plan = narrowed(_without(plan, run.elsewhere.keys(), triggers), own)
    if plan.blocks:
        raise blocked(plan.blocks)
    if found := occupied(there, facts, [plan.table(name).target for name in new]):
        raise blocked([replace(found, hint="no run has made them: drop or rename them")])
    if dry_run:
        return plan
    whole = _with(plan, run.plan, left)
    lock(there)
    upgrade(target)
    with there.transaction():
        there.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _carry_out(there, run, whole, evidence)
    return plan


@contextmanager
def _naming_unseen(evidence: Evidence, new: Set[str]) -> Iterator[None]:
    """A plan may be another because of a new table of which the scan has not seen all rows."""
    try:
        yield
    except BlockedError as error:
        facts = {name: evidence.table(name) for name in sorted(new)}
        if unseen := [name for name, one in facts.items() if one is None or one.unseen]:
            scan = f"not all rows of {listed(unseen, _SHOWN)} were scanned"
            error.hint = f"{scan}: without --no-scan, with a larger --scan-seconds\n{error.hint}"
        raise


def _carry_out(target: psycopg.Connection[Any], run: Recorded, plan: Plan, evidence: Evidence) -> None:
    # What a revision has recorded since the run was read, before our lock, stays.
    made = recorded_made(target, run.id)
    assert made is not None
    before = _shape(target, plan.schema)
    done = dict(_numbers(run.plan, plan))
    replace_plan(target, run.id, plan, evidence, done)
    steps = [step for step in enumerate(plan.statements) if step[0] not in done.values()]
    order = get_args(Phase)
    run_steps(target, run.id, sorted(steps, key=lambda step: order.index(step[1].phase)))
    added = {name: text for name, text in _shape(target, plan.schema).items() if before.get(name) != text}
    tables = {table.source for table in run.plan.tables} - plan.targets.keys()
    makes = [one.makes for one in run.plan.statements if one.object in tables]
    query = (
        "SELECT format('%%s %%I.%%I', kind, name[1], name[2]) FROM (SELECT lower(split_part(makes, ' ', 1)), "
        "parse_ident(substr(makes, strpos(makes, ' '))) FROM unnest(%s::text[]) makes "
        "WHERE makes ~ '^(TABLE|TYPE) ') m (kind, name)"
    )
    gone = {name for (name,) in target.execute(query, (makes,))}
    for type_ in (name for name in gone if name.startswith("type ")):
        # A table that comes later is to have its name; what the application has made of it stays.
        with suppress(psycopg.errors.DependentObjectsStillExist), target.transaction():
            target.execute(f"DROP TYPE IF EXISTS {type_.removeprefix('type ')}".encode())
    of = {name: json.loads(text).get("of") for name, text in made.objects.items()}
    # A sequence belongs to a column, and that to a table.
    while more := {name for name, owner in of.items() if owner in gone} - gone:
        gone |= more
    kept = {name: text for name, text in made.objects.items() if name not in gone}
    numbers = {name: number for _, name, number, _ in sequence_values(target, plan)}
    next_values = {**numbers, **made.next_values}
    record_made(target, run.id, replace(made, objects={**kept, **added}, next_values=next_values))


def _shape(target: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """What the transaction sees of the schema, each name printed with its schema."""
    with target.transaction(force_rollback=True):
        target.execute("SET LOCAL search_path = pg_catalog")
        return shape_of(read_rows(target, schema))


def _numbers(was: Plan, plan: Plan) -> Iterator[tuple[int, int]]:
    """The number of each statement of the run's plan in the new plan, where that has it."""
    places = defaultdict[Any, list[int]](list)
    for number, one in enumerate(plan.statements):
        places[one.phase, one.object, one.sql].append(number)
    for number, one in enumerate(was.statements):
        if found := places[one.phase, one.object, one.sql]:
            yield number, found.pop(0)


def _without(plan: Plan, names: Set[str], triggers: Set[str]) -> Plan:
    """The plan without these source tables and triggers, and what belongs to them."""
    return replace(
        plan,
        tables=tuple(one for one in plan.tables if one.source not in names),
        statements=tuple(
            one
            for one in plan.statements
            if one.object not in (triggers if one.phase == "trigger" else names)
        ),
        outcomes=tuple(
            one
            for one in plan.outcomes
            if not (one.name in triggers if one.kind == "trigger" else _belongs(one.name, names))
        ),
        findings=tuple(one for one in plan.findings if not _belongs(one.object, names)),
    )


def _with(plan: Plan, was: Plan, gone: Set[str]) -> Plan:
    """The plan with tables that only the target still has, and those of other runs: they stay named."""
    plan = replace(
        plan,
        tables=(*plan.tables, *(one for one in was.tables if one.source in gone)),
        statements=(*plan.statements, *(one for one in was.statements if one.object in gone)),
        outcomes=(*plan.outcomes, *(one for one in was.outcomes if _belongs(one.name, gone))),
    )
    return replace(plan, digest=digest(plan))


def _belongs(name: str, tables: Set[str]) -> bool:
    return any(f"{name}.".startswith(f"{table}.") for table in tables)
