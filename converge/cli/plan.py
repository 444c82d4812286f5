"""`converge plan`."""

from __future__ import annotations

import json

import click

from converge.cli.options import database_options, output_options, write_private
from converge.config import resolve
from converge.model.event import Sink
from converge.pipeline.prepare import Options, prepare
from converge.report.plan import plan_json, plan_sql, plan_text


@click.command("plan", help="What becomes of every object of the source, and why; writes nothing.")
@database_options
@click.option("-o", "--output", metavar="FILE", help="the plan with its digest, for migrate --plan")
@click.option("--sql", metavar="FILE", help="the target's SQL; - is stdout")
@output_options
def command(
    source: str | None,
    target: str | None,
    options: Options,
    output: str | None,
    sql: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    addresses = resolve(source, target, need_target=False)
    with prepare(addresses.source, addresses.target, options) as prepared:
        plan = prepared.plan
    if output:
        write_private(output, json.dumps(plan.to_json(), indent=1, ensure_ascii=False))
    if sql:
        write_private(sql, plan_sql(plan))
    if as_json:
        click.echo(json.dumps(plan_json(plan), ensure_ascii=False))
    elif sql != "-":
        click.echo(plan_text(plan, verbose=verbose))
    return 3 if plan.blocks else 0
