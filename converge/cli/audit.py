"""`converge audit show|retry|archive`."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click

from converge import files
from converge.backfill.audit import KEPT_DAYS, archive, audit_text, open_backfills, show
from converge.backfill.declaration import backfills, choose
from converge.backfill.fill import fill, filled_json, filled_text
from converge.cli import Group, outputs
from converge.cli.options import backfill_options, output_options, target_options
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.event import Sink
from converge.model.words import counted
from converge.settings.addresses import Where, require_named, resolve_named, resolve_target


@click.group("audit", cls=Group)
def command() -> None:
    """Show, retry and archive the rows that backfills have tried."""


@command.command("show")
@target_options
@click.option("--status", type=click.Choice(["failed", "success"]), help="show only rows with this status")
@click.option("--backfill", metavar="NAME", help="show only this backfill")
@click.option("--limit", type=click.IntRange(1), default=100, help="number of rows, the newest first")
@output_options
def _show(
    where: Where,
    status: str | None,
    backfill: str | None,
    limit: int,
    as_json: bool,
) -> int:
    """Show the last attempt of each row. Writes nothing.

    \b
    Examples:
      converge audit show --status failed
    """
    found = show(resolve_target(where), status=status, backfill=backfill, limit=limit)
    document = {"converge": 1, "command": "audit", "exit_code": 0, "audit": asdict(found)}
    return outputs.show(document, audit_text(found), as_json=as_json)


@command.command("retry")
@click.argument("name", required=False)
@backfill_options
@output_options
def _retry(
    name: str | None,
    where: Where,
    schema: str,
    maps: tuple[str, ...],
    given: dict[str, str],
    as_json: bool,
    emit: Sink,
) -> int:
    """Retry the rows whose last attempt failed, of the backfill NAME or of all.

    \b
    Examples:
      converge audit retry --map ids.toml
    """
    known = backfills(maps)
    named = [choose(known, name)] if name else []
    address, databases = resolve_named(where, [one.database for one in known.values()], given)
    tables = open_backfills(address)
    if name is None:
        named = [choose(known, one) for one in dict.fromkeys(one for one, _ in tables)]
    wanted = [one for one in named if (one.name, f"{schema}.{one.table}") in tables]
    asked = [(one, require_named(one.database, databases)) for one in wanted]
    results = [fill(address, at, schema, one, emit, dry_run=False, again=True) for one, at in asked]
    code = max((one.exit_code for one in results), default=0)
    text = filled_text(results) or "No row's last attempt has failed."
    return outputs.show(filled_json(results, "audit", address, code), text, as_json=as_json)


@command.command("archive")
@target_options
@click.option("--older-than", "age", required=True, metavar="DAYSd", help=f"at least {KEPT_DAYS}d")
@click.option(
    "-o", "--output", "path", required=True, metavar="FILE", help="the CSV file, which must not exist"
)
@output_options
def _archive(where: Where, age: str, path: str, as_json: bool) -> int:
    """Write old rows of the audit to a CSV file, then remove them.

    Rows whose last attempt failed are kept.

    \b
    Examples:
      converge audit archive --older-than 90d -o audit.csv
    """
    if (days := re.fullmatch("([0-9]{1,6})d", age)) is None:
        hint = f"--older-than {KEPT_DAYS}d"
        raise UsageError(f"--older-than {age!r} is not a number of days", code=Code.B007, hint=hint)
    outputs.require_writable(path)
    if Path(path).exists():
        raise UsageError(f"{path} already exists", code=Code.B008, hint="-o names a new file")
    count = archive(resolve_target(where), int(days[1]), lambda blocks: _keep(path, blocks))
    written = {"archived": count, "file": path if count else None}
    text = (
        f"archived  {counted(count, 'row')} in {path}"
        if count
        else f"no row to archive is older than {days[1]} days"
    )
    return outputs.show({"converge": 1, "command": "audit", "exit_code": 0} | written, text, as_json=as_json)


def _keep(path: str, blocks: Iterable[bytes | bytearray | memoryview]) -> int:
    """Writes the file, reads it again, and counts the rows below its head."""
    try:
        files.write_new(path, blocks)
    except OSError as error:
        raise ConvergeError(
            f"the archive {path} cannot be written: {error.strerror}; no row was removed",
            code=Code.U012,
            hint="-o names a file where there is room",
        ) from error
    csv.field_size_limit(sys.maxsize)
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1
