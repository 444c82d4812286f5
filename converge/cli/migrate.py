"""`converge migrate`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from converge import api
from converge.api import Merge, MigrateOptions, Move, migrate, migrate_several
from converge.cli.exports import export_options
from converge.cli.many import merges_of, only, options_of, tell, with_shards
from converge.cli.options import (
    approver,
    clear_options,
    database_options,
    limit_options,
    output_options,
    yes_option,
)
from converge.cli.outputs import (
    finish,
    free,
    report_option,
    require_reports,
    require_writable,
    tell_ended,
    told,
    write_files,
    write_reports,
)
from converge.codes import Code
from converge.errors import START_AGAIN, ConvergeError, UsageError
from converge.model.event import Sink
from converge.model.finding import OCCUPIED
from converge.model.plan import digest
from converge.model.recorded import PlanFile, decode
from converge.model.result import Named, Results
from converge.run.options import RESUME, Options, awaited
from converge.run.proof import VerifyLevel
from converge.settings.addresses import Chosen, Where, databases, with_merged
from converge.settings.file import read
from converge.signals import asked_to_stop

if TYPE_CHECKING:
    from converge.revisions.folder import Folder


@click.command("migrate")
@database_options
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    help="stop if the plan no longer matches FILE; its scan is used if no row has changed",
)
@click.option("--resume", is_flag=True, help="continue the run that was interrupted")
@clear_options
@click.option(
    "--on-bad-row",
    type=click.Choice(["stop", "reject"]),
    default="stop",
    help="what to do with a row that the target refuses: stop, or leave it out and report it",
)
@click.option(
    "--max-rejects",
    type=click.IntRange(1),
    default=100,
    help="limit for all tables together",
)
@click.option(
    "--rejects", "rejects_file", metavar="FILE", help="write the rows left out to FILE, as JSON lines"
)
@click.option(
    "--verify",
    type=click.Choice(["full", "counts", "none"]),
    default="full",
    help="compare every row, count rows only, or compare nothing",
)
@click.option(
    "--alembic",
    metavar="DIR|FILE",
    help="stamp and upgrade the target with these Alembic revisions, then compare the schema",
)
@click.option(
    "--workers",
    multiple=True,
    metavar="WHERE",
    help="workers beside those of --jobs: join:N waits for N that are started elsewhere (converge worker), "
    "dask://HOST:PORT starts one in each Dask worker, local:N on this machine; repeatable",
)
@click.option(
    "--join-seconds", type=click.FloatRange(0), default=120, help="wait for them at most for this time"
)
@click.option("--follow", is_flag=True, help="then keep the target up to date, as `converge follow` does")
@limit_options
@report_option
@yes_option
@export_options
@output_options
def command(
    where: Where,
    options: Options,
    plan_file: str | None,
    resume: bool,
    on_bad_row: str,
    max_rejects: int,
    rejects_file: str | None,
    verify: VerifyLevel,
    alembic: str | None,
    workers: tuple[str, ...],
    join_seconds: float,
    follow: bool,
    reports: tuple[str, ...],
    yes: bool,
    as_json: bool,
    emit: Sink,
) -> int:
    """Migrate the database: create the schema, copy the data, build indexes, verify every row.

    A run that was interrupted continues with --resume, at any point. With --verify full the exit code is 0
    only when every row and every view is equal on both servers.

    \b
    Examples:
      converge migrate --report run.html
      converge migrate --plan plan.json
      converge migrate --resume
      converge migrate --mode load --map orm.toml --truncate
    """
    require_reports("--report", reports)
    if rejects_file:
        require_writable(rejects_file)
    if resume and (options.recreate or options.truncate):
        raise UsageError("--resume excludes --recreate and --truncate", code=Code.U014, hint=START_AGAIN)
    if follow and where.dump:
        hint = "give the server by --source, or leave out --follow"
        raise UsageError("--follow reads the source's log, and a dump has none", code=Code.U016, hint=hint)
    plans = plans_of(plan_file) if plan_file else None
    chosen = databases(where)  # after all that is quickly said: it may load a dump
    if alembic or follow:
        only(chosen, "--alembic" if alembic else "--follow")
    if follow:
        # Not after hours of copying.
        api.require_followable(chosen[0].source)
    wanted = MigrateOptions(
        common=options,
        verify=verify,
        resume=resume,
        approve=approver(yes),
        most_rejects=max_rejects if on_bad_row == "reject" else 0,
        awaited=awaited(workers, join_seconds),
    )
    moves = [_move(one, wanted, plan_for(one.name, plans), alembic) for one in chosen]
    merges = [
        replace(with_shards(merged, shards)[0], expected=plan_for(merged.name, plans))
        for merged, shards in merges_of(chosen).items()
    ]
    require_all_of(plans or (), chosen, where.names)
    if chosen[0].entry:
        results = _several(moves, merges, where, emit)
    else:
        results = _single(moves[0], emit, reports, rejects_file)
    unwritten = told(partial(_write_rejects, results, rejects_file))
    code = finish(results, reports, emit, _next_command(results), as_json=as_json, unwritten=unwritten)
    return _follow(moves[0], options, emit, as_json=as_json) if follow and code == 0 else code


def _move(one: Chosen, wanted: MigrateOptions, file: PlanFile | None, alembic: str | None) -> Move:
    """The migration of one database, as its entry of converge.toml wants it."""
    folder = _folder(alembic or (one.entry.alembic if one.entry else None))
    common = replace(options_of(one, wanted.common), seen=file.scanned if file else None)
    wanted = replace(wanted, common=common, expected=file, alembic=folder)
    if one.entry:
        # Dask's workers find the entry in their own converge.toml.
        wanted = replace(wanted, awaited=replace(wanted.awaited, arguments=("--database", one.name)))
    return Move(one.name, one.source, one.target, wanted)


def _single(move: Move, emit: Sink, reports: tuple[str, ...], rejects_file: str | None) -> Results:
    results = Results("migrate", (Named("", move.result()),))
    result = results.each[0].result
    try:
        migrate(move.source, move.target, move.options, on_event=emit, result=result)
    except ConvergeError as error:
        results = Results("migrate", (Named("", result, error),))
        tell_ended(results, emit)
        # A run that fails has a report too, from the moment that it has a plan.
        if result.source_version:
            told(partial(write_reports, results, reports))
            told(partial(_write_rejects, results, rejects_file))
        raise
    return results


def _several(moves: Sequence[Move], merges: Sequence[Merge], where: Where, emit: Sink) -> Results:
    parallel = read(where.config).parallel
    results = migrate_several(moves, parallel=parallel, merges=merges, on_event=emit)
    for done in results.each:
        if done.error is not None:
            tell(done.name, done.error)
    return results


def _next_command(results: Results) -> str:
    # Nothing goes on where merged tables are in the way: their hint says what has to be done before.
    errors = [done.error for done in results.each if done.error and done.error.code != OCCUPIED]
    return RESUME if any(RESUME in (error.hint or "") for error in errors) else ""


def _follow(move: Move, options: Options, emit: Sink, *, as_json: bool) -> int:
    # By the options that the ledger has of the run.
    limits = Options(limits=options.limits)
    result = api.follow(move.source, move.target, limits, on_event=emit, stopped=asked_to_stop)
    return finish(Results("follow", (Named("", result),)), (), emit, as_json=as_json)


def _folder(path: str | None) -> Folder | None:
    if not path:
        return None
    from converge.revisions.folder import Folder

    return Folder.open(path)


def _write_rejects(results: Results, path: str | None) -> None:
    """Writes the rejects, none of them too: an older file would tell of another run."""
    if path is not None:
        lines = (
            json.dumps(({"database": done.name} if done.name else {}) | asdict(one)) + "\n"
            for done in results.each
            for one in done.result.rejects
        )
        write_files("rejects", [(path, "".join(lines))], "SELECT * FROM converge.reject in the target")


def plans_of(path: str) -> Mapping[str, PlanFile]:
    """Each database's plan, by its name; a single plan under "". Raises UsageError."""
    # Never the name of a file that is something else.
    hint = f"converge plan -o {free('plan.json')}"
    try:
        document = json.loads(Path(path).read_text("utf-8"))
        if "command" in document:
            message = f"{path} is the report of `converge {document['command']}`, not a plan file"
            raise UsageError(message, code=Code.U006, hint=hint)
        plans = {one["name"]: one for one in document.get("databases", ())} or {"": document}
        found = {name: decode(PlanFile, one) for name, one in plans.items()}
    except OSError as error:
        message = f"{path} cannot be read as a plan file: {error.strerror}"
        raise UsageError(message, code=Code.U006, hint=hint) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path} is not a plan file of converge", code=Code.U006, hint=hint) from error
    if any(plan.digest != digest(plan) for plan in found.values()):
        raise UsageError(
            f"{path} was changed after it was written: its digest stands for another plan",
            code=Code.U013,
            hint=f"what a plan decides is changed by a map: converge plan -o {path} --map FILE",
        )
    return found


def plan_for(name: str, plans: Mapping[str, PlanFile] | None) -> PlanFile | None:
    """What this database's plan must be equal to; None when there is no plan file.

    Raises UsageError when the file has no plan of it.
    """
    if plans is None:
        return None
    if name not in plans:
        of = f"the database {name}" if name else "a single database"
        raise UsageError(
            f"the plan file has no plan of {of}",
            code=Code.U006,
            hint="converge plan -o FILE, with the same options",
        )
    return plans[name]


def require_all_of(plans: Iterable[str], chosen: Sequence[Chosen], picked: Sequence[str]) -> None:
    """Raises UsageError for a database of the plan file that is not among these.

    Where some are picked, only for one that would be merged with them.
    """
    names = {one.name for one in with_merged(chosen)}
    patterns = [merged.source.database for merged in merges_of(chosen)]
    for name in plans:
        if name not in names and (not picked or any(fnmatchcase(name, one) for one in patterns)):
            raise UsageError(
                f"the plan file has a plan of the database {name}, which this run is without",
                code=Code.U006,
                hint="show it to the source's user again; or write the plan again and review it: "
                "converge plan -o FILE; or --database NAME migrates those that are named",
            )
