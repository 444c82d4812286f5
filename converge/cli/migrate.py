"""`converge migrate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from converge.cli.options import (
    database_options,
    finish,
    output_options,
    report_option,
    require_reports,
)
from converge.config import resolve
from converge.errors import UsageError
from converge.model.event import Sink
from converge.phases.verify import VerifyLevel
from converge.pipeline.migrate import MigrateOptions, migrate
from converge.pipeline.options import Options


@click.command("migrate", help="Moves the database: make, copy, index, check and compare.")
@database_options
@click.option("--plan", "plan_file", metavar="FILE", help="refuse when anything changed since this plan")
@click.option("--resume", is_flag=True, help="go on with the run that was interrupted")
@click.option("--truncate", is_flag=True, help="remove what the plan makes first; never CASCADE")
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
    if truncate and not yes and sys.stdin.isatty():
        click.confirm(f"Remove the planned tables in {addresses.target}?", abort=True, err=True)
    result = migrate(
        addresses.source,
        addresses.target,
        MigrateOptions(
            common=options,
            verify=verify,
            resume=resume,
            truncate=truncate,
            expected_digest=_digest(plan_file) if plan_file else "",
        ),
        emit,
    )
    return finish(result, reports, as_json=as_json)


def _digest(path: str) -> str:
    """The digest of a plan file; nothing else of it is used, so that nothing of it can be run."""
    try:
        digest = json.loads(Path(path).read_text("utf-8"))["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no plan of converge: {error}", code="U006", hint=f"converge plan -o {path}"
        ) from error
    return str(digest)
