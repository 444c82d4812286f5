"""A dump in the place of a source's address: its options, and its server for as long as the command runs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, silent
from converge.sandbox.dumped import Dump, dumped

F = TypeVar("F", bound=Callable[..., Any])
_SINK = "converge.sink"
"""Where a command's context has the sink of its progress."""


def load(dump: Dump) -> Endpoint:
    """A server with the dump's rows, which is removed when the command ends, however it ends."""
    return click.get_current_context().with_resource(dumped(dump, say))


def say(text: str) -> None:
    """A line of the command's progress."""
    emit: Sink = click.get_current_context().meta.get(_SINK, silent)
    emit(Said(text))


def remember(sink: Sink) -> Sink:
    """The sink itself, which `load` will find."""
    click.get_current_context().meta[_SINK] = sink
    return sink


def dump_options(function: F) -> F:
    """A dump in the place of --source; the command gets `source` and `dump`, of which one may be given."""

    @click.option(
        "--source",
        metavar="URL",
        help="mysql://user:password@host:port/database; or set CONVERGE_SOURCE_URL, or MYSQL_HOST …",
    )
    @click.option(
        "--source-dump",
        "dumps",
        multiple=True,
        metavar="FILE",
        help="a dump in place of --source: files in order, parts, or a folder; repeatable",
    )
    @click.option("--dump-database", metavar="NAME", help="the database to load, if the dump has several")
    @click.option(
        "--mysql",
        "mysql_version",
        metavar="VERSION",
        help="version of the temporary MySQL server for the dump",
    )
    @wraps(function)
    def wrapper(
        *args: Any,
        source: str | None,
        dumps: tuple[str, ...],
        dump_database: str | None,
        mysql_version: str | None,
        **kwargs: Any,
    ) -> Any:
        if (source and dumps) or ((dump_database or mysql_version) and not dumps):
            what = "--source and --source-dump exclude each other" if source and dumps else "there is no dump"
            raise UsageError(
                what, code=Code.U016, hint="--source-dump FILE [--dump-database NAME] [--mysql 8.0.33]"
            )
        dump = Dump(dumps, dump_database or "", mysql_version or "") if dumps else None
        return function(*args, source=source, dump=dump, **kwargs)

    return wrapper  # type: ignore[return-value]
