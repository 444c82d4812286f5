"""`converge migrations`: generate, run, revert, show, check and validate."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from converge import files
from converge.cli import Group
from converge.cli.many import only, options_of
from converge.cli.options import (
    group,
    map_option,
    output_options,
    scan_option,
    schema_of,
    side_options,
    target_options,
)
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.revision import Direction
from converge.model.validation import Validation
from converge.report.html import to_html
from converge.report.junit import to_junit
from converge.report.markdown import to_markdown
from converge.report.migrations import checked_text, generated_text, migrated_text, standings_text
from converge.report.validation import validation_document, validation_suites, validation_text
from converge.report.words import visible
from converge.revisions import commands
from converge.revisions.drift import drift
from converge.revisions.folder import Folder, writing
from converge.revisions.generate import Generator, Origin
from converge.revisions.validate import SUMMARY, Request, validate
from converge.run.options import Options
from converge.settings.addresses import Where, databases, picked, resolve_target
from converge.settings.file import Database, read

_FORMS: Mapping[str, Callable[[Validation], str]] = {
    SUMMARY: lambda result: json.dumps(result.to_json(), indent=1) + "\n",
    "summary.md": lambda result: to_markdown(validation_document(result)),
    "junit.xml": lambda result: to_junit("converge migrations validate", validation_suites(result)),
    "report.html": lambda result: to_html(validation_document(result)),
}
_BACK = re.compile(r"-\d+")


@click.group("migrations", cls=Group)
def command() -> None:
    """Manage the target's schema with Alembic: generate, run, revert, show and validate revisions."""


_alembic_option = click.option(
    "--alembic", "place", metavar="DIR|FILE", help="a folder with env.py, an alembic.ini, or a pyproject.toml"
)


def _folder(place: str | None, where: Where) -> dict[str, Any]:
    folder = Folder.open(place)
    return {"folder": folder, "target": _target(where)[0]}


def _with_schema(place: str | None, where: Where) -> dict[str, Any]:
    folder = Folder.open(place)
    target, entry = _target(where)
    stated = entry.target_schema if entry and "target_schema" in entry.model_fields_set else None
    return {"folder": folder, "target": target, "schema": where.schema or stated}


def _target(where: Where) -> tuple[Endpoint, Database | None]:
    """With its entry in converge.toml, which may have no source."""
    if where.names:
        return resolve_target(where), picked(read(where.config), where)[0]
    one = only(databases(where, source="unused"))
    return one.target, one.entry


_folder_options = group(_alembic_option, target_options, gather=_folder)
"""--alembic and --target; the command gets `folder` and the one `target` that is meant."""
_check_options = group(
    _alembic_option, target_options, schema_of("the baseline or version table"), gather=_with_schema
)
"""And the `schema` that is stated, None for none."""
_validate_options = group(
    _alembic_option, target_options, schema_of("the baseline, else public"), gather=_with_schema
)
_moving_options = group(
    click.option("--sql", is_flag=True, help="print the SQL, and execute nothing"),
    click.option(
        "--accept-data-loss",
        "accepted",
        multiple=True,
        metavar="REV",
        help="run this revision although it can lose rows and was not validated; repeatable",
    ),
    _folder_options,
)


@command.command("generate")
@click.option("-n", "--name", required=True, metavar="NAME", help="a short title of the revision")
@click.option(
    "--from",
    "origin",
    type=click.Choice(["target", "source", "models"]),
    help="where to read the schema  [default: a target with tables for a baseline, else the source]",
)
@_alembic_option
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
@_folder_options
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
@_check_options
@output_options
def _check(
    folder: Folder, target: Endpoint, schema: str | None, as_json: bool, verbose: bool, emit: Sink
) -> int:
    """Check that the target's schema is what its revisions make. Writes nothing.

    \b
    Examples:
      converge migrations check
    """
    checked = drift(folder, target, schema, emit)
    click.echo(json.dumps(checked.to_json()) if as_json else checked_text(checked))
    return checked.exit_code


@command.command("validate")
@click.argument("revision", required=False)
@_validate_options
@click.option(
    "--reference",
    type=Path,
    metavar="DIR",
    help="compare with the CSV files in DIR: the affected rows as they should be",
)
@click.option(
    "--accept",
    is_flag=True,
    help="write the affected rows to the --reference folder, and compare with nothing",
)
@click.option(
    "--artifacts",
    type=Path,
    metavar="DIR",
    help="write the results to DIR, not to converge-validation/REVISION",
)
@output_options
def _validate(
    folder: Folder,
    target: Endpoint,
    revision: str | None,
    schema: str | None,
    reference: Path | None,
    accept: bool,
    artifacts: Path | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Test a revision on a copy of the database, and compare the changed rows with a reference.

    \b
    Examples:
      converge migrations validate 4f2c
      converge migrations validate 4f2c --reference reference/4f2c --accept
    """
    request = Request(schema, revision, reference, accept, artifacts)
    if accept and reference is None:
        raise UsageError("--accept writes the reference", code=Code.A055, hint="--reference DIR --accept")
    if reference and not accept and not reference.is_dir():
        raise UsageError(
            f"--reference {reference} is not a folder", code=Code.A055, hint="--accept writes it"
        )
    result = Validation(revision or "", "", str(target))
    try:
        validate(folder, target, request, emit, result)
    except ConvergeError as error:
        # A validation that fails has its files, too, once there is a folder for them.
        result.failure = f"{error.code} {error.message}"
        if result.artifacts:
            _write(result)
        raise
    _write(result)
    click.echo(json.dumps(result.to_json()) if as_json else validation_text(result))
    return result.exit_code


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
        click.echo((visible(text) or "-- nothing to do").encode(), nl=not text)
    return 0


def _write(result: Validation) -> None:
    with writing(Path(result.artifacts), "--artifacts"):
        for name, form in _FORMS.items():
            files.write_private(str(Path(result.artifacts, name)), form(result))
