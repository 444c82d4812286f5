"""`converge pause`."""

from __future__ import annotations

from typing import Any

import click

from converge.cli.many import look_at
from converge.cli.options import any_schema_option, output_options, target_options
from converge.cli.outputs import show
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.postgres.connect import connect
from converge.postgres.history import Move, set_paused
from converge.run.connections import explained
from converge.settings.addresses import Chosen, Where, databases


@click.command("pause")
@target_options
@any_schema_option
@output_options
def command(where: Where, as_json: bool, emit: Sink) -> int:
    """Let a run that is at work in another shell wait: it hands out no more work.

    Chunks that have begun are finished. The run's snapshot of the source stays open, and so do index builds
    in the target. `converge continue` goes on.

    \b
    Examples:
      converge pause
      converge pause --target postgresql://me@localhost/shop
    """
    return switch("pause", "paused", True, where, as_json, emit)


def switch(command: str, state: str, paused: bool, where: Where, as_json: bool, emit: Sink) -> int:
    """Notes in the ledger whether the run that is at work hands out work."""

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        run = _set(one.target, one.move, paused)
        return head(command, state) | {"run": run}, f"run {run}: {state}"

    return show(*look_at(command, databases(where, source="unused"), look, emit), as_json=as_json)


def _set(target: Endpoint, move: Move | None, paused: bool) -> int:
    with explained(target, target), connect(target) as connection:
        return set_paused(connection, move, paused)
