"""`converge status`."""

from __future__ import annotations

from typing import Any

import click

from converge.cli.many import look_at
from converge.cli.options import output_options, target_options
from converge.cli.outputs import show
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.postgres.connect import connect
from converge.postgres.history import Move, last_run, last_verification
from converge.run.connections import explained
from converge.settings.addresses import Chosen, Where, databases

_NEXT = dict.fromkeys(("interrupted", "failed"), "converge migrate --resume") | {
    "recovering": "converge recover"
}


@click.command("status")
@target_options
@output_options
def command(where: Where, as_json: bool, emit: Sink) -> int:
    """Show the state of the last run, from the ledger in the target.

    \b
    Examples:
      converge status
      converge status --json
    """

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        run = _run(one.target, one.move)
        return _document(run), _text(run)

    return show(*look_at("status", databases(where, source="unused"), look, emit), as_json=as_json)


def _run(target: Endpoint, move: Move | None) -> dict[str, Any] | None:
    with explained(target, target), connect(target) as connection:
        run = last_run(connection, move)
        found = last_verification(connection, run["id"]) if run else None
        if run is not None:
            run["verification"] = found and {name: found[name] for name in ("at", "level", "verdict")}
        return run


def _document(run: dict[str, Any] | None) -> dict[str, Any]:
    verdict = run["verdict"] or run["state"] if run else "never run"
    return head("status", verdict) | {"run": run}


def _text(run: dict[str, Any] | None) -> str:
    if run is None:
        return "This target has seen no run of converge."
    verdict = f" ({run['verdict']})" if run["verdict"] else ""
    snapshot = run["snapshot"] or "not taken"
    lines = [
        f"run {run['id']} from {run['source']}: {run['state']}{verdict}, snapshot {snapshot}",
        f"  began {run['started_at']}, ended {run['finished_at'] or 'not yet'}",
        f"  chunks {run['chunks_done']} of {run['chunks']}, rows {run['rows']:,}",
    ]
    if found := run["verification"]:
        lines.append(f"  verify at {found['at']}: {found['verdict']}, level {found['level']}")
    if run["state"] in _NEXT:
        lines.append(f"next: {_NEXT[run['state']]}")
    return "\n".join(lines)
