"""`converge report`."""

from __future__ import annotations

import json

import click

from converge.cli.options import output_options, require_reports, write_reports
from converge.config import resolve_target
from converge.errors import UsageError
from converge.model.event import Sink
from converge.model.result import Result
from converge.phases.explain import explained
from converge.postgres.connect import connect
from converge.postgres.history import last_report, last_run


@click.command("report", help="Writes the report of the last run, from the ledger in the target.")
@click.option("--target", metavar="URL", help="postgresql://user:password@host:port/database")
@click.option(
    "-o", "--output", "paths", multiple=True, required=True, metavar="FILE",
    help="ends in .html, .md, .json or .xml (JUnit); may be given several times",
)  # fmt: skip
@output_options
def command(target: str | None, paths: tuple[str, ...], as_json: bool, verbose: bool, emit: Sink) -> int:
    require_reports("-o", paths)
    address = resolve_target(target)
    with explained(address, address), connect(address) as connection:
        run = last_run(connection)
        report = last_report(connection) if run else None
    if run is None:
        raise UsageError(f"{address} has seen no run of converge", code="U008", hint="converge migrate")
    if report is None:
        message = f"run {run['id']} is {run['state']} and has no report yet"
        hint = "converge status; when its process is gone: converge migrate --resume"
        raise UsageError(message, code="U009", hint=hint)
    write_reports(Result.from_json(report), paths)
    if as_json:
        document = {"converge": 1, "command": "report", "exit_code": 0, "run": run["id"], "files": paths}
        click.echo(json.dumps(document))
    else:
        click.echo(f"report    {', '.join(paths)}")
    return 0
