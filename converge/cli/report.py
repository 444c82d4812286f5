"""`converge report`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from converge.cli.many import merges_of, with_shards
from converge.cli.options import any_schema_option, output_options, target_options
from converge.cli.outputs import require_reports, show, write_reports
from converge.codes import Code
from converge.errors import UsageError, first_of
from converge.merge.compare import ANEW, stale
from converge.model.documents import head, together
from converge.model.event import Sink
from converge.model.finding import Finding
from converge.model.result import Named, Result, Results
from converge.postgres.connect import connect
from converge.postgres.history import last_run, last_verification, other_schema, result_of
from converge.run.connections import explained, result_or_error
from converge.settings.addresses import Chosen, Where, databases, with_merged

_SHOWN = 20


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
        found, error = result_or_error(partial(_last, one, merges.get(one, ()), verify=verify))
        if error is not None and (one.entry is None or not isinstance(error, UsageError)):
            raise error
        # Of several databases, what has not run is in the report as planned only.
        run, result = found or (None, Result(command, str(one.source), str(one.target), verdict="ready"))
        if error is not None:
            result.findings = [Finding(error.code, "note", "target", error.message, error.hint or "")]
        each.append(Named(one.name, result))
        runs.append({"name": one.name, **head("report", result.verdict), "run": run})
    if not any(run["run"] for run in runs):
        why = [f"{one.name}: {finding.message}" for one in each for finding in one.result.findings]
        message = "no database has a report yet"
        raise UsageError(message, code=Code.U008, details=first_of(why, _SHOWN), hint="converge migrate")
    write_reports(Results(command, tuple(each)), paths)
    document = together("report", runs)
    return show(document | {"files": paths}, f"report    {', '.join(paths)}", as_json=as_json)


def _last(one: Chosen, shards: Sequence[Chosen], *, verify: bool) -> tuple[int, Result]:
    """The last run's number, and its result or its last verify's. Raises UsageError while there is none."""
    target, move = one.target, one.move
    with explained(target, target), connect(target) as connection:
        run = last_run(connection, move)
        result = result_of(connection, run["id"]) if run and not verify else None
        later = last_verification(connection, run["id"], others=True) if run and verify else None
        changed = stale(connection, *with_shards(one, shards)) if result and shards else ""
        missing = other_schema(connection, move) or f"no converge run found in {target}"
    if run is None:
        raise UsageError(missing, code=Code.U008, hint="converge migrate")
    if verify:
        if later is None:
            message = f"run {run['id']} was not verified again"
            raise UsageError(message, code=Code.U111, hint="converge verify")
        return run["id"], Result.from_json(later["report"])
    if result is None:
        message = f"run {run['id']} is {run['state']} and has no report yet"
        hint = "converge status; when its process is gone: converge migrate --resume"
        raise UsageError(message, code=Code.U009, hint=hint)
    if changed:
        message = f"the merged schema is out of date: {changed}"
        result.findings.append(Finding(Code.V126, "block", one.name, message, ANEW))
        result.verdict = "differs"
    return run["id"], result
