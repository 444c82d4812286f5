"""`converge backfill`."""

from __future__ import annotations

import click

from converge.backfill.declaration import backfills, choose
from converge.backfill.fill import fill, filled_json, filled_text
from converge.cli.options import backfill_options, output_options
from converge.cli.outputs import show
from converge.model.event import Sink
from converge.settings.addresses import Where, require_named, resolve_named


@click.command("backfill")
@click.argument("name")
@backfill_options
@click.option("--dry-run", is_flag=True, help="show what would become of each row, and write nothing")
@output_options
def command(
    name: str,
    where: Where,
    schema: str,
    maps: tuple[str, ...],
    given: dict[str, str],
    dry_run: bool,
    as_json: bool,
    emit: Sink,
) -> int:
    """Fill a column from another database, as a map declares it.

    NAME is the backfill in the map. Every row is audited in the target.

    \b
    Examples:
      converge backfill user_ids --map ids.toml --dry-run
      converge backfill user_ids --map ids.toml --from kratos=URL
    """
    backfill = choose(backfills(maps), name)
    address, databases = resolve_named(where, [backfill.database], given)
    database = require_named(backfill.database, databases)
    result = fill(address, database, schema, backfill, emit, dry_run=dry_run)
    document = filled_json([result], "backfill", address, result.exit_code)
    return show(document, filled_text([result]), as_json=as_json)
