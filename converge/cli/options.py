"""Options that several commands share, and what the commands get of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial, reduce, wraps
from inspect import signature
from typing import Any, get_args

import click
from click.core import ParameterSource

from converge.cli.exports import export_options, exported
from converge.cli.source_dump import load, remember, say, source_or_dump
from converge.codes import Code
from converge.errors import UsageError, first_of
from converge.model.event import silent
from converge.model.plan import Compression, Mode
from converge.model.quote import require_schema
from converge.model.recovery import Approve, Removal
from converge.planner.inputs import Selection
from converge.report.progress import Bars, Lines
from converge.report.words import visible
from converge.run.options import Options, default_jobs
from converge.run.throttle import Limits
from converge.sandbox.dumped import Dump
from converge.settings.addresses import Where

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_MOST_TABLES = 50
_DECIDING = ("maps", "mode", "schema", "include", "exclude")
_SAID = ParameterSource.COMMANDLINE


def group(*options: Decorator, gather: Callable[..., dict[str, Any]] = dict) -> Decorator:
    """These options. The command gets what `gather` makes of the values that its parameters name."""
    names = signature(gather).parameters if gather is not dict else ()

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(**given: Any) -> Any:
            values = {name: given.pop(name) for name in names if name in given}
            return function(**given, **gather(**values))

        made: Callable[..., Any] = wrapper

        for option in reversed(options):
            made = option(made)
        return made

    return decorate


def _named(_context: click.Context, _option: click.Parameter, schema: str | None) -> str | None:
    return schema if schema is None else require_schema(schema, "--schema")


schema_option = click.option("--schema", default="public", callback=_named, help="the target schema")


def _within(where: Where, schema: str | None) -> dict[str, Any]:
    return {"where": replace(where, schema=schema)}


def schema_of(otherwise: str) -> Decorator:
    """--schema for a command that has `where` already, without a default of its own."""
    about = f"the target schema  [default: that of the entry, else of {otherwise}]"
    return group(click.option("--schema", callback=_named, help=about), gather=_within)


any_schema_option = schema_of("the last run")
mode_option = click.option(
    "--mode",
    type=click.Choice(["create", "load"]),
    default="create",
    help="create the tables, or load into those that the application's migrations have created",
)
map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="NAME|FILE",
    help="a map with rules of your own, asked before the built-in ones; repeatable",
)
scan_option = click.option(
    "--scan/--no-scan", default=True, help="read the data to find values that do not fit"
)
yes_option = click.option("--yes", is_flag=True, help="remove rows without asking")


def _where(
    config: str | None,
    names: tuple[str, ...],
    source: str | None = None,
    target: str | None = None,
    dump: Dump | None = None,
) -> dict[str, Any]:
    loading = None if dump is None else partial(load, dump)
    return {"where": Where(source, target, config, names, loading, say)}


place_options = group(
    click.option("--config", metavar="FILE", help="use FILE, not converge.toml in the working folder"),
    click.option(
        "--database",
        "names",
        multiple=True,
        metavar="NAME",
        help="only this [[database]] of converge.toml; repeatable",
    ),
    gather=_where,
)
"""--config and --database; the command gets `where`, with --source and --target if it has them."""
target_options = group(
    click.option(
        "--target",
        metavar="URL",
        help="postgresql://user:password@host:port/database; or set CONVERGE_TARGET_URL, or PGHOST …",
    ),
    place_options,
)
"""Where the target is; the command gets `where`."""


def _selected(schema: str, include: tuple[str, ...], exclude: tuple[str, ...], jobs: int) -> dict[str, Any]:
    context = click.get_current_context()
    given = frozenset(name for name in _DECIDING if context.get_parameter_source(name) is _SAID)
    return {"options": Options(schema=schema, selection=Selection(include, exclude), jobs=jobs, given=given)}


selection_options = group(
    schema_option,
    click.option("--include", multiple=True, metavar="GLOB", help="migrate only these tables; repeatable"),
    click.option("--exclude", multiple=True, metavar="GLOB", help="leave out these tables; repeatable"),
    click.option(
        "--jobs",
        type=click.IntRange(1, 64),
        default=default_jobs,
        show_default="cores, 2 to 8",
        help="number of worker processes",
    ),
    gather=_selected,
)
"""What is meant of the databases, and how much is done at a time; the command gets `options`."""
source_option = click.option(
    "--source",
    metavar="URL",
    help="mysql://user:password@host:port/database; or set CONVERGE_SOURCE_URL, or MYSQL_HOST …",
)
dump_options = group(
    source_option,
    click.option(
        "--source-dump",
        "dumps",
        multiple=True,
        metavar="FILE",
        help="a dump in place of --source: files in order, parts, or a folder; repeatable",
    ),
    click.option("--dump-database", metavar="NAME", help="the database to load, if the dump has several"),
    click.option(
        "--mysql",
        "mysql_version",
        metavar="VERSION",
        help="version of the temporary MySQL server for the dump",
    ),
    gather=source_or_dump,
)
"""A dump in the place of --source; the command gets `source` and `dump`, of which one may be given."""
side_options = group(dump_options, target_options, selection_options)
"""Where both sides are, and what is meant of them; the command gets `where` and `options`."""


def _planning(
    options: Options,
    mode: Mode,
    maps: tuple[str, ...],
    scan: bool,
    scan_seconds: float,
    compression: Compression,
) -> dict[str, Any]:
    return {
        "options": replace(
            options,
            mode=mode,
            maps=maps,
            scan=scan,
            scan_seconds=scan_seconds,
            compression=compression,
        )
    }


planning_options = group(
    mode_option,
    map_option,
    scan_option,
    click.option(
        "--scan-seconds",
        type=click.FloatRange(0.001),
        default=60,
        help="time limit for the scan of one table",
    ),
    click.option(
        "--compression",
        type=click.Choice(get_args(Compression)),
        default="lz4",
        help="how PostgreSQL compresses long values: by lz4 where it can, or by its own default",
    ),
    gather=_planning,
)
"""What decides the plan, for a command that has `options` already."""
database_options = group(side_options, planning_options)
"""`side_options`, and what decides the plan."""
server_options = group(source_option, target_options, selection_options, planning_options)
"""The same for a command that reads the source's log or writes to it, for which a dump cannot stand in."""


_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}
_LEAST_RATE = 1_000_000
"""With less the source would end the connection of a reader that waits (net_write_timeout)."""


def _limited(options: Options, max_load: tuple[str, ...], max_rate: str | None = None) -> dict[str, Any]:
    load = []
    for text in max_load:
        name, _, most = text.partition("=")
        if not (name and most.isdecimal()):
            raise UsageError(
                f"--max-load {text} is not NAME=NUMBER", code=Code.U035, hint="--max-load Threads_running=40"
            )
        load.append((name, int(most)))
    return {"options": replace(options, limits=Limits(_rate(max_rate) if max_rate else 0, tuple(load)))}


def _rate(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB)(?:/s)?", text)
    rate = int(float(found[1]) * _UNITS[found[2]]) if found else 0
    if rate < _LEAST_RATE:
        raise UsageError(
            f"--max-rate {text} is not a rate of 1MB/s or more", code=Code.U035, hint="--max-rate 20MB/s"
        )
    return rate


load_option = click.option(
    "--max-load",
    multiple=True,
    metavar="NAME=NUMBER",
    help="hand out no work while this status variable of the source is larger; repeatable",
)
limit_options = group(
    click.option(
        "--max-rate", metavar="RATE", help="copy at most this much with all workers together, such as 20MB/s"
    ),
    load_option,
    gather=_limited,
)
"""How much of the servers may be taken, for a command that has `options` already."""


def _of_run(options: Options, run: int | None) -> dict[str, Any]:
    return {"options": replace(options, run=run)}


run_option = group(
    click.option("--run", type=int, metavar="ID", help="an earlier run  [default: the last of the source]"),
    gather=_of_run,
)
"""--run, for a command that has `options` already."""
comparing_options = group(run_option, load_option, gather=_limited)
"""--run and --max-load, for a command that copies no chunks."""


def _clearing(options: Options, recreate: bool, truncate: bool, strict: bool) -> dict[str, Any]:
    return {"options": replace(options, recreate=recreate, truncate=truncate, strict=strict)}


clear_options = group(
    click.option(
        "--recreate",
        is_flag=True,
        help="create mode: drop the planned tables and create them again (never CASCADE)",
    ),
    click.option(
        "--truncate",
        is_flag=True,
        help='load mode: empty the loaded tables first, except those with rows = "merge" (never CASCADE)',
    ),
    click.option("--strict", is_flag=True, help="stop when a rule of a map matches nothing"),
    gather=_clearing,
)
"""--recreate, --truncate and --strict, for a command that has `options` already."""


def may_ask() -> bool:
    """Whether somebody at a terminal can be asked; a closed stdin is None."""
    return sys.stdin is not None and sys.stdin.isatty()


def approver(yes: bool) -> Approve | None:
    """Asks on a terminal; elsewhere refuses, unless --yes has said it already."""

    def approve(removal: Removal) -> None:
        lines = first_of(removal.lines, _MOST_TABLES)
        if not may_ask():
            raise UsageError(f"would {removal.title}", code=Code.U181, details=lines, hint="--yes")
        click.echo("\n".join(visible(f"  {line}") for line in lines), err=True)
        if not click.confirm(visible(f"{removal.title[:1].upper()}{removal.title[1:]}?"), err=True):
            raise UsageError("not confirmed: nothing was changed", code=Code.U181)

    return None if yes else approve


def _others(named: tuple[str, ...]) -> dict[str, Any]:
    given = {name: url for name, _, url in (one.partition("=") for one in named)}
    if nameless := [name for name, url in given.items() if not url]:
        hint = "--from kratos=postgresql://user:password@host:5432/database"
        raise UsageError(f"--from {nameless[0].split(':')[0]}… names no database", code=Code.U002, hint=hint)
    return {"given": given}


backfill_options = group(
    target_options,
    schema_option,
    click.option(
        "--map", "maps", multiple=True, metavar="NAME|FILE", help="a map that declares backfills; repeatable"
    ),
    click.option(
        "--from",
        "named",
        multiple=True,
        metavar="NAME=URL",
        help="the address of a database that a map asks; or CONVERGE_NAME_URL",
    ),
    gather=_others,
)
"""--target, --schema, --map and --from; the command gets `where`, and `given`: addresses by name."""


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--json, -q, -v, --no-progress; the command gets what it names of `as_json`, `verbose`, `emit`."""
    named = signature(function, follow_wrapped=False).parameters

    def gather(as_json: bool, verbose: bool, quiet: bool, no_progress: bool) -> dict[str, Any]:
        bars = not (quiet or no_progress) and sys.stderr.isatty()
        emit = silent if quiet else click.get_current_context().with_resource(Bars()) if bars else Lines()
        values = {"as_json": as_json, "verbose": verbose, "emit": remember(exported(emit))}
        return {name: value for name, value in values.items() if name in named}

    return group(
        click.option("--json", "as_json", is_flag=True, help="print one JSON document to stdout"),
        click.option("-q", "--quiet", is_flag=True, help="print the result only, no progress"),
        click.option("-v", "--verbose", is_flag=True, help="print more detail"),
        click.option("--no-progress", is_flag=True, help="print progress as lines, not as bars"),
        gather=gather,
    )(function)


def _names(*decorators: Decorator) -> frozenset[str | None]:
    """Of the options of a command that has these alone."""
    command = reduce(lambda made, decorator: decorator(made), decorators, lambda **_: None)
    return frozenset(option.name for option in click.command()(command).params)


@cache
def _shared() -> tuple[frozenset[str | None], frozenset[str | None]]:
    return _names(database_options), _names(export_options, output_options)


def shared(option: click.Parameter) -> int:
    """Where an option belongs in a command's help: 0 for its own, then what says where and what the databases
    are, 2 for what says how the result is shown."""
    databases, output = _shared()
    return 1 if option.name in databases else 2 if option.name in output else 0
