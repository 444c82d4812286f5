"""`converge plan`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from converge.api import MigrateOptions, Move
from converge.cli import hints
from converge.cli.many import look_at, merge_of, only, options_of
from converge.cli.options import clear_options, database_options, output_options
from converge.cli.outputs import (
    free,
    require_ending,
    require_new_folder,
    show,
    write_folder,
    write_pages,
    write_private,
)
from converge.codes import Code
from converge.errors import UsageError
from converge.merge.run import Merging
from converge.model.documents import plain
from converge.model.event import Said, Sink
from converge.model.evidence import Scan
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.planner.inputs import Inputs
from converge.report.map import fixes_toml, map_toml
from converge.report.plan import plan_document, plan_json, plan_sql
from converge.report.plan_text import SECTIONS, plan_text
from converge.report.port import port_files
from converge.report.several import several_document
from converge.run.options import Options
from converge.run.prepare import prepare, since_last
from converge.settings.addresses import Chosen, Where, databases, with_merged

# What a command prints and writes is asked anew each time.
_OF_OUTPUT = ("as_json", "quiet", "verbose", "no_progress", "output", "html", "md", "sql", "write_map",
              "write_fixes", "write_routines", "shown")  # fmt: skip
_ENDINGS = {
    "-o": ".json", "--html": ".html", "--md": ".md", "--sql": ".sql", "--write-map": ".toml",
    "--write-fixes": ".toml",
}  # fmt: skip


_FAILING = {"loss": ("lossy", "absent"), "note": ("lossy", "absent", "after", "note")}
"""For each choice of --fail-on the levels of findings."""


@click.command("plan")
@database_options
@clear_options
@click.option("-o", "--output", metavar="FILE", help="write the plan to FILE, for migrate --plan")
@click.option("--html", metavar="FILE", help="write the plan as one page that works offline")
@click.option("--md", metavar="FILE", help="write the plan as Markdown")
@click.option("--write-map", metavar="FILE", help="write every decision as a map, to be edited")
@click.option("--write-fixes", metavar="FILE", help="write what the findings propose, as a map to be edited")
@click.option(
    "--write-routines",
    metavar="FOLDER",
    help="write a skeleton in PL/pgSQL and the source of each routine, trigger and event left to port",
)
@click.option(
    "--since",
    metavar="FILE",
    help="compare with this report of a run (.json), not with the last run in the ledger",
)
@click.option(
    "--show",
    "shown",
    multiple=True,
    type=click.Choice(SECTIONS),
    help="print this section in full; repeatable  [default: a summary; -v: all]",
)
@click.option("--sql", metavar="FILE", help="write the SQL for the target; - is stdout")
@click.option(
    "--fail-on",
    type=click.Choice([*_FAILING]),
    help="exit with 1, too, for what is lost or not migrated; or for every finding",
)
@output_options
def command(
    where: Where,
    options: Options,
    output: str | None,
    html: str | None,
    md: str | None,
    sql: str | None,
    write_map: str | None,
    write_fixes: str | None,
    write_routines: str | None,
    since: str | None,
    shown: tuple[str, ...],
    fail_on: str | None,
    as_json: bool,
    verbose: bool,
    emit: Sink,
) -> int:
    """Show what becomes of every object of the source, and why.

    Prints a summary: the verdict, what stops a run with its fix, what is lost, and how many findings there
    are of each code. Writes nothing to the databases. Exits with 3 when something must be resolved first.

    \b
    Examples:
      converge plan
      converge plan -o plan.json --html plan.html
      converge plan --show findings
      converge plan --mode load --map orm.toml
    """
    maps = {"--write-map": write_map, "--write-fixes": write_fixes}
    files = {"-o": output, "--html": html, "--md": md, "--sql": sql, **maps}
    _require_files(files)
    if write_routines:
        require_new_folder(write_routines)
    chosen = with_merged(databases(where, target="known"))
    for option, given in {**maps, "--write-routines": write_routines, "--since": since}.items():
        if given:
            only(chosen, option)
    written = files | {"--write-routines": write_routines}
    plans = _Plans(chosen, options, since, emit, written, SECTIONS if verbose else shown, as_json=as_json)
    document, text = look_at("plan", chosen, plans.look, emit, plans.following)
    if len(plans.each) == len(chosen):
        _write(document, plans.each, plans.scans, files)
    elif any(files.values()):
        emit(Said("no file is written, because not every database could be planned"))
    levels = _FAILING[fail_on] if fail_on else ()
    fails = any(finding.level in levels for _, plan in plans.each for finding in plan.findings)
    document |= {"exit_code": document["exit_code"] or int(fails)}
    return show(document, text, as_json=as_json, quiet=sql == "-")


class _Plans:
    """The plan of each database, and of what databases are merged into, as far as they could be made."""

    def __init__(
        self,
        chosen: Sequence[Chosen],
        options: Options,
        since: str | None,
        emit: Sink,
        files: Mapping[str, str | None],
        shown: Sequence[str],
        *,
        as_json: bool,
    ) -> None:
        self._chosen, self._options, self._since, self._emit = chosen, options, since, emit
        self._files, self._shown, self._as_json = files, shown, as_json
        self.each: list[tuple[str, Plan]] = []
        self.scans: list[Scan | None] = []
        self._inputs: list[Inputs] = []
        self._shards: dict[str, Move] = {}

    def look(self, one: Chosen) -> tuple[dict[str, Any], str]:
        """A database's plan as JSON and as text; writes what may be asked for of one alone."""
        plan = self._add(one)
        if path := self._files["--write-map"]:
            write_private(path, map_toml(self._inputs[0]))
        if path := self._files["--write-fixes"]:
            write_private(path, fixes_toml(plan))
        if path := self._files["--write-routines"]:
            write_folder(path, port_files(plan))
        # Without --json only the verdict of a single plan is asked for.
        whole = self._as_json or one.name
        asked = plan if whole else replace(plan, tables=(), statements=(), outcomes=())
        last = self.following() if one.entry is None else ()
        return plan_json(asked), plan_text(plan, shown=self._shown, following=last)

    def following(self) -> list[tuple[str, str]]:
        """What all of them end with, once all are made."""
        if len(self.each) < len(self._chosen):
            return []
        pairs = zip(self._chosen, self.each, strict=True)
        blocked = {one: plan.blocks for one, (_, plan) in pairs if plan.blocks}
        return [*_following(self._files, blocked, len(self._chosen) > 1)]

    def _add(self, one: Chosen) -> Plan:
        if one.is_merge:
            names = [shard.name for shard in self._chosen if shard.merged is one]
            plan, scan = Merging(merge_of(one, names)).merged(self._shards), None
        else:
            plan, scan = self._of(one)
        self.each.append((one.name, plan))
        self.scans.append(scan)
        return plan

    def _of(self, one: Chosen) -> tuple[Plan, Scan | None]:
        options = options_of(one, self._options)
        with prepare(one.source, one.known[1], options, self._emit) as prepared:
            self._inputs.append(prepared.inputs)
            if one.merged is not None:
                known = MigrateOptions(options, known=prepared.inputs.evidence)
                self._shards[one.name] = Move(one.name, one.source, one.target, known)
            return since_last(prepared, self._since), prepared.scan


def _require_files(files: Mapping[str, str | None]) -> None:
    """Raises UsageError for a file that could not be written, or whose edits would be lost."""
    for option, path in files.items():
        require_ending(option, path, _ENDINGS[option])
    fixes = files["--write-fixes"]
    if fixes and Path(fixes).exists():
        message = f"--write-fixes {fixes}: the file is there already, and may have been edited"
        raise UsageError(message, code=Code.U020, hint=f"--write-fixes {free('fixes.toml')}")


def _following(
    files: Mapping[str, str | None], blocked: Mapping[Chosen, Sequence[Finding]], several: bool
) -> Iterator[tuple[str, str]]:
    """Facts that a plan ends with: the files that were written, how to see more, and what to do next."""
    yield "written", ", ".join(path for path in files.values() if path and path != "-")
    yield "more", f"--show {', '.join(SECTIONS[:3])} … or -v for all; converge explain CODE"
    proposing = [one for one, found in blocked.items() if any("[[" in finding.hint for finding in found)]
    if not blocked:
        yield "next", _command("migrate", "--plan", files["-o"])
    elif fixes := files["--write-fixes"]:
        maps = next(one.entry.maps if one.entry else one.maps for one in blocked)
        # A --map would be in place of those of converge.toml.
        given = click.get_current_context().get_parameter_source("maps") is ParameterSource.COMMANDLINE
        yield "first", f"in {fixes}, remove the first # of the lines of each rule that you want"
        yield "next", _command("plan", "--map", *([] if given else maps), fixes)
    elif proposing:
        picked = proposing[0].name if several else ""
        yield "next", _command("plan", "--write-fixes", free("fixes.toml"), database=picked)
    else:
        yield "first", "resolve the blockers, as their hints say"
        yield "next", _command("plan", "")


def _command(name: str, option: str, *values: str | None, database: str = "") -> str:
    """This command of converge with one more option, and with all that was given to plan and that it knows.

    `database` is the one that is meant, where it is not all.
    """
    context = click.get_current_context()
    unlike = {*_OF_OUTPUT, *(["names"] if database else [])}
    known = {one.name for one in hints.named(context, name)} - unlike
    words = ["converge", name, *(["--database", database] if database else []), *hints.given(context, known)]
    for value in filter(None, values):
        words += [option, value]
    return shlex.join(words)


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
        write_pages(page, files["--html"], files["--md"])
    if path := files["--sql"]:
        parts = [f"-- database {name}\n{plan_sql(plan)}" for name, plan in plans]
        write_private(path, "\n".join(parts) if name else plan_sql(plan))
