"""`converge recover`."""

from __future__ import annotations

import json
from typing import Any

import click

from converge import api
from converge.cli.many import over, show
from converge.cli.options import any_schema_option, approver, output_options, target_options, yes_option
from converge.model.event import Sink
from converge.report.recovery import recovery_text
from converge.settings.addresses import Chosen, Where, resolve_target, several


@click.command("recover")
@target_options
@any_schema_option
@yes_option
@output_options
def command(where: Where, schema: str | None, yes: bool, as_json: bool, verbose: bool, emit: Sink) -> int:
    """Roll back an unfinished load: remove its rows, restore keys and triggers.

    For runs with --mode load. It may be interrupted and called again.

    \b
    Examples:
      converge recover
      converge recover --schema app --yes
    """
    if chosen := several(where):

        def look(one: Chosen) -> tuple[dict[str, Any], str]:
            found = api.recover(one.target, one.entry.target_schema, on_event=emit, approve=approver(yes))
            return found.to_json(), recovery_text(found)

        return show("recover", over("recover", chosen, look, emit), as_json=as_json)
    recovery = api.recover(resolve_target(where), schema, on_event=emit, approve=approver(yes))
    click.echo(json.dumps(recovery.to_json()) if as_json else recovery_text(recovery))
    return 0
