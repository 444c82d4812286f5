"""`converge status`."""

from __future__ import annotations

import json

import click

from converge.cli.options import output_options
from converge.config import resolve_target
from converge.model.event import Sink
from converge.phases.explain import explained
from converge.postgres.connect import connect
from converge.postgres.history import last_run

_NEXT = dict.fromkeys(("interrupted", "failed"), "converge migrate --resume") | {
    "recovering": "converge recover"
}


@click.command("status", help="What the ledger in the target knows of the last run.")
@click.option("--target", metavar="URL", help="postgresql://user:password@host:port/database")
@output_options
def command(target: str | None, as_json: bool, verbose: bool, emit: Sink) -> int:
    address = resolve_target(target)
    with explained(address, address), connect(address) as connection:
        status = last_run(connection)
    if as_json:
        click.echo(json.dumps({"converge": 1, "command": "status", "exit_code": 0, "run": status}))
        return 0
    if status is None:
        click.echo("This target has seen no run of converge.")
        return 0
    click.echo(
        f"run {status['id']} from {status['source']}: {status['state']}, snapshot {status['snapshot']}"
    )
    click.echo(f"  began {status['started_at']}, ended {status['finished_at'] or 'not yet'}")
    click.echo(f"  chunks {status['chunks_done']} of {status['chunks']}, rows {status['rows']:,}")
    if status["state"] in _NEXT:
        click.echo(f"next: {_NEXT[status['state']]}")
    return 0
