"""`converge plan`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from converge.cli.many import options_of, over, require_single, show
from converge.cli.options import database_options, output_options, require_writable, write_private
from converge.config import Chosen, Where, resolve, several
from converge.model.event import Sink
from converge.model.plan import Plan
from converge.pipeline.options import Options
from converge.pipeline.prepare import Prepared, prepare
from converge.planner.decisions import decisions, wishes
from converge.report.html import plan_html, plans_html
from converge.report.many import plans_markdown
from converge.report.map import map_toml
from converge.report.plan import plan_json, plan_sql, plan_text
from converge.report.plan_markdown import plan_markdown


@click.command("plan", help="What becomes of every object of the source, and why; writes nothing.")
@database_options
@click.option("-o", "--output", metavar="FILE", help="the plan with its digest, for migrate --plan")
@click.option("--html", metavar="FILE", help="the plan as one page that works offline")
@click.option("--md", metavar="FILE", help="the same as Markdown")
@click.option("--write-map", metavar="FILE", help="every decision as a map, to be edited")
@click.option("--sql", metavar="FILE", help="the target's SQL; - is stdout")
@output_options
def command(
    where: Where,
    options: Options,
    output: str | None,
    html: str | None,
    md: str | None,
    sql: str | None,
    write_map: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    for path in (output, html, md, sql, write_map):
        if path and path != "-":
            require_writable(path)
    chosen = several(where)
    plans: list[tuple[str, Plan]] = []
    if write_map:
        require_single(chosen, "--write-map")

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        with prepare(one.source, one.target, options_of(one.entry, options), emit) as prepared:
            plan = prepared.plan
        plans.append((one.entry.name, plan))
        if write_map:
            write_private(write_map, _map(prepared))
        return plan_json(plan), plan_text(plan, verbose=verbose)

    if chosen:
        shown = over("plan", chosen, look, emit)
        _write_several(plans, output, html, md, sql)
        return show("plan", shown, as_json=as_json)
    addresses = resolve(where, need_target=False)
    with prepare(addresses.source, addresses.target, options, emit) as prepared:
        plan = prepared.plan
    _write(plan, output, html, md, sql)
    if write_map:
        write_private(write_map, _map(prepared))
    if as_json:
        click.echo(json.dumps(plan_json(plan)))
    elif sql != "-":
        click.echo(plan_text(plan, verbose=verbose))
    return 3 if plan.blocks else 0


def _map(prepared: Prepared) -> str:
    inputs = prepared.inputs
    return map_toml(prepared.plan.source, inputs.catalog.database, decisions(inputs), wishes(inputs))


def _write(plan: Plan, output: str | None, html: str | None, md: str | None, sql: str | None) -> None:
    if output:
        write_private(output, json.dumps(plan.to_json(), indent=1, ensure_ascii=False))
    if html:
        write_private(html, plan_html(plan))
    if md:
        write_private(md, plan_markdown(plan))
    if sql:
        write_private(sql, plan_sql(plan))


def _write_several(
    plans: Sequence[tuple[str, Plan]], output: str | None, html: str | None, md: str | None, sql: str | None
) -> None:
    """Each file has all databases, those that could be planned."""
    if output:
        each = [{"name": name, **plan.to_json()} for name, plan in plans]
        write_private(output, json.dumps({"databases": each}, indent=1, ensure_ascii=False))
    if html and plans:
        write_private(html, plans_html(plans))
    if md and plans:
        write_private(md, plans_markdown(plans))
    if sql:
        write_private(sql, "\n".join(f"-- database {name}\n{plan_sql(plan)}" for name, plan in plans))
