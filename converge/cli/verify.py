"""`converge verify`."""

from __future__ import annotations

import json
from typing import Any, Literal

import click

from converge.cli.many import options_of, over, show
from converge.cli.options import database_options, output_options
from converge.config import Chosen, Where, resolve, several
from converge.model.event import Sink
from converge.pipeline.options import Options
from converge.report.result import result_text


@click.command("verify", help="Compares every row and every column of both databases.")
@database_options
@click.option("--level", type=click.Choice(["full", "counts"]), default="full", show_default=True)
@output_options
def command(
    where: Where,
    options: Options,
    level: Literal["full", "counts"],
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    # --help need not wait for the drivers and the parser.
    from converge.pipeline.verify import verify

    if chosen := several(where):

        def look(one: Chosen) -> tuple[dict[str, Any], str]:
            result = verify(one.source, one.target, options_of(one.entry, options), level, emit)
            return result.to_json(), result_text(result)

        return show("verify", over("verify", chosen, look, emit), as_json=as_json)
    addresses = resolve(where)
    assert addresses.target is not None
    result = verify(addresses.source, addresses.target, options, level, emit)
    click.echo(json.dumps(result.to_json()) if as_json else result_text(result))
    return result.exit_code
