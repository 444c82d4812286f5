"""Commands over the [[database]] entries of `converge.toml`: each one's result, then one verdict for all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import click

from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.together import together
from converge.pipeline.options import RESUME, Options
from converge.planner.inputs import Selection
from converge.report.errors import error_document, error_text
from converge.report.several import several_text
from converge.run.connections import attempt
from converge.settings.addresses import Chosen, Where, resolve, several
from converge.settings.file import Database


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command says of one database."""

    name: str
    document: dict[str, Any]
    text: str


def options_of(entry: Database, options: Options) -> Options:
    """The entry's options; one that the command line gives counts for every database in its place."""
    selection = options.selection
    return replace(
        options,
        maps=options.maps or entry.maps,
        mode=options.mode if "mode" in options.given else entry.mode,
        schema=options.schema if "schema" in options.given else entry.target_schema,
        selection=Selection(selection.include or entry.include, selection.exclude or entry.exclude),
        # It is what tells an entry's runs from another's.
        given=options.given | {"schema"},
    )


def single(where: Where, options: Options, *, need_target: bool) -> tuple[Endpoint, Endpoint | None, Options]:
    """Addresses and options for a command that is about one database. Raises UsageError for several."""
    chosen = several(where)
    if not chosen:
        addresses = resolve(where, need_target=need_target)
        return addresses.source, addresses.target, options
    require_single(chosen, "this command")
    return chosen[0].source, chosen[0].target, options_of(chosen[0].entry, options)


def require_single(chosen: Sequence[Chosen], what: str) -> None:
    """Raises UsageError when several databases are meant by something that is about one."""
    if len(chosen) > 1:
        names = ", ".join(one.entry.name for one in chosen)
        raise UsageError(
            f"{what} is about one database, and converge.toml has {names}",
            code=Code.U033,
            hint=f"--database {chosen[0].entry.name}",
        )


def over(
    command: str, chosen: Sequence[Chosen], look: Callable[[Chosen], tuple[dict[str, Any], str]], emit: Sink
) -> list[Shown]:
    """Looks at each database; an error of one is its result, and said on stderr."""
    return list(_each(command, chosen, look, emit))


def _each(
    command: str, chosen: Sequence[Chosen], look: Callable[[Chosen], tuple[dict[str, Any], str]], emit: Sink
) -> Iterator[Shown]:
    for one in chosen:
        emit(Said(f"database {one.entry.name}"))
        found, error = attempt(partial(look, one))
        if error is not None:
            tell(one.entry.name, error)
            found = error_document(error, command), f"error     {error.code}: {error.message}"
        assert found is not None
        yield Shown(one.entry.name, *found)


def show(command: str, shown: Sequence[Shown], *, as_json: bool, quiet: bool = False) -> int:
    """Prints all of them, unless stdout has something else; the exit code of the worst."""
    document = together(command, [{"name": one.name, **one.document} for one in shown])
    texts = [(one.name, one.text) for one in shown]
    if as_json or not quiet:
        click.echo(json.dumps(document) if as_json else several_text(document, texts))
    return int(document["exit_code"])


def tell(name: str, error: ConvergeError) -> None:
    """Says an error of one database on stderr."""
    error.message = f"{name}: {error.message}"
    click.echo(error_text(error), err=True)


def again(text: str, where: Where) -> str:
    """A hint whose command to resume means the same databases."""
    picks = [*(["--config", where.config] if where.config else [])]
    picks += [word for name in where.names for word in ("--database", name)]
    return text.replace(RESUME, " ".join([RESUME, shlex.join(picks)]).rstrip())
