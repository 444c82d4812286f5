"""A dump in the place of a source's address, and its server for as long as the command runs."""

from __future__ import annotations

from typing import Any

import click

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink, silent
from converge.sandbox.dumped import Dump, dumped

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


def source_or_dump(
    source: str | None, dumps: tuple[str, ...], dump_database: str | None, mysql_version: str | None
) -> dict[str, Any]:
    """`source` and `dump`, of which one may be given. Raises UsageError."""
    if (source and dumps) or ((dump_database or mysql_version) and not dumps):
        what = "--source and --source-dump exclude each other" if source and dumps else "there is no dump"
        hint = "--source-dump FILE [--dump-database NAME] [--mysql 8.0.33]"
        raise UsageError(what, code=Code.U016, hint=hint)
    dump = Dump(dumps, dump_database or "", mysql_version or "") if dumps else None
    return {"source": source, "dump": dump}
