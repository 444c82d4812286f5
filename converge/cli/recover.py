"""`converge recover`."""

from __future__ import annotations

from typing import Any

import click

from converge import api
from converge.cli.many import look_at
from converge.cli.options import any_schema_option, approver, output_options, target_options, yes_option
from converge.cli.outputs import show
from converge.model.event import Sink
from converge.report.recovery import recovery_text
from converge.settings.addresses import Chosen, Where, databases


@click.command("recover")
@target_options
@any_schema_option
@yes_option
@output_options
def command(where: Where, yes: bool, as_json: bool, emit: Sink) -> int:
    """Roll back an unfinished load: remove its rows, restore keys and triggers.

    For runs with --mode load. It may be interrupted and called again.

    \b
    Examples:
      converge recover
      converge recover --schema app --yes
    """

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        found = api.recover(one.target, one.schema, on_event=emit, approve=approver(yes))
        return found.to_json(), recovery_text(found)

    return show(*look_at("recover", databases(where, source="unused"), look, emit), as_json=as_json)
