"""Commands over the [[database]] entries of `converge.toml`: each one's result, then one verdict for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.merge import Merge
from converge.model.documents import together
from converge.model.event import DatabaseStarted, Sink
from converge.planner.inputs import Selection
from converge.report.errors import error_document, error_text, say
from converge.report.several import several_text
from converge.report.words import one_line
from converge.run.connections import result_or_error
from converge.run.options import Options
from converge.settings.addresses import Chosen

T = TypeVar("T")
Look = Callable[[Chosen], tuple[dict[str, Any], str]]
"""What a command says of one database: its --json document, and its text."""


def options_of(one: Chosen, options: Options) -> Options:
    """The options for this database: those of converge.toml, but for those that the command line gives."""
    entry, selection = one.entry, options.selection
    if entry is None:
        return replace(options, maps=options.maps or one.maps)
    return replace(
        options,
        maps=options.maps or entry.maps,
        mode=options.mode if "mode" in options.given else entry.mode,
        schema=options.schema if "schema" in options.given else entry.target_schema,
        selection=Selection(selection.include or entry.include, selection.exclude or entry.exclude),
        # It is what tells an entry's runs from another's.
        given=options.given | {"schema"},
    )


def merge_of(merged: Chosen, names: Sequence[str]) -> Merge:
    """What these databases are merged into."""
    assert merged.entry is not None and merged.entry.merge is not None
    (source, schema), column = merged.move or ("", ""), merged.entry.merge.column
    return Merge(merged.name, source, merged.target, schema, tuple(names), column)


def merges_of(chosen: Sequence[Chosen]) -> dict[Chosen, list[Chosen]]:
    """What these databases are merged into, each with its shards."""
    shards: dict[Chosen, list[Chosen]] = {}
    for one in chosen:
        if one.merged is not None:
            shards.setdefault(one.merged, []).append(one)
    return shards


def with_shards(merged: Chosen, shards: Sequence[Chosen]) -> tuple[Merge, dict[str, tuple[str, str]]]:
    """A merge, and what tells the runs of its shards apart."""
    merge = merge_of(merged, [one.name for one in shards])
    return merge, {one.name: one.move for one in shards if one.move is not None}


def only(chosen: Sequence[Chosen], what: str = "this command") -> Chosen:
    """The one database of something that is about one. Raises UsageError when several are meant."""
    if len(chosen) > 1:
        raise UsageError(
            f"{what} is about one database, and converge.toml has {', '.join(one.name for one in chosen)}",
            code=Code.U033,
            hint=f"--database {chosen[0].name}",
        )
    return chosen[0]


def each_of(
    chosen: Sequence[Chosen], look: Callable[[Chosen], T], emit: Sink
) -> Iterator[tuple[Chosen, T | None, ConvergeError | None]]:
    """Each database with what it gives.

    An error of one of several entries is its result, and said on stderr; without entries it is raised.
    """
    for one in chosen:
        if one.entry is None:
            yield one, look(one), None
            continue
        emit(DatabaseStarted(one.name))
        found, error = result_or_error(partial(look, one))
        if error is not None:
            tell(one.name, error)
        yield one, found, error


def look_at(
    command: str,
    chosen: Sequence[Chosen],
    look: Look,
    emit: Sink,
    following: Callable[[], Sequence[tuple[str, str]]] = tuple,
) -> tuple[dict[str, Any], str]:
    """Document and text of all databases; `following` gives facts that the text of several ends with."""
    documents, texts = [], []
    for one, found, error in each_of(chosen, look, emit):
        if error is not None:
            found = error_document(error, command), f"error     {error.code}: {one_line(error.message)}"
        assert found is not None
        documents.append({"name": one.name, **found[0]})
        texts.append((one.name, found[1]))
    document = together(command, documents)
    return document, several_text(document, texts, following())


def tell(name: str, error: ConvergeError) -> None:
    """Says an error of one database on stderr."""
    error.message = f"{name}: {error.message}"
    say(error_text(error))
