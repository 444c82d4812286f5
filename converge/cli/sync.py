"""`converge sync`."""

from __future__ import annotations

import click

from converge import api
from converge.cli.many import options_of
from converge.cli.options import database_options, output_options
from converge.cli.outputs import finish, report_option, require_reports
from converge.cli.verify import results_of
from converge.model.event import Sink
from converge.model.result import Result
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases


@click.command("sync")
@database_options
@click.option("--dry-run", is_flag=True, help="only say what would be loaded; nothing is written")
@report_option
@output_options
def command(
    where: Where, options: Options, dry_run: bool, reports: tuple[str, ...], as_json: bool, emit: Sink
) -> int:
    """Bring the target up to date: load again what has changed in the source, and verify every row.

    Needs no binary log: both sides are compared chunk by chunk in a new snapshot. For targets that a run in
    create mode has made, and whose rows nobody else has changed.

    \b
    Examples:
      converge sync --dry-run
      converge sync --report sync.html
    """
    require_reports("--report", reports)

    def bring(one: Chosen) -> Result:
        return api.sync(one.source, one.target, options_of(one, options), dry_run=dry_run, on_event=emit)

    results = results_of("sync", databases(where), bring, emit)
    return finish(results, reports, as_json=as_json)
