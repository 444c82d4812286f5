"""`converge verify`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from typing import Literal, TextIO

import click

from converge import api, files
from converge.cli.exports import export_options
from converge.cli.many import each_of, merges_of, options_of, with_shards
from converge.cli.options import approver, comparing_options, database_options, output_options
from converge.cli.outputs import finish, report_option, require_reports, require_writable, unwritable
from converge.codes import Code
from converge.errors import UsageError
from converge.model.event import Sink
from converge.model.result import Difference, Named, Result, Results
from converge.run.migrate import note
from converge.run.options import Options
from converge.run.repair import Repair
from converge.settings.addresses import Chosen, Where, databases, with_merged


@click.command("verify")
@database_options
@click.option(
    "--level",
    type=click.Choice(["full", "counts"]),
    default="full",
    help="compare every row and the schema, or count rows only",
)
@comparing_options
@report_option
@click.option("--differences", metavar="FILE", help="write all rows that differ to FILE, as JSON lines")
@click.option(
    "--repair",
    is_flag=True,
    help="replace rows that differ by the source's, in one transaction; verify again",
)
@click.option("--yes", is_flag=True, help="repair without asking")
@click.option("--sql", metavar="FILE", help="with --repair: only write the statements to FILE, for psql")
@click.option(
    "--delete-extra",
    multiple=True,
    metavar="TABLE",
    help="with --repair: delete rows that only the target has, also if others wrote them; repeatable glob",
)
@export_options
@output_options
def command(
    where: Where,
    options: Options,
    level: Literal["full", "counts"],
    reports: tuple[str, ...],
    differences: str | None,
    repair: bool,
    yes: bool,
    sql: str | None,
    delete_extra: tuple[str, ...],
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
      converge verify --repair --sql repair.sql
    """
    require_reports("--report", reports)
    if level != "full" and (differences or repair):
        option = "--differences" if differences else "--repair"
        raise UsageError(f"{option} needs --level full", code=Code.U110, hint="leave out --level")
    of_repair = {"--sql": sql, "--delete-extra": delete_extra, "--yes": yes}
    if not repair and (given := [option for option, value in of_repair.items() if value]):
        raise UsageError(f"{given[0]} needs --repair", code=Code.U112, hint="add --repair")
    for path in filter(None, (differences, sql)):
        require_writable(path)
    chosen = databases(where)  # after all that is quickly said: it may load a dump
    if sql and len(chosen) > 1:
        raise UsageError("--sql is the script of one database", code=Code.U112, hint="--database NAME")
    try:
        with (
            files.private_file(differences) if differences else nullcontext() as file,
            files.private_file(sql) if sql else nullcontext() as script,
        ):
            wish = Repair(delete_extra, approver(yes), _bytes_to(script) if script else None)

            def look(one: Chosen) -> Result:
                return api.verify(
                    one.source,
                    one.target,
                    options_of(one, options),
                    level=level,
                    on_event=emit,
                    on_differences=partial(_write, file, one.name) if file else None,
                    repair=wish if repair else None,
                )

            results = results_of("verify", chosen, look, options, emit)
    except OSError as error:
        raise unwritable(" or ".join(filter(None, (differences, sql))), str(error.strerror)) from error
    return finish(results, reports, emit, as_json=as_json)


def _bytes_to(file: TextIO) -> Callable[[bytes], object]:
    """Writes COPY text as the source gave it, without a look at its characters."""
    return file.buffer.write


def _write(file: TextIO, name: str, found: list[Difference]) -> None:
    for one in found:
        line = {"database": name, **asdict(one)} if name else asdict(one)
        file.write(json.dumps(line) + "\n")


def results_of(
    command: str,
    chosen: Sequence[Chosen],
    look: Callable[[Chosen], Result],
    options: Options,
    emit: Sink,
) -> Results:
    """The result of each database, then of what they are merged into; one that fails is the result of an
    entry."""
    merges = merges_of(chosen)

    def compare(one: Chosen) -> Result:
        if one not in merges:
            return look(one)
        merge, shards = with_shards(one, merges[one])
        return replace(api.verify_merge(merge, shards, options_of(one, options).selection), command=command)

    each = []
    for one, result, error in each_of(with_merged(chosen), compare, emit):
        if result is None:
            result = Result(command, str(one.source), str(one.target))
            if error is not None:
                note(result, error)
        each.append(Named(one.name, result, error))
    return Results(command, tuple(each))
