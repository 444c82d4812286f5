"""`converge doctor`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from converge import api
from converge.cli.many import look_at, options_of
from converge.cli.options import clear_options, map_option, mode_option, output_options, side_options
from converge.cli.outputs import require_ending, show, write_pages
from converge.model.event import Sink
from converge.model.plan import Mode
from converge.report.doctor import doctor_document, doctor_json, doctor_text
from converge.report.document import Document
from converge.report.several import several_document
from converge.run.options import Options
from converge.settings.addresses import Chosen, Where, databases
from converge.settings.file import read


@click.command("doctor")
@side_options
@mode_option
@map_option
@clear_options
@click.option("--html", metavar="FILE", help="write the result as one page that works offline")
@click.option("--md", metavar="FILE", help="write the result as Markdown")
@output_options
def command(
    where: Where,
    options: Options,
    mode: Mode,
    maps: tuple[str, ...],
    html: str | None,
    md: str | None,
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
      converge doctor --mode load --map orm.toml --html doctor.html
    """
    require_ending("--html", html, ".html")
    require_ending("--md", md, ".md")
    options = replace(options, mode=mode, maps=maps)
    parts: list[tuple[str, Document]] = []

    chosen = databases(where, source="known", target="known")
    parallel = read(where.config).parallel

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        near = sum(one.meets(other) for other in chosen)
        found = api.doctor(*one.known, replace(options_of(one, options), parallel=min(parallel, near)))
        parts.append((one.name, doctor_document(found)))
        return doctor_json(found), doctor_text(found, verbose=verbose)

    document, text = look_at("doctor", chosen, look, emit)
    write_pages(several_document(document, parts), html, md)
    return show(document, text, as_json=as_json)
