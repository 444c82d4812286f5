"""`converge explain`."""

from __future__ import annotations

import json

import click

from converge.cli.many import single
from converge.cli.options import database_options, output_options
from converge.config import Where
from converge.model.event import Sink
from converge.pipeline.options import Options
from converge.pipeline.prepare import prepare
from converge.report.explain import explain_text
from converge.report.parts import visible


@click.command("explain", help="Which rule decided for TABLE or TABLE.COLUMN, and what else it could be.")
@click.argument("name", metavar="TABLE[.COLUMN]")
@database_options
@output_options
def command(
    name: str,
    where: Where,
    options: Options,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    source, target, options = single(where, options, need_target=False)
    with prepare(source, target, options, emit) as prepared:
        text = explain_text(prepared.inputs, prepared.plan, name)
    if as_json:
        text = json.dumps({"converge": 1, "command": "explain", "exit_code": 0, "object": name, "text": text})
    click.echo(text if as_json else visible(text))
    return 0
