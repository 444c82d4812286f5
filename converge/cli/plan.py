"""`converge plan`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from converge.cli.many import look_at, only, options_of
from converge.cli.options import clear_options, database_options, output_options
from converge.cli.outputs import require_ending, show, write_private
from converge.model.documents import plain
from converge.model.event import Said, Sink
from converge.model.evidence import Scan
from converge.model.plan import Plan
from converge.report.map import map_toml
from converge.report.markdown import to_markdown
from converge.report.plan import plan_document, plan_json, plan_sql, plan_text
from converge.report.several import several_document
from converge.run.options import Options
from converge.run.prepare import prepare, since_last
from converge.settings.addresses import Chosen, Where, databases


@click.command("plan")
@database_options
@clear_options
@click.option("-o", "--output", metavar="FILE", help="write the plan to FILE, for migrate --plan")
@click.option("--html", metavar="FILE", help="write the plan as one page that works offline")
@click.option("--md", metavar="FILE", help="write the plan as Markdown")
@click.option("--write-map", metavar="FILE", help="write every decision as a map, to be edited")
@click.option(
    "--since",
    metavar="FILE",
    help="compare with this report of a run (.json), not with the last run in the ledger",
)
@click.option("--sql", metavar="FILE", help="write the SQL for the target; - is stdout")
@output_options
def command(
    where: Where,
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
    """Show what becomes of every object of the source, and why.

    Writes nothing to the databases. Exits with 3 when something must be resolved first; the finding has the
    fix.

    \b
    Examples:
      converge plan
      converge plan -o plan.json --html plan.html
      converge plan --mode load --map orm.toml
    """
    files = {"-o": output, "--html": html, "--md": md, "--sql": sql, "--write-map": write_map}
    for (option, path), ending in zip(files.items(), (".json", ".html", ".md", ".sql", ".toml"), strict=True):
        require_ending(option, path, ending)
    chosen = databases(where, target="known")
    for option, given in (("--write-map", write_map), ("--since", since)):
        if given:
            only(chosen, option)
    plans: list[tuple[str, Plan]] = []
    scans: list[Scan | None] = []

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        with prepare(one.source, one.known[1], options_of(one, options), emit) as prepared:
            plan = since_last(prepared, since)
            scans.append(prepared.scan)
        plans.append((one.name, plan))
        if write_map:
            write_private(write_map, map_toml(prepared.inputs))
        # Without --json only the verdict of a single plan is asked for.
        asked = plan if as_json or one.name else replace(plan, tables=(), statements=(), outcomes=())
        return plan_json(asked), plan_text(plan, verbose=verbose)

    document, text = look_at("plan", chosen, look, emit)
    if len(plans) == len(chosen):
        _write(document, plans, scans, files)
    elif any(files.values()):
        emit(Said("no file is written, because not every database could be planned"))
    return show(document, text, as_json=as_json, quiet=sql == "-")


def _write(
    document: Mapping[str, Any],
    plans: Sequence[tuple[str, Plan]],
    scans: Sequence[Scan | None],
    files: Mapping[str, str | None],
) -> None:
    """Each file has all databases; that of a plan without a name is about this one alone."""
    name, plan = plans[0]
    if path := files["-o"]:
        each = [
            ({"name": name} if name else {}) | plan.to_json() | {"scanned": plain(scan)}
            for (name, plan), scan in zip(plans, scans, strict=True)
        ]
        write_private(path, json.dumps({"databases": each} if name else each[0], indent=1))
    if files["--html"] or files["--md"]:
        page = several_document(document, [(name, plan_document(plan)) for name, plan in plans])
        if path := files["--html"]:
            # Most plans write no page and need not wait for the templates' engine.
            from converge.report.html import to_html

            write_private(path, to_html(page))
        if path := files["--md"]:
            write_private(path, to_markdown(page))
    if path := files["--sql"]:
        parts = [f"-- database {name}\n{plan_sql(plan)}" for name, plan in plans]
        write_private(path, "\n".join(parts) if name else plan_sql(plan))
