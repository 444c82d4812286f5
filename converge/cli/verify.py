"""`converge verify`."""

from __future__ import annotations

import json
from typing import Literal

import click

from converge.cli.options import database_options, output_options
from converge.config import resolve
from converge.model.event import Sink
from converge.pipeline.options import Options
from converge.report.result import result_text


@click.command("verify", help="Compares every row and every column of both databases.")
@database_options
@click.option("--level", type=click.Choice(["full", "counts"]), default="full", show_default=True)
@output_options
def command(
    source: str | None,
    target: str | None,
    options: Options,
    level: Literal["full", "counts"],
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    # --help need not wait for the drivers and the parser.
    from converge.pipeline.verify import verify

    addresses = resolve(source, target)
    assert addresses.target is not None
    result = verify(addresses.source, addresses.target, options, level, emit)
    click.echo(json.dumps(result.to_json()) if as_json else result_text(result))
    return result.exit_code
