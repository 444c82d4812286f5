"""Options that several commands share."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from converge import files
from converge.cli.source_dump import dump_options, load, remember
from converge.codes import Code
from converge.errors import ConvergeError, UsageError, first_of
from converge.model.event import Sink, silent
from converge.model.plan import Mode
from converge.model.quote import require_schema
from converge.model.recovery import Approve, Removal
from converge.planner.inputs import Selection
from converge.report.errors import error_text
from converge.report.progress import Bars, Lines
from converge.report.several import FORMS, Report, report_as
from converge.report.words import visible
from converge.run.options import Options, default_jobs
from converge.sandbox.dumped import Dump
from converge.settings.addresses import Where

F = TypeVar("F", bound=Callable[..., Any])
_MOST_TABLES = 50
_DECIDING = ("maps", "mode", "schema", "include", "exclude")
_SAID = ParameterSource.COMMANDLINE


def _named(_context: click.Context, _option: click.Parameter, schema: str | None) -> str | None:
    return schema if schema is None else require_schema(schema, "--schema")


TARGET_HELP = "postgresql://user:password@host:port/database; or set CONVERGE_TARGET_URL, or PGHOST …"
schema_option = click.option(
    "--schema", default="public", show_default=True, callback=_named, help="the target schema"
)
any_schema_option = click.option(
    "--schema", callback=_named, help="the target schema  [default: that of the last run]"
)


def place_options(function: F) -> F:
    """--config and --database; the command gets `where`, with --source and --target if it has them."""

    @click.option("--config", metavar="FILE", help="use FILE, not converge.toml in the working folder")
    @click.option(
        "--database",
        "names",
        multiple=True,
        metavar="NAME",
        help="only this [[database]] of converge.toml; repeatable",
    )
    @wraps(function)
    def wrapper(
        *args: Any,
        config: str | None,
        names: tuple[str, ...],
        source: str | None = None,
        target: str | None = None,
        dump: Dump | None = None,
        **kwargs: Any,
    ) -> Any:
        loading = None if dump is None else partial(load, dump)
        return function(*args, where=Where(source, target, config, names, loading), **kwargs)

    return wrapper  # type: ignore[return-value]


def side_options(function: F) -> F:
    """Where both sides are, and what is meant of them; the command gets `where` and `options`."""
    target = click.option("--target", metavar="URL", help=TARGET_HELP)
    return dump_options(target(place_options(selection_options(function))))


def selection_options(function: F) -> F:
    """What is meant of the databases, and how much is done at a time; the command gets `options`."""

    @schema_option
    @click.option("--include", multiple=True, metavar="GLOB", help="migrate only these tables; repeatable")
    @click.option("--exclude", multiple=True, metavar="GLOB", help="leave out these tables; repeatable")
    @click.option(
        "--jobs",
        type=click.IntRange(1, 64),
        default=default_jobs,
        show_default="cores, 2 to 8",
        help="number of worker processes and connections",
    )
    @wraps(function)
    def wrapper(
        *args: Any, schema: str, include: tuple[str, ...], exclude: tuple[str, ...], jobs: int, **kwargs: Any
    ) -> Any:
        context = click.get_current_context()
        given = {name for name in _DECIDING if context.get_parameter_source(name) is _SAID}
        options = Options(
            schema=schema, selection=Selection(include, exclude), jobs=jobs, given=frozenset(given)
        )
        return function(*args, options=options, **kwargs)

    return wrapper  # type: ignore[return-value]


mode_option = click.option(
    "--mode",
    type=click.Choice(["create", "load"]),
    default="create",
    show_default=True,
    help="create the tables, or load into those that the application's migrations have created",
)
map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="NAME|FILE",
    help="a map with rules of your own, asked before the built-in ones; repeatable",
)


def database_options(function: F) -> F:
    """`side_options`, and what decides the plan."""
    return side_options(planning_options(function))


def planning_options(function: F) -> F:
    """What decides the plan, for a command that has `options` already."""

    @mode_option
    @map_option
    @click.option(
        "--scan/--no-scan",
        default=True,
        show_default=True,
        help="read the data to find values that do not fit",
    )
    @click.option(
        "--scan-seconds",
        type=click.FloatRange(0.001),
        default=60,
        show_default=True,
        help="time limit for the scan of one table",
    )
    @wraps(function)
    def wrapper(
        *args: Any,
        options: Options,
        mode: Mode,
        maps: tuple[str, ...],
        scan: bool,
        scan_seconds: float,
        **kwargs: Any,
    ) -> Any:
        options = replace(options, mode=mode, maps=maps, scan=scan, scan_seconds=scan_seconds)
        return function(*args, options=options, **kwargs)

    return wrapper  # type: ignore[return-value]


def clear_options(function: F) -> F:
    """--recreate, --truncate and --strict, for a command that has `options` already."""

    @click.option(
        "--recreate",
        is_flag=True,
        help="create mode: drop the planned tables and create them again (never CASCADE)",
    )
    @click.option("--truncate", is_flag=True, help="load mode: empty the loaded tables first (never CASCADE)")
    @click.option("--strict", is_flag=True, help="stop when a rule of a map matches nothing")
    @wraps(function)
    def wrapper(
        *args: Any, options: Options, recreate: bool, truncate: bool, strict: bool, **kwargs: Any
    ) -> Any:
        options = replace(options, recreate=recreate, truncate=truncate, strict=strict)
        return function(*args, options=options, **kwargs)

    return wrapper  # type: ignore[return-value]


yes_option = click.option("--yes", is_flag=True, help="remove rows without asking")


def approver(yes: bool) -> Approve | None:
    """Asks on a terminal; elsewhere refuses, unless --yes has said it already."""

    def approve(removal: Removal) -> None:
        lines = first_of(removal.lines, _MOST_TABLES)
        if not sys.stdin.isatty():
            raise UsageError(f"would {removal.title}", code=Code.U181, details=lines, hint="--yes")
        click.echo("\n".join(visible(f"  {line}") for line in lines), err=True)
        click.confirm(visible(f"{removal.title[:1].upper()}{removal.title[1:]}?"), abort=True, err=True)

    return None if yes else approve


def target_options(function: F) -> F:
    """Where the target is; the command gets `where`."""
    return click.option("--target", metavar="URL", help=TARGET_HELP)(place_options(function))


def backfill_options(function: F) -> F:
    """--target, --schema, --map and --from; the command gets `where`, and `given`: addresses by name."""

    @target_options
    @schema_option
    @click.option(
        "--map", "maps", multiple=True, metavar="NAME|FILE", help="a map that declares backfills; repeatable"
    )
    @click.option(
        "--from",
        "named",
        multiple=True,
        metavar="NAME=URL",
        help="the address of a database that a map asks; or CONVERGE_NAME_URL",
    )
    @wraps(function)
    def wrapper(*args: Any, named: tuple[str, ...], **kwargs: Any) -> Any:
        given = {name: url for name, _, url in (one.partition("=") for one in named)}
        if nameless := [name for name, url in given.items() if not url]:
            hint = "--from kratos=postgresql://user:password@host:5432/database"
            raise UsageError(
                f"--from {nameless[0].split(':')[0]}… names no database", code=Code.U002, hint=hint
            )
        return function(*args, given=given, **kwargs)

    return wrapper  # type: ignore[return-value]


def output_options(function: F) -> F:
    """--json, -q, -v, --no-progress; the command gets `as_json`, `verbose` and the sink `emit`."""

    @click.option("--json", "as_json", is_flag=True, help="print one JSON document to stdout")
    @click.option("-q", "--quiet", is_flag=True, help="print the result only, no progress")
    @click.option("-v", "--verbose", is_flag=True, help="print more detail")
    @click.option("--no-progress", is_flag=True, help="print progress as lines, not as bars")
    @wraps(function)
    def wrapper(*args: Any, quiet: bool, no_progress: bool, **kwargs: Any) -> Any:
        if quiet or no_progress or not sys.stderr.isatty():
            sink: Sink = silent if quiet else Lines()
            return function(*args, emit=remember(sink), **kwargs)
        with Bars() as bars:
            return function(*args, emit=remember(bars), **kwargs)

    return wrapper  # type: ignore[return-value]


def write_private(path: str, text: str) -> None:
    """Writes a file that only its owner can read; ``-`` is stdout. Raises UsageError."""
    if path == "-":
        click.echo(text)
        return
    try:
        files.write_private(path, text)
    except OSError as error:
        raise unwritable(path, str(error.strerror)) from error


def write_reports(result: Report, paths: Iterable[str]) -> None:
    """Writes the result to each path, in the form of its ending, as far as it can be.

    Raises ConvergeError when a file could not be written; the ledger keeps the report.
    """
    failed: list[tuple[str, str]] = []
    for path in paths:
        try:
            files.write_private(path, report_as(result, path))
        except OSError as error:
            failed.append((path, str(error.strerror)))
    if failed:
        raise ConvergeError(
            f"the report {failed[0][0]} cannot be written: {failed[0][1]}",
            code=Code.U012,
            details=[f"{path}: {why}" for path, why in failed[1:]],
            hint=" ".join(["converge report", *(f"-o {path}" for path, _ in failed)])
            + " writes it again, from the ledger in the target",
        )


def try_file(path: str, text: str, what: str, hint: str) -> int:
    """Writes a private file, or says on stderr that it could not be; the exit code of that, or 0."""
    try:
        files.write_private(path, text)
    except OSError as error:
        said = f"the {what} {path} cannot be written: {error.strerror}"
        unwritten = ConvergeError(said, code=Code.U012, hint=hint)
        click.echo(error_text(unwritten), err=True)
        return unwritten.exit_code
    return 0


def try_reports(result: Report, reports: Iterable[str]) -> int:
    """Writes the reports, and says on stderr which could not be; the exit code of that, or 0."""
    try:
        write_reports(result, reports)
    except ConvergeError as error:
        click.echo(error_text(error), err=True)
        return error.exit_code
    return 0


def finish(result: Report, text: str, reports: Iterable[str], *, as_json: bool) -> int:
    """Writes the reports and prints the result, whatever becomes of the reports; the exit code."""
    unwritten = try_reports(result, reports)
    code = result.exit_code or unwritten
    click.echo(json.dumps(result.to_json() | {"exit_code": code}) if as_json else text)
    return code


def require_reports(option: str, paths: Iterable[str]) -> None:
    """Raises UsageError for a path that `write_reports` could not write: now, not after hours of work."""
    for path in paths:
        if Path(path).suffix not in FORMS:
            hint = f"{option} {Path(path).with_suffix('.html')}"
            endings = f"{', '.join([*FORMS][:-1])} or {[*FORMS][-1]}"
            raise UsageError(f"{option} {path}: a report ends in {endings}", code=Code.U005, hint=hint)
        require_writable(path)


def require_ending(option: str, path: str | None, ending: str) -> None:
    """Raises UsageError for a file whose name promises another format, or that could not be written."""
    if path is None or path == "-":
        return
    if (found := Path(path).suffix.lower()) not in ("", ending):
        other = found[1:] if found in (".html", ".md", ".sql") else ""
        hint = f"--{other} {path}" if other else f"{option} {Path(path).with_suffix(ending)}"
        raise UsageError(f"{option} {path}: the file's name must end in {ending}", code=Code.U005, hint=hint)
    require_writable(path)


def require_writable(path: str) -> None:
    """Raises UsageError when `write_private` could not write: found now, not after hours of work."""
    if (why := files.why_not(path)) is not None:
        raise unwritable(path, why)


def unwritable(path: str, why: str) -> UsageError:
    """The error of a file that cannot be written."""
    hint = "name a file in a folder that exists and that you may write to"
    return UsageError(f"{path} cannot be written: {why}", code=Code.U004, hint=hint)


report_option = click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="FILE",
    help="the result as .html, .md, .json or .xml (JUnit)",
)
