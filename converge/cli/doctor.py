"""`converge doctor`."""

from __future__ import annotations

import json
from dataclasses import replace

import click

from converge.cli.options import map_option, output_options, side_options
from converge.config import resolve_known
from converge.model.event import Sink
from converge.pipeline.doctor import diagnose
from converge.pipeline.options import Options
from converge.report.doctor import doctor_json, doctor_text


@click.command(
    "doctor", help="Looks at both sides: versions, rights, settings, room; each problem has its fix."
)
@side_options
@map_option
@output_options
def command(
    source: str | None,
    target: str | None,
    options: Options,
    maps: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    found = diagnose(*resolve_known(source, target), replace(options, maps=maps))
    click.echo(
        json.dumps(doctor_json(found), ensure_ascii=False) if as_json else doctor_text(found, verbose=verbose)
    )
    return found.exit_code
