"""`converge sync`."""

from __future__ import annotations

import click

from converge import api
from converge.cli.many import each_of, options_of
from converge.cli.options import database_options, output_options
from converge.cli.outputs import finish, report_option, require_reports
from converge.model.event import Sink
from converge.model.result import Named, Result, Results
from converge.run.migrate import note
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
    each = []

    def bring(one: Chosen) -> Result:
        return api.sync(one.source, one.target, options_of(one, options), dry_run=dry_run, on_event=emit)

    for one, result, error in each_of(databases(where), bring, emit):
        if result is None:
            result = Result("sync", str(one.source), str(one.target))
            if error is not None:
                note(result, error)
        each.append(Named(one.name, result, error))
    return finish(Results("sync", tuple(each)), reports, as_json=as_json)
