"""`converge follow`."""

from __future__ import annotations

import click

from converge import api
from converge.cli.exports import export_options
from converge.cli.many import only, options_of
from converge.cli.options import comparing_options, output_options, server_options
from converge.cli.outputs import finish, report_option, require_reports
from converge.model.event import Sink
from converge.model.result import Named, Results
from converge.run.options import Options
from converge.settings.addresses import Where, databases
from converge.signals import asked_to_stop

interval_option = click.option(
    "--interval",
    type=click.FloatRange(0),
    default=1,
    metavar="SECONDS",
    help="the least time from one epoch to the next",
)


prove_share_option = click.option(
    "--prove-share",
    type=click.FloatRange(0, 1),
    default=0.1,
    metavar="SHARE",
    help="the share of the time in which rows are compared meanwhile; 0 compares none",
)


@click.command("follow")
@server_options
@click.option("--once", is_flag=True, help="make the target equal to the source once, and end")
@interval_option
@prove_share_option
@comparing_options
@report_option
@export_options
@output_options
def command(
    where: Where,
    options: Options,
    once: bool,
    interval: float,
    prove_share: float,
    reports: tuple[str, ...],
    as_json: bool,
    emit: Sink,
) -> int:
    """Keep the target up to date from the source's binary log, until the cutover.

    Goes on where the last migration, sync or follow ended. Rows that have changed are replaced in one
    transaction, again and again, so the target is always the source of one snapshot. All rows are compared
    meanwhile, a part at a time: rows that differ are shown, and end it with exit code 1. Ctrl-C stops it,
    and nothing is lost.

    \b
    Examples:
      converge follow
      converge follow --once --json
    """
    require_reports("--report", reports)
    one = only(databases(where), "follow")
    result = api.follow(
        one.source, one.target, options_of(one, options), once=once, interval=interval,
        prove_share=prove_share, on_event=emit, stopped=asked_to_stop,
    )  # fmt: skip
    return finish(Results("follow", (Named("", result),)), reports, emit, as_json=as_json)
