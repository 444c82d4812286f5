"""`converge report`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

import click

from converge.cli.options import output_options, require_reports, target_options, write_reports
from converge.config import Chosen, Where, resolve_target, several
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Finding
from converge.model.result import Result
from converge.model.together import Named, Results, together
from converge.phases.explain import explained
from converge.pipeline.reach import attempt
from converge.postgres.connect import connect
from converge.postgres.history import Move, last_run, report_of


@click.command("report", help="Writes the report of the last run, from the ledger in the target.")
@target_options
@click.option(
    "-o", "--output", "paths", multiple=True, required=True, metavar="FILE",
    help="ends in .html, .md, .json or .xml (JUnit); may be given several times",
)  # fmt: skip
@output_options
def command(where: Where, paths: tuple[str, ...], as_json: bool, verbose: bool, emit: Sink) -> int:
    require_reports("-o", paths)
    if chosen := several(where):
        return _several(chosen, paths, as_json=as_json)
    run, result = _last(resolve_target(where), None)
    write_reports(result, paths)
    if as_json:
        document = {"converge": 1, "command": "report", "exit_code": 0, "run": run, "files": paths}
        click.echo(json.dumps(document))
    else:
        click.echo(f"report    {', '.join(paths)}")
    return 0


def _several(chosen: Sequence[Chosen], paths: Sequence[str], *, as_json: bool) -> int:
    """One report of all that have run; what has not is in it, as planned only."""
    each, runs = [], []
    for one in chosen:
        found, error = attempt(partial(_last, one.target, (str(one.source), one.entry.schema)))
        if error is not None and not isinstance(error, UsageError):
            raise error
        run, result = found or (None, Result("migrate", str(one.source), str(one.target), verdict="ready"))
        if error is not None:
            result.findings = [Finding(error.code, "note", "target", error.message, error.hint or "")]
        each.append(Named(one.entry.name, result))
        runs.append({"name": one.entry.name, "verdict": result.verdict, "exit_code": 0, "run": run})
    if not any(run["run"] for run in runs):
        raise UsageError("no database has a report yet", code="U008", hint="converge migrate")
    write_reports(Results("migrate", tuple(each)), paths)
    document = together("report", runs) | {"files": paths}
    click.echo(json.dumps(document) if as_json else f"report    {', '.join(paths)}")
    return 0


def _last(target: Endpoint, move: Move | None) -> tuple[int, Result]:
    """The last run's number and result. Raises UsageError while there is none."""
    with explained(target, target), connect(target) as connection:
        run = last_run(connection, move)
        report = report_of(connection, run["id"]) if run else None
    if run is None:
        raise UsageError(f"{target} has seen no run of converge", code="U008", hint="converge migrate")
    if report is None:
        message = f"run {run['id']} is {run['state']} and has no report yet"
        hint = "converge status; when its process is gone: converge migrate --resume"
        raise UsageError(message, code="U009", hint=hint)
    return run["id"], Result.from_json(report)
