"""`converge report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click

from converge.cli.many import merges_of, with_shards
from converge.cli.options import any_schema_option, output_options, target_options
from converge.cli.outputs import require_reports, show, write_reports
from converge.codes import Code
from converge.errors import UsageError, first_of
from converge.merge.compare import ANEW, stale
from converge.model.documents import head, together
from converge.model.event import Sink
from converge.model.finding import Finding, Severity
from converge.model.result import Named, Result, Results, Verdict
from converge.postgres.connect import connect
from converge.postgres.history import last_run, last_verification, other_schema, result_of
from converge.run.connections import explained
from converge.settings.addresses import Chosen, Where, databases, with_merged

_SHOWN = 20
_WITHOUT_REPORT: dict[str, Verdict] = {"finished": "migrated", "failed": "failed", "recovered": "ready"}
"""What runs in these states have come to; all others are not at their end."""


@click.command("report")
@target_options
@any_schema_option
@click.option(
    "-o", "--output", "paths", multiple=True, required=True, metavar="FILE",
    help="the report, as .html, .md, .json or .xml (JUnit); repeatable",
)  # fmt: skip
@click.option("--verify", is_flag=True, help="write the report of the last verify instead")
@output_options
def command(where: Where, paths: tuple[str, ...], verify: bool, as_json: bool, emit: Sink) -> int:
    """Write the report of the last run, from the ledger in the target.

    \b
    Examples:
      converge report -o run.html
      converge report --verify -o verify.json
    """
    require_reports("-o", paths)
    chosen, command = databases(where, source="unused"), "verify" if verify else "migrate"
    merges = merges_of(chosen)
    each, runs = [], []
    for one in with_merged(chosen):
        found = _last(one, merges.get(one, ()), verify=verify)
        run = None
        if isinstance(found, _Missing):
            if one.entry is None:
                raise found.error
            result = Result(command, str(one.source), str(one.target), verdict=found.verdict)
            severity: Severity = "block" if result.exit_code else "note"
            why = found.error
            result.findings = [Finding(why.code, severity, "target", why.message, why.hint or "")]
        else:
            run, result = found
        each.append(Named(one.name, result))
        runs.append({"name": one.name, **head("report", result.verdict), "run": run})
    if not any(run["run"] for run in runs):
        reasons = [f"{one.name}: {finding.message}" for one in each for finding in one.result.findings]
        message = "no database has a report yet"
        raise UsageError(message, code=Code.U008, details=first_of(reasons, _SHOWN), hint="converge migrate")
    write_reports(Results(command, tuple(each)), paths)
    document = together("report", runs)
    return show(document | {"files": paths}, f"report    {', '.join(paths)}", as_json=as_json)


@dataclass(frozen=True)
class _Missing:
    """Why a database has no report, and what is said of it beside those of others."""

    verdict: Verdict
    error: UsageError


def _last(one: Chosen, shards: Sequence[Chosen], *, verify: bool) -> tuple[int, Result] | _Missing:
    """The last run's number, and its result or its last verify's."""
    target, move = one.target, one.move
    with explained(target, target), connect(target) as connection:
        run = last_run(connection, move)
        result = result_of(connection, run["id"]) if run and not verify else None
        later = last_verification(connection, run["id"], others=True) if run and verify else None
        changed = stale(connection, *with_shards(one, shards)) if result and shards else ""
        missing = other_schema(connection, move) or f"no converge run found in {target}"
    if run is None:
        return _Missing("ready", UsageError(missing, code=Code.U008, hint="converge migrate"))
    if later is not None:
        return run["id"], Result.from_json(later["report"])
    verdict = _WITHOUT_REPORT.get(run["state"], "interrupted")
    if verify:
        message = f"run {run['id']} was not verified again"
        return _Missing(verdict, UsageError(message, code=Code.U111, hint="converge verify"))
    if result is None:
        message = f"run {run['id']} is {run['state']} and has no report yet"
        hint = "converge status; when its process is gone: converge migrate --resume"
        return _Missing(verdict, UsageError(message, code=Code.U009, hint=hint))
    if changed:
        message = f"the merged schema is out of date: {changed}"
        result.findings.append(Finding(Code.V126, "block", one.name, message, ANEW))
        result.verdict = "differs"
    return run["id"], result
