"""`converge verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import Literal, TextIO

import click

from converge import api, files
from converge.cli.many import as_report, options_of, tell
from converge.cli.options import (
    database_options,
    finish,
    output_options,
    report_option,
    require_reports,
    require_writable,
    unwritable,
)
from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.result import Difference, Named, Result
from converge.run.connections import attempt
from converge.run.migrate import note
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases

Level = Literal["full", "counts"]
Look = Callable[[Endpoint, Endpoint, Options, str], Result]


@click.command("verify")
@database_options
@click.option(
    "--level",
    type=click.Choice(["full", "counts"]),
    default="full",
    show_default=True,
    help="compare every row and the schema, or count rows only",
)
@report_option
@click.option("--differences", metavar="FILE", help="write all rows that differ to FILE, as JSON lines")
@output_options
def command(
    where: Where,
    options: Options,
    level: Level,
    reports: tuple[str, ...],
    differences: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Compare every row and column of both databases, and the target's schema.

    Compares by the plan of the last run, which the ledger in the target keeps. Exits with 1 when something
    differs.

    \b
    Examples:
      converge verify
      converge verify --report verify.html --differences rows.jsonl
    """
    require_reports("--report", reports)
    if differences:
        if level != "full":
            raise UsageError("--differences needs --level full", code=Code.U110, hint="leave out --level")
        require_writable(differences)
    chosen = databases(where)  # after all that is quickly said: it may load a dump
    with ExitStack() as stack:
        try:
            file = stack.enter_context(files.private_file(differences)) if differences else None
            look = partial(_look, level=level, file=file, emit=emit)
            each = [_named(one, options_of(one, options), look, emit) for one in chosen]
            stack.close()
        except OSError as error:
            raise unwritable(str(differences), str(error.strerror)) from error
    report, text = as_report("verify", each)
    return finish(report, text, reports, as_json=as_json)


def _named(one: Chosen, options: Options, look: Look, emit: Sink) -> Named:
    """A database's result. An error of one of several entries is its result, and said on stderr."""
    if one.entry is None:
        return Named("", look(one.source, one.target, options, ""))
    emit(Said(f"database {one.name}"))
    result, error = attempt(partial(look, one.source, one.target, options, one.name))
    if error is not None:
        result = Result("verify", str(one.source), str(one.target))
        note(result, error)
        tell(one.name, error)
    assert result is not None
    return Named(one.name, result, error)


def _look(
    source: Endpoint,
    target: Endpoint,
    options: Options,
    name: str,
    *,
    level: Level,
    file: TextIO | None,
    emit: Sink,
) -> Result:
    def write(found: list[Difference]) -> None:
        assert file is not None
        for one in found:
            line = {"database": name, **asdict(one)} if name else asdict(one)
            file.write(json.dumps(line) + "\n")

    return api.verify(
        source, target, options, level=level, on_event=emit, on_differences=write if file else None
    )
