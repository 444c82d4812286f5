"""From two addresses to a plan: what every command does first. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, UsageError
from converge.mapping.read import load_documents
from converge.mapping.rules import Map
from converge.model.catalog import Catalog
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.evidence import NOTHING_KNOWN, Evidence, Scan
from converge.model.existing import Existing
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.recorded import Recorded
from converge.model.result import Result
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.digest import require_md5
from converge.mysql.privileges import missing_select, possible_snapshot, read_privileges
from converge.mysql.snapshot import read_logs, require_snapshots
from converge.planner.inputs import Inputs, require_matches
from converge.planner.plan import make_plan, own_names
from converge.planner.rehearsal import since
from converge.postgres.existing import keep_reprinted, read_existing
from converge.postgres.following import certificate_of
from converge.postgres.history import last_evidence, last_rehearsal, last_run, unreadable_ledger
from converge.postgres.privileges import lacking
from converge.postgres.query import refused
from converge.postgres.recorded import Unseen, last_recorded
from converge.postgres.target import Target, occupied, read_target
from converge.providers import source_provider
from converge.run.blockers import dependents
from converge.run.connections import explained, reach
from converge.run.evidence import ask_target, gather
from converge.run.health import few_connections
from converge.run.options import Options
from converge.run.recover import require_rolled_back


@dataclass(frozen=True, slots=True)
class Prepared:
    """Open connections, what was read from them, and the plan that follows."""

    source: WatchedConnection
    target: psycopg.Connection[Any] | None
    inputs: Inputs
    plan: Plan
    position: str | None = None
    """Where the source's log stood before the scan; None where nobody may know."""

    @property
    def scan(self) -> Scan | None:
        """What the scan saw, for a later run of this plan."""
        tables = self.inputs.evidence.tables
        return Scan(self.position, tables) if tables and self.position is not None else None


@contextmanager
def prepare(
    source: Endpoint,
    target: Endpoint | None,
    options: Options,
    emit: Sink,
    *,
    as_recorded: bool = False,
    resuming: bool = False,
    known: Evidence | None = None,
    first: Callable[[psycopg.Connection[Any], Target, Inputs], None] | None = None,
) -> Iterator[Prepared]:
    """Connects, reads, looks at the data and plans; closes the connections in the end.

    `as_recorded` decides by what the ledger knows of the last run, so that its tables are met as it made or
    found them: they come before new ones, which so take no name of an object of theirs. `known` is what this
    very command has seen of the data already. `resuming` says that tables and rows of an interrupted run may
    exist. `first` may refuse the target before the data is looked at. Inside, the drivers' errors become
    ConvergeErrors.
    """
    map_ = load_documents(options.map_documents)
    with explained(source, target), ExitStack() as stack:
        here, there = reach(source, target, stack)
        inputs = replace(_read(here, source, map_, options), may_hold_rows=resuming or options.clears)
        if known is None and not as_recorded:
            require_tables(inputs)
        else:
            # What a run's rules and patterns mean besides the tables that it takes may have gone since.
            inputs = replace(inputs, strict=False)
        if there is not None and as_recorded:
            run = last_recorded(there, source, options.schema, options.run)
            inputs = replace(inputs, catalog=_in_order_of(run, inputs.catalog))
        inputs = replace(inputs, lacking=(*inputs.lacking, *few_connections(here, there, options)))
        if there is not None:
            inputs = _with_target(inputs, there, target, options)
            if options.mode == "create" and not (inputs.may_hold_rows or as_recorded):
                inputs = replace(inputs, lacking=(*inputs.lacking, *_occupied(inputs, there)))
        recorded = known
        if recorded is None and there is not None and as_recorded:
            recorded = last_evidence(there, str(source), options.schema, options.run)
        if recorded is not None:
            inputs = replace(inputs, evidence=recorded)
        elif options.mode == "load":
            inputs = replace(inputs, evidence=replace(NOTHING_KNOWN, existing=_existing(there, options)))
        if first is not None and there is not None and inputs.facts is not None:
            first(there, inputs.facts, inputs)
        position = read_logs(here).position
        if recorded is None:
            inputs = replace(inputs, evidence=gather(source, inputs, options, emit, position))
        if recorded is None and there is not None:
            plan, evidence = ask_target(inputs, there, here)
            inputs = replace(inputs, evidence=evidence)
        else:
            plan = make_plan(inputs)
        if there is not None and options.clears and options.mode == "create" and not resuming:
            plan = replace(plan, findings=(*plan.findings, *dependents(there, plan)))
        yield Prepared(here, there, inputs, plan, position)


def require_tables(inputs: Inputs) -> None:
    """Raises UsageError for a pattern of --include or --exclude that no table matches."""
    if "tables" not in inputs.catalog.unreadable:
        require_matches(inputs.selection, [table.name for table in inputs.catalog.tables])


def _in_order_of(run: Recorded | Unseen, catalog: Catalog) -> Catalog:
    """Its tables as the run's plan has them, new ones last."""
    outcomes = run.plan.outcomes if isinstance(run, Recorded) else ()
    places = {one.name: place for place, one in enumerate(outcomes) if one.kind == "table"}
    last = len(places) + len(outcomes)
    tables = sorted(catalog.tables, key=lambda table: places.get(table.name, last))
    return replace(catalog, tables=tuple(tables))


def _read(source: WatchedConnection, endpoint: Endpoint, map_: Map, options: Options) -> Inputs:
    """What the source is, and what it lacks for a run."""
    require_snapshots(source)
    own = read_privileges(source, endpoint.database)
    require_md5(source)
    catalog = read_catalog(source, own)
    readable = [table.name for table in catalog.tables]
    return Inputs(
        catalog,
        map_,
        source=str(endpoint),
        schema=options.schema,
        selection=options.selection,
        lacking=tuple(missing_select(own, readable, options.selection.names)),
        snapshot=str(possible_snapshot(own, source_provider(source))),
        strict=options.strict,
        compression=options.compression,
    )


def _with_target(
    inputs: Inputs, target: psycopg.Connection[Any], endpoint: Endpoint | None, options: Options
) -> Inputs:
    """With what the target is and has, what it lacks for a run, and what it says of the maps' checks."""
    facts = read_target(target, options.schema)
    return replace(
        inputs,
        target=str(endpoint),
        facts=facts,
        own=frozenset(own_names(inputs)),
        lacking=(*inputs.lacking, *lacking(facts)),
        # In load mode the tables are there, so that the names of a query can be looked up.
        refused_checks=refused(target, inputs.map.checks, options.schema, made=options.mode == "load"),
    )


def _occupied(inputs: Inputs, target: psycopg.Connection[Any]) -> Iterator[Finding]:
    """Planned tables that exist already: where a run of this source did not finish, it can be resumed."""
    assert inputs.facts is not None
    found, run = occupied(target, inputs.facts, own_names(inputs)), None
    if found is not None:
        with suppress(BlockedError):
            run = last_run(target)
        if run and run["source"] == inputs.source:
            before = ""
            if run["state"] in ("running", "interrupted", "failed"):
                before = f"--resume continues the interrupted run {run['id']}; "
            elif certificate := certificate_of(target, run["id"]):
                before = f"the cutover was at {certificate['at']}: the target is the application's; "
            found = replace(found, hint=before + found.hint)
        yield found


def _existing(target: psycopg.Connection[Any] | None, options: Options) -> Existing:
    """The target's own tables. Raises UsageError without a target."""
    if target is None:
        raise UsageError(
            "load mode plans for the tables that the target has", code=Code.U015, hint="--target URL"
        )
    # What a role lacks that may not even read the ledger, is said with all else that it lacks.
    if unreadable_ledger(target) is None:
        require_rolled_back(target, options.schema)
    return keep_reprinted(target, options.schema, read_existing(target, options.schema))


def since_last(prepared: Prepared, report: str | None) -> Plan:
    """The plan, and what has changed since the run of this report, or else since the ledger's last.

    Raises UsageError for a file that is no report of a run.
    """
    plan, last = prepared.plan, None
    if report is not None:
        last = _report(report)
    elif prepared.target and (found := last_rehearsal(prepared.target, plan.source, plan.schema)):
        last = Result.from_json(found)
    drift = since(last, plan) if last else None
    # What was measured goes before what sizes say.
    return replace(plan, since=drift, forecast=drift.forecast or plan.forecast) if drift else plan


def _report(path: str) -> Result:
    try:
        last = Result.from_json(json.loads(Path(path).read_text("utf-8")))
        reason = "" if last.fingerprint else "it has no fingerprint of a plan"
    except OSError as error:
        raise UsageError(f"--since {path} cannot be read: {error.strerror}", code=Code.C011) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        reason = "it is another file, or of another version"
    if reason:
        raise UsageError(
            f"--since {path} is not a report of a run: {reason}",
            code=Code.C011,
            hint="converge migrate --report FILE.json writes one, converge report -o FILE.json again",
        )
    return last
