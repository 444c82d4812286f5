"""`converge doctor`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from converge import api
from converge.cli.many import look_at, options_of
from converge.cli.options import clear_options, map_option, mode_option, output_options, side_options
from converge.cli.outputs import show
from converge.model.event import Sink
from converge.model.plan import Mode
from converge.report.doctor import doctor_json, doctor_text
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases


@click.command("doctor")
@side_options
@mode_option
@map_option
@clear_options
@output_options
def command(
    where: Where,
    options: Options,
    mode: Mode,
    maps: tuple[str, ...],
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Check both servers: versions, privileges, settings and disk space.

    Each problem comes with its fix. With both addresses it also makes the plan without looking at rows, so
    that it finds what `migrate` would refuse.

    \b
    Examples:
      converge doctor
      converge doctor --mode load --map orm.toml
    """
    options = replace(options, mode=mode, maps=maps, scan=False)

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        found = api.doctor(*one.known, options_of(one, options))
        return doctor_json(found), doctor_text(found, verbose=verbose)

    chosen = databases(where, source="known", target="known")
    return show(*look_at("doctor", chosen, look, emit), as_json=as_json)
