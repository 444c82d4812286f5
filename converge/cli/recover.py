"""`converge recover`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from converge.cli.many import over, show
from converge.cli.options import output_options, schema_option, target_options
from converge.config import Chosen, Where, resolve_target, several
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.recovery import Recovery
from converge.pipeline.recover import recover
from converge.report.recovery import recovery_text


@click.command("recover", help="Takes back a run in load mode that did not finish: rows, keys, triggers.")
@target_options
@schema_option
@click.option("--yes", is_flag=True, help="do not ask")
@output_options
def command(where: Where, schema: str, yes: bool, as_json: bool, verbose: bool, emit: Sink) -> int:
    if chosen := several(where):

        def look(one: Chosen) -> tuple[dict[str, Any], str]:
            found = _recover(one.target, one.entry.schema, emit, yes=yes)
            return found.to_json(), recovery_text(found)

        return show("recover", over("recover", chosen, look, emit), as_json=as_json)
    recovery = _recover(resolve_target(where), schema, emit, yes=yes)
    click.echo(json.dumps(recovery.to_json()) if as_json else recovery_text(recovery))
    return 0


def _recover(target: Endpoint, schema: str, emit: Sink, *, yes: bool) -> Recovery:
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove what an unfinished run has loaded into {target}?", abort=True, err=True)
    return recover(target, schema, emit)
