"""`converge continue`, whose name no module can have."""

from __future__ import annotations

import click

from converge.cli.options import any_schema_option, output_options, target_options
from converge.cli.pause import switch
from converge.model.event import Sink
from converge.settings.addresses import Where


@click.command("continue")
@target_options
@any_schema_option
@output_options
def command(where: Where, as_json: bool, emit: Sink) -> int:
    """Let a run that `converge pause` has stopped go on.

    \b
    Examples:
      converge continue
      converge continue --target postgresql://me@localhost/shop
    """
    return switch("continue", "running", False, where, as_json, emit)
