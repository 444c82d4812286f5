"""`converge migrate`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import click

from converge.cli import files
from converge.cli.options import (
    database_options,
    finish,
    output_options,
    report_option,
    require_reports,
    require_writable,
    try_reports,
)
from converge.config import resolve
from converge.errors import ConvergeError, UsageError
from converge.model.event import Sink
from converge.model.plan import digest
from converge.model.result import Result
from converge.phases.verify import VerifyLevel
from converge.pipeline.migrate import migrate
from converge.pipeline.options import Options
from converge.pipeline.run import MigrateOptions
from converge.report.errors import error_text


@click.command("migrate", help="Moves the database: make, copy, index, check and compare.")
@database_options
@click.option("--plan", "plan_file", metavar="FILE", help="refuse when anything changed since this plan")
@click.option("--resume", is_flag=True, help="go on with the run that was interrupted")
@click.option("--truncate", is_flag=True, help="remove what the plan makes first; never CASCADE")
@click.option(
    "--on-bad-row",
    type=click.Choice(["stop", "reject"]),
    default="stop",
    show_default=True,
    help="when the target refuses a row: stop, or leave it out and note it",
)
@click.option(
    "--max-rejects",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="of all tables together",
)
@click.option("--rejects", "rejects_file", metavar="FILE", help="the rows left out, as JSON lines")
@click.option("--verify", type=click.Choice(["full", "counts", "none"]), default="full", show_default=True)
@report_option
@click.option("--yes", is_flag=True, help="do not ask")
@output_options
def command(
    source: str | None,
    target: str | None,
    options: Options,
    plan_file: str | None,
    resume: bool,
    truncate: bool,
    on_bad_row: str,
    max_rejects: int,
    rejects_file: str | None,
    verify: VerifyLevel,
    reports: tuple[str, ...],
    yes: bool,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    addresses = resolve(source, target)
    assert addresses.target is not None
    require_reports("--report", reports)
    if rejects_file:
        require_writable(rejects_file)
    if resume and truncate:
        raise UsageError(
            "--resume and --truncate exclude each other", code="U014", hint="--truncate begins anew"
        )
    if truncate and not yes and sys.stdin.isatty():
        click.confirm(f"Remove the planned tables in {addresses.target}?", abort=True, err=True)
    result = Result("migrate", str(addresses.source), str(addresses.target))
    try:
        migrate(
            addresses.source,
            addresses.target,
            MigrateOptions(
                common=options,
                verify=verify,
                resume=resume,
                truncate=truncate,
                most_rejects=max_rejects if on_bad_row == "reject" else 0,
                expected_digest=_digest(plan_file) if plan_file else "",
            ),
            emit,
            result,
        )
    except ConvergeError:
        # A run that fails has a report too, from the moment that it has a plan.
        if result.source_version:
            try_reports(result, reports)
            _try_rejects(result, rejects_file)
        raise
    code = finish(result, reports, as_json=as_json)
    return _try_rejects(result, rejects_file) or code


def _try_rejects(result: Result, path: str | None) -> int:
    """Writes the rejects, none of them too: an older file would tell of another run. The exit code, or 0."""
    if path is None:
        return 0
    try:
        files.write_private(path, "\n".join(json.dumps(asdict(reject)) for reject in result.rejects))
    except OSError as error:
        unwritten = ConvergeError(
            f"the rejects {path} cannot be written: {error.strerror}",
            code="U012",
            hint="SELECT * FROM converge.reject in the target",
        )
        click.echo(error_text(unwritten), err=True)
        return unwritten.exit_code
    return 0


def _digest(path: str) -> str:
    """The digest of a plan file; nothing else of it is used, so that nothing of it can be run."""
    again = f"converge plan -o {path}"
    try:
        plan = json.loads(Path(path).read_text("utf-8"), object_hook=lambda one: SimpleNamespace(**one))
        stated, true = str(plan.digest), digest(plan)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{path} is no plan of converge: {error}", code="U006", hint=again) from error
    if stated != true:
        raise UsageError(
            f"{path} was changed after it was written: its digest stands for another plan",
            code="U013",
            hint=f"what a plan decides is changed by a map: {again} --map FILE",
        )
    return stated
