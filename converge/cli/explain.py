"""`converge explain`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from converge.cli.many import only, options_of
from converge.cli.options import database_options, output_options
from converge.cli.outputs import show
from converge.codes import explained
from converge.model.event import Sink
from converge.report.explain import code_text, explain_text, named_code
from converge.report.words import visible
from converge.run.options import Options
from converge.run.prepare import prepare
from converge.settings.addresses import Where, databases


@click.command("explain")
@click.argument("name", metavar="NAME")
@database_options
@output_options
def command(
    name: str,
    where: Where,
    options: Options,
    as_json: bool,
    emit: Sink,
) -> int:
    """Explain what becomes of an object of the source, or what a code means.

    NAME is a table, TABLE.COLUMN, a view, a routine or another object, or a code of a finding. For a column
    it shows which rule decided, what the data showed, and what else a map may choose. A code needs no server.

    \b
    Examples:
      converge explain film.rating
      converge explain P024
    """
    if code := named_code(name):
        document = _document(name, code_text(code)) | asdict(explained(code))
        return show(document, code_text(code), as_json=as_json)
    one = only(databases(where, target="known"))
    with prepare(one.source, one.known[1], options_of(one, options), emit) as prepared:
        text = explain_text(prepared.inputs, prepared.plan, name)
    return show(_document(name, text), visible(text), as_json=as_json)


def _document(name: str, text: str) -> dict[str, Any]:
    return {"converge": 1, "command": "explain", "exit_code": 0, "object": name, "text": text}
