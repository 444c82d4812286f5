"""`converge doctor`."""

from __future__ import annotations

import json

import click

from converge.cli.options import output_options
from converge.config import resolve_known
from converge.model.event import Sink
from converge.pipeline.doctor import diagnose
from converge.pipeline.options import Options, default_jobs
from converge.planner.inputs import Selection
from converge.report.doctor import doctor_json, doctor_text


@click.command(
    "doctor", help="Looks at both sides: versions, rights, settings, room; each problem has its fix."
)
@click.option("--source", metavar="URL", help="mysql://user:password@host:port/database")
@click.option("--target", metavar="URL", help="postgresql://user:password@host:port/database")
@click.option("--schema", default="public", show_default=True, help="the target schema")
@click.option("--include", multiple=True, metavar="GLOB", help="only these tables")
@click.option("--exclude", multiple=True, metavar="GLOB", help="all but these tables")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=default_jobs,
    show_default="cores, 2 to 8",
    help="worker processes of the run that is meant",
)
@output_options
def command(
    source: str | None,
    target: str | None,
    schema: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    jobs: int,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    options = Options(schema=schema, selection=Selection(include, exclude), jobs=jobs)
    found = diagnose(*resolve_known(source, target), options)
    click.echo(
        json.dumps(doctor_json(found), ensure_ascii=False) if as_json else doctor_text(found, verbose=verbose)
    )
    return found.exit_code
