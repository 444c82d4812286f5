"""`converge migrations`: generate, run, revert, show and check; validate is a module of its own."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import click

from converge.cli import Group
from converge.cli.many import only, options_of
from converge.cli.options import (
    group,
    map_option,
    output_options,
    scan_option,
    schema_option,
    side_options,
)
from converge.cli.revision_options import alembic_option, folder_options
from converge.cli.validate import command as validate
from converge.codes import Code
from converge.errors import UsageError
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.revision import Checked, Direction
from converge.report.migrations import checked_text, generated_text, migrated_text, standings_text
from converge.report.words import visible
from converge.revisions import commands
from converge.revisions.drift import drift
from converge.revisions.folder import Folder
from converge.revisions.generate import Generator, Origin
from converge.run.options import Options
from converge.settings.addresses import Where, databases

_BACK = re.compile(r"-\d+")


@click.group("migrations", cls=Group)
def command() -> None:
    """Manage the target's schema with Alembic: generate, run, revert, show and validate revisions."""


command.add_command(validate)


_moving_options = group(
    click.option("--sql", is_flag=True, help="print the SQL, and execute nothing"),
    click.option(
        "--accept-data-loss",
        "accepted",
        multiple=True,
        metavar="REV",
        help="run this revision although it can lose rows and was not validated; repeatable",
    ),
    folder_options,
)


@command.command("generate")
@click.option("-n", "--name", required=True, metavar="NAME", help="a short title of the revision")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["target", "source", "models"]),
    help="where to read the schema  [default: a target with tables for a baseline, else the source]",
)
@alembic_option
@side_options
@map_option
@scan_option
@output_options
def _generate(
    name: str,
    origin: Origin | None,
    place: str | None,
    where: Where,
    options: Options,
    maps: tuple[str, ...],
    scan: bool,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Write a revision: the baseline first, then what has changed since.

    \b
    Examples:
      converge migrations generate -n baseline
    """
    if not re.search(r"\w", name) or re.search(r'[\\\n\r]|"""', name):
        message = f"--name {name!r} is not a name: a revision's file begins with it"
        raise UsageError(message, code=Code.A014, hint='-n "add a column"')
    one = only(databases(where, source="known"))
    options = options_of(one, replace(options, maps=maps, scan=scan))
    folder = Folder.make(place, options.schema)
    done = Generator(folder, one.target, name, origin, one.known[0], options, emit).generate()
    click.echo(json.dumps(done.to_json()) if as_json else generated_text(done))
    return 0


@command.command("run")
@click.argument("revision", metavar="[REV]", default="head")
@_moving_options
@output_options
def _run(revision: str, as_json: bool, emit: Sink, **given: Any) -> int:
    """Run pending revisions, up to REV.

    A revision that can lose rows, and was not validated, is refused.

    \b
    Examples:
      converge migrations run
      converge migrations run --sql
    """
    return _move("up", revision, as_json=as_json, emit=emit, **given)


# -2 is no option.
@command.command("revert", context_settings={"ignore_unknown_options": True})
@click.argument("revision", metavar="[REV|-N|base]", default="-1")
@_moving_options
@output_options
def _revert(revision: str, as_json: bool, emit: Sink, **given: Any) -> int:
    """Revert the last revision, the last N, all after REV, or all.

    \b
    Examples:
      converge migrations revert
      converge migrations revert -- -2
      converge migrations revert base
    """
    if revision.startswith("-") and not _BACK.fullmatch(revision):
        raise click.NoSuchOption(revision)
    return _move("down", revision, as_json=as_json, emit=emit, **given)


@command.command("show")
@folder_options
@output_options
def _show(folder: Folder, target: Endpoint, as_json: bool, verbose: bool, emit: Sink) -> int:
    """Show which revisions are applied, pending or unknown. Writes nothing.

    \b
    Examples:
      converge migrations show
    """
    found = commands.show(folder, target)
    click.echo(json.dumps(found.to_json()) if as_json else standings_text(found))
    return 0


@command.command("check")
@folder_options
@schema_option
@output_options
def _check(folder: Folder, target: Endpoint, schema: str, as_json: bool, verbose: bool, emit: Sink) -> int:
    """Check that the target's schema is what its revisions make. Writes nothing.

    \b
    Examples:
      converge migrations check
    """
    checked = Checked(str(target), str(folder.location), drift(folder, target, schema, emit))
    click.echo(json.dumps(checked.to_json()) if as_json else checked_text(checked))
    return checked.exit_code


def _move(
    direction: Direction,
    revision: str,
    *,
    folder: Folder,
    target: Endpoint,
    sql: bool,
    accepted: tuple[str, ...],
    as_json: bool,
    emit: Sink,
) -> int:
    if not sql:
        done = commands.move(folder, target, revision, direction, accepted, emit)
        click.echo(json.dumps(done.to_json()) if as_json else migrated_text(done))
        return 0
    text = commands.script(folder, target, revision, direction)
    if as_json:
        action = "run" if direction == "up" else "revert"
        said = {"action": action, "target": {"url": str(target)}, "sql": text}
        click.echo(json.dumps(head("migrations", "planned") | said))
    else:
        click.echo(visible(text) or "-- nothing to do", nl=not text)
    return 0
