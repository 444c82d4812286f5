"""`converge doctor`: both sides looked at, one failing or not, and everything wrong with them at once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from converge.errors import ConvergeError
from converge.mapping.read import load
from converge.mapping.rules import Map
from converge.model.endpoint import Endpoint
from converge.model.event import silent
from converge.model.facts import Diagnosis, SourceFacts, TargetFacts
from converge.model.finding import Finding
from converge.mysql.digest import require_md5
from converge.mysql.facts import read_facts as read_source_facts
from converge.mysql.privileges import missing_select, read_privileges
from converge.mysql.snapshot import require_snapshots, table_names
from converge.planner.notes import refused_checks
from converge.planner.sizes import space
from converge.postgres.connect import connect as connect_target
from converge.postgres.facts import read_facts as read_target_facts
from converge.postgres.privileges import lacking
from converge.postgres.query import refused as refused_queries
from converge.postgres.target import read_target
from converge.providers import source_provider, target_provider
from converge.run.connections import T, connect_source, explained, result_or_error
from converge.run.health import check_provider, check_source, check_space, check_target, missing_tables
from converge.run.options import Options
from converge.run.prepare import prepare


def diagnose(source: Endpoint | None, target: Endpoint | None, options: Options) -> Diagnosis:
    """Reads what is to be known of the sides that are named, but for rows. Writes nothing.

    Raises UsageError for a map that is not there or means nothing.
    """
    map_ = load(options.maps)
    findings: list[Finding] = []
    wrong: list[ConvergeError] = []

    def look(side: str, at: Callable[[], T]) -> T | None:
        """What a side shows; an error is a finding."""
        seen, error = result_or_error(at)
        if error is not None:
            wrong.append(error)
            message = "; ".join([error.message, *error.details])
            findings.append(Finding(error.code, "block", side, message, error.hint or ""))
        return seen

    here: SourceFacts | None = None
    there: TargetFacts | None = None
    if source is not None and (found := look("source", lambda: _source(source, options))):
        here, more = found
        findings += more
    tables = here.tables if here else 0
    if target is not None and (seen := look("target", lambda: _target(target, options, map_, tables))):
        there, more = seen
        findings += more
    if source is not None and here is not None and there is not None:
        known = {(finding.code, finding.object) for finding in findings}
        blocks = look("target", lambda: _blocks(source, target, options)) or ()
        findings += [one for one in blocks if (one.code, one.object) not in known]
    needed = space(here.data_bytes, here.index_bytes) if here else None
    if there is not None and needed is not None:
        findings += check_space(there, needed)
    order = ("block", "lossy", "note")
    return Diagnosis(
        source=source,
        target=target,
        source_facts=here,
        target_facts=there,
        findings=tuple(sorted(findings, key=lambda finding: order.index(finding.severity))),
        unreached=wrong[0].exit_code if wrong else 0,
        needed_bytes=needed,
    )


def _blocks(source: Endpoint, target: Endpoint | None, options: Options) -> tuple[Finding, ...]:
    """What would stop a run as a plan without a scan sees it: doctor, plan and migrate find the same."""
    with prepare(source, target, replace(options, scan=False), silent) as prepared:
        return prepared.plan.blocks


def _source(endpoint: Endpoint, options: Options) -> tuple[SourceFacts, list[Finding]]:
    with explained(endpoint, None), closing(connect_source(endpoint)) as connection:
        require_snapshots(connection)
        own = read_privileges(connection, endpoint.database)
        require_md5(connection)
        provider = source_provider(connection)
        facts = read_source_facts(connection, own, provider)
        readable = list(filter(own.may_read, table_names(connection, endpoint.database)))
    missing = missing_select(own, readable, options.selection.names)
    return facts, [*missing, *check_source(facts, endpoint, options), *check_provider(provider)]


def _target(
    endpoint: Endpoint, options: Options, map_: Map, tables: int
) -> tuple[TargetFacts, list[Finding]]:
    with explained(endpoint, endpoint), connect_target(endpoint) as connection:
        target = read_target(connection, options.schema)
        provider = target_provider(connection)
        facts = read_target_facts(connection, target, endpoint, provider)
        refused = refused_queries(connection, map_.checks, options.schema, made=options.mode == "load")
    return facts, [
        *lacking(target),
        *check_target(facts, endpoint, options, tables=tables),
        *check_provider(provider),
        *missing_tables(map_.applications, target),
        *refused_checks(target.version, target.functions, map_.checks, refused),
    ]
