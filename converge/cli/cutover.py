"""`converge cutover`."""

from __future__ import annotations

import json
from typing import Any

import click

from converge import api
from converge.cli.exports import export_options
from converge.cli.many import only, options_of
from converge.cli.options import may_ask, output_options, run_option, server_options
from converge.cli.outputs import finish, report_option, require_reports, require_writable, write_private
from converge.codes import Code
from converge.errors import UsageError
from converge.model.event import Sink
from converge.model.result import Named, Result, Results
from converge.run.options import Options
from converge.settings.addresses import Where, databases


@click.command("cutover")
@server_options
@click.option(
    "--max-seconds",
    type=click.FloatRange(5),
    default=60,
    help="the longest window: from the stop of the writers until the application may start",
)
@click.option(
    "--dry-run", is_flag=True, help="do all that comes before the window, and say how long it would be"
)
@click.option(
    "--full-proof", is_flag=True, help="compare all rows anew, whatever converge follow has compared before"
)
@click.option(
    "--stop", metavar="COMMAND", help="a command that stops the writers; else stop them when asked to"
)
@click.option("--yes", is_flag=True, help="the writers are stopped already: do not ask")
@click.option("-o", "--certificate", metavar="FILE", help="write the certificate, as JSON")
@run_option
@report_option
@export_options
@output_options
def command(
    where: Where,
    options: Options,
    max_seconds: float,
    dry_run: bool,
    full_proof: bool,
    stop: str | None,
    yes: bool,
    certificate: str | None,
    reports: tuple[str, ...],
    as_json: bool,
    emit: Sink,
) -> int:
    """Cut over to the target that `converge follow` keeps up to date, in a window of a minute.

    With the application at work, compares what `converge follow` has not compared yet, and all views. Then
    the writers are stopped, the source is proven to stand still, the last rows are replaced and compared,
    and sequences go on where the source's do. What cannot be had in time gives the window up, and the target
    is followed as before. End `converge follow` first. After a cutover, finishes what it has left.

    \b
    Examples:
      converge cutover --dry-run
      converge cutover --stop 'kubectl scale deploy/shop --replicas 0' -o certificate.json
    """
    require_reports("--report", reports)
    if certificate:
        require_writable(certificate)
    if not (stop or yes or dry_run or may_ask()):
        raise UsageError(
            "would cut over as soon as the source is quiet, and nobody says that its writers are stopped",
            code=Code.U114,
            hint="--stop COMMAND; or --yes where they are stopped already",
        )
    one = only(databases(where), "cutover")
    result = Result("cutover", str(one.source), str(one.target))

    written = []

    def write(proof: dict[str, Any]) -> None:
        if certificate:
            write_private(certificate, json.dumps(proof, indent=2) + "\n")
            written.append(certificate)

    window = api.Window(max_seconds, dry_run, full_proof, stop or "", None if yes else _wait, write)
    api.cutover(one.source, one.target, options_of(one, options), window, on_event=emit, result=result)
    code = finish(Results("cutover", (Named("", result),)), reports, emit, as_json=as_json)
    for path in [] if as_json else written:
        click.echo(f"written   {path}")
    return code


def _wait() -> None:
    click.pause("Stop the application's writes to the source, then press any key …", err=True)
