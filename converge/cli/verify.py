"""`converge verify`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import TextIO

import click

from converge import api, files
from converge.cli.many import each_of, options_of
from converge.cli.options import database_options, output_options
from converge.cli.outputs import finish, report_option, require_reports, require_writable, unwritable
from converge.codes import Code
from converge.errors import UsageError
from converge.model.event import Sink
from converge.model.result import Difference, Named, Result, Results
from converge.run.migrate import note
from converge.run.options import Options
from converge.run.proof import VerifyLevel
from converge.settings.addresses import Chosen, Where, databases


@click.command("verify")
@database_options
@click.option(
    "--level",
    type=click.Choice(["full", "counts"]),
    default="full",
    help="compare every row and the schema, or count rows only",
)
@report_option
@click.option("--differences", metavar="FILE", help="write all rows that differ to FILE, as JSON lines")
@output_options
def command(
    where: Where,
    options: Options,
    level: VerifyLevel,
    reports: tuple[str, ...],
    differences: str | None,
    as_json: bool,
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
    try:
        with files.private_file(differences) if differences else nullcontext() as file:

            def look(one: Chosen) -> Result:
                return api.verify(
                    one.source,
                    one.target,
                    options_of(one, options),
                    level=level,
                    on_event=emit,
                    on_differences=partial(_write, file, one.name) if file else None,
                )

            results = results_of("verify", chosen, look, emit)
    except OSError as error:
        raise unwritable(str(differences), str(error.strerror)) from error
    return finish(results, reports, as_json=as_json)


def _write(file: TextIO, name: str, found: list[Difference]) -> None:
    for one in found:
        line = {"database": name, **asdict(one)} if name else asdict(one)
        file.write(json.dumps(line) + "\n")


def results_of(
    command: str, chosen: Sequence[Chosen], look: Callable[[Chosen], Result], emit: Sink
) -> Results:
    """The result of each database; one that fails is the result of an entry."""
    each = []
    for one, result, error in each_of(chosen, look, emit):
        if result is None:
            result = Result(command, str(one.source), str(one.target))
            if error is not None:
                note(result, error)
        each.append(Named(one.name, result, error))
    return Results(command, tuple(each))
