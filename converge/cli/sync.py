"""`converge sync`."""

from __future__ import annotations

import click

from converge import api
from converge.cli.exports import export_options
from converge.cli.many import options_of
from converge.cli.options import comparing_options, database_options, output_options
from converge.cli.outputs import finish, report_option, require_reports
from converge.cli.verify import results_of
from converge.model.event import Sink
from converge.model.result import Result
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases


@click.command("sync")
@database_options
@click.option("--dry-run", is_flag=True, help="only say how many rows would be replaced; nothing is written")
@comparing_options
@report_option
@export_options
@output_options
def command(
    where: Where, options: Options, dry_run: bool, reports: tuple[str, ...], as_json: bool, emit: Sink
) -> int:
    """Bring the target up to date: replace the rows that differ from the source's, and verify every row.

    Needs no binary log: both sides are compared in a new snapshot, and the rows are replaced in one
    transaction. Tables that are new in the source are made first. Rows that others have written to the
    target stay, and are named.

    \b
    Examples:
      converge sync --dry-run
      converge sync --report sync.html
    """
    require_reports("--report", reports)

    def bring(one: Chosen) -> Result:
        return api.sync(one.source, one.target, options_of(one, options), dry_run=dry_run, on_event=emit)

    results = results_of("sync", databases(where), bring, options, emit)
    return finish(results, reports, emit, as_json=as_json)
