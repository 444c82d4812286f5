"""`converge plan`."""

from __future__ import annotations

import json

import click

from converge.cli.options import database_options, output_options, require_writable, write_private
from converge.config import resolve
from converge.model.event import Sink
from converge.pipeline.options import Options
from converge.pipeline.prepare import prepare
from converge.pipeline.rehearsal import since_last
from converge.planner.decisions import decisions, wishes
from converge.report.html import plan_html
from converge.report.map import map_toml
from converge.report.plan import plan_json, plan_sql, plan_text
from converge.report.plan_markdown import plan_markdown


@click.command("plan", help="What becomes of every object of the source, and why; writes nothing.")
@database_options
@click.option("-o", "--output", metavar="FILE", help="the plan with its digest, for migrate --plan")
@click.option("--html", metavar="FILE", help="the plan as one page that works offline")
@click.option("--md", metavar="FILE", help="the same as Markdown")
@click.option("--write-map", metavar="FILE", help="every decision as a map, to be edited")
@click.option(
    "--since",
    metavar="FILE",
    help="a run's report (.json) to compare with, not the ledger's last run",
)
@click.option("--sql", metavar="FILE", help="the target's SQL; - is stdout")
@output_options
def command(
    source: str | None,
    target: str | None,
    options: Options,
    output: str | None,
    html: str | None,
    md: str | None,
    sql: str | None,
    write_map: str | None,
    since: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    for path in (output, html, md, sql, write_map):
        if path and path != "-":
            require_writable(path)
    addresses = resolve(source, target, need_target=False)
    with prepare(addresses.source, addresses.target, options, emit) as prepared:
        plan = since_last(prepared, since)
    if output:
        write_private(output, json.dumps(plan.to_json(), indent=1, ensure_ascii=False))
    if html:
        write_private(html, plan_html(plan))
    if md:
        write_private(md, plan_markdown(plan))
    if sql:
        write_private(sql, plan_sql(plan))
    if write_map:
        inputs = prepared.inputs
        made = map_toml(plan.source, inputs.catalog.database, decisions(inputs), wishes(inputs))
        write_private(write_map, made)
    if as_json:
        click.echo(json.dumps(plan_json(plan)))
    elif sql != "-":
        click.echo(plan_text(plan, verbose=verbose))
    return 3 if plan.blocks else 0
