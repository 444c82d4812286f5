"""`converge demo`."""

from __future__ import annotations

import json
import shutil
import sys
import time

import click

from converge import sandbox
from converge.cli.options import output_options
from converge.cli.outputs import report_option, require_reports, write_reports
from converge.demo.fill import fill
from converge.model.endpoint import parse
from converge.model.event import Said, Sink
from converge.model.result import Named, Result, Results
from converge.report.plan import plan_text
from converge.report.run import run_text
from converge.report.words import seconds
from converge.run.attempt import MigrateOptions
from converge.run.migrate import migrate
from converge.run.options import Options
from converge.run.prepare import prepare


@click.command("demo")
@click.option("--rows", type=click.IntRange(2_000), default=200_000, help="size of the source")
@click.option("--mysql", "mysql_version", default="8.0.15", help="version of MySQL")
@click.option("--postgres", "postgres_version", default="17.5", help="version of PostgreSQL")
@report_option
@output_options
def command(
    rows: int,
    mysql_version: str,
    postgres_version: str,
    reports: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Migrate a sample database on temporary servers.

    \b
    Examples:
      converge demo
      converge demo --rows 20000 --report demo.html
    """

    def say(text: str) -> None:
        emit(Said(text))

    require_reports("--report", reports)
    started = time.monotonic()
    names = (f"mysql:{mysql_version}", f"postgres:{postgres_version}")
    with (
        sandbox.start(*names, on_progress=say) as (my, pg),
        my.new_database("demo") as source,
        pg.new_database("demo") as target,
    ):
        say(f"servers: {my.kind} {my.version} ({my.provider}), {pg.kind} {pg.version} ({pg.provider})")
        filling = time.monotonic()
        count = fill(source, rows=rows)
        say(f"source: {count:,} rows in {seconds(time.monotonic() - filling)}")
        addresses = parse(source), parse(target)
        with prepare(*addresses, Options(), emit) as prepared:
            plan = plan_text(prepared.plan, verbose=verbose)
        result = Result("migrate", str(addresses[0]), str(addresses[1]))
        migrate(*addresses, MigrateOptions(), emit, result)
        write_reports(Results("migrate", (Named("", result),)), reports)
        if as_json:
            click.echo(json.dumps(result.to_json()))
            return result.exit_code
        click.echo(f"\n{plan}\n\n{run_text(result)}")
        click.echo(f"demo      {seconds(time.monotonic() - started)}, servers and data included")
        if reports:
            click.echo(f"report    {', '.join(reports)}")
        _let_look(source, target)
    return result.exit_code


def _let_look(source: str, target: str) -> None:
    """On a terminal the servers stay until the user has seen enough."""
    if not sys.stdin.isatty():
        click.echo("look      run `converge demo` on a terminal: it keeps both servers until you press Enter")
        return
    client = "psql" if shutil.which("psql") else "any PostgreSQL client with"
    click.echo(f"look      {client} '{target}'\n          verify it yourself:")
    click.echo(f"          converge verify --source '{source}' --target '{target}'")
    click.pause("          Press Enter to stop and remove both servers.")
