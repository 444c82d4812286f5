"""`converge recover`."""

from __future__ import annotations

import json
import sys

import click

from converge.cli.options import output_options
from converge.config import resolve_target
from converge.model.event import Sink
from converge.pipeline.recover import recover
from converge.report.recovery import recovery_text


@click.command("recover", help="Takes back a run in load mode that did not finish: rows, keys, triggers.")
@click.option("--target", metavar="URL", help="postgresql://user:password@host:port/database")
@click.option("--schema", default="public", show_default=True, help="the target schema")
@click.option("--yes", is_flag=True, help="do not ask")
@output_options
def command(target: str | None, schema: str, yes: bool, as_json: bool, verbose: bool, emit: Sink) -> int:
    address = resolve_target(target)
    if not yes and sys.stdin.isatty():
        click.confirm(f"Remove what an unfinished run has loaded into {address}?", abort=True, err=True)
    recovery = recover(address, schema, emit)
    click.echo(json.dumps(recovery.to_json()) if as_json else recovery_text(recovery))
    return 0
