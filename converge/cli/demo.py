"""`converge demo`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress

import click

from converge import sandbox
from converge.cli.options import may_ask, output_options
from converge.cli.outputs import report_option, require_reports, write_reports
from converge.demo.fill import fill
from converge.model.endpoint import parse
from converge.model.event import Said, Sink
from converge.model.result import Named, Result, Results
from converge.model.words import counted
from converge.report.plan_text import SECTIONS, plan_text
from converge.report.run_text import run_text
from converge.report.words import seconds
from converge.run.attempt import MigrateOptions
from converge.run.migrate import migrate
from converge.run.options import Options
from converge.run.prepare import prepare


@click.command("demo")
@click.option("--rows", type=click.IntRange(2_000), default=200_000, help="size of the source")
@click.option("--mysql", "mysql_version", default="8.0.15", help="version of MySQL")
@click.option("--postgres", "postgres_version", default="17.5", help="version of PostgreSQL")
@click.option(
    "--keep/--no-keep",
    default=None,
    show_default="on a terminal",
    help="keep both servers until you press Enter or Ctrl-C, or until a signal",
)
@report_option
@output_options
def command(
    rows: int,
    mysql_version: str,
    postgres_version: str,
    keep: bool | None,
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
      converge demo --keep
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
        say(f"source: {counted(count, 'row')} in {seconds(time.monotonic() - filling)}")
        addresses = parse(source), parse(target)
        with prepare(*addresses, Options(), emit) as prepared:
            plan = plan_text(prepared.plan, shown=SECTIONS if verbose else ())
        result = Result("migrate", str(addresses[0]), str(addresses[1]))
        migrate(*addresses, MigrateOptions(), emit, result)
        write_reports(Results("migrate", (Named("", result),)), reports)
        if as_json:
            click.echo(json.dumps(result.to_json()))
        else:
            click.echo(f"\n{plan}\n\n{run_text(result)}")
            click.echo(f"demo      {seconds(time.monotonic() - started)}, servers and data included")
            if reports:
                click.echo(f"report    {', '.join(reports)}")
        if keep or (keep is None and may_ask() and not as_json):
            _keep(source, target, err=as_json)
        elif not as_json:
            click.echo("next      converge demo --keep: it keeps both servers, for you to look at")
    return result.exit_code


_TO_TRY = """
Both servers are kept. To look at them, paste into another terminal:

  export CONVERGE_SOURCE_URL='{source}'
  export CONVERGE_TARGET_URL='{target}'
  converge explain article.kind      # which rule decided, and what else a map may choose
  converge report -o demo.html       # the run as a page
  converge verify                    # every row and every column again
  psql "$CONVERGE_TARGET_URL" -c "UPDATE person SET phone = '?' WHERE id = (SELECT max(id) FROM person)"
  converge verify                    # names the row, the column and both values

{end} to stop and remove both servers.
"""


def _keep(source: str, target: str, *, err: bool) -> None:
    """Says how to look at both servers, and waits until the user has seen enough."""
    asks = may_ask()
    end = "Press Enter" if asks else f"Press Ctrl-C, or run: kill {os.getpid()}"
    with suppress(KeyboardInterrupt):
        click.echo(_TO_TRY.format(source=source, target=target, end=end).rstrip(), err=err)
        if asks:
            sys.stdin.readline()
        else:
            signal.pause()
