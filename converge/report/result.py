"""The closing table of a run: for a terminal, and as Markdown."""

from __future__ import annotations

from converge.model.plan import Finding
from converge.model.result import OF_SCHEMA, OF_THE_RUN, Result
from converge.report import markdown
from converge.report.back_parts import stand_words
from converge.report.parts import Grid, beginning, one_line, sentence, visible
from converge.report.run_parts import RunParts, run_parts
from converge.report.run_words import counts
from converge.report.units import table

_MOST_REJECTS = 20
_MOST_MOVED = 20
_LONGEST = 1000
"""Of a line with both texts of an object; the report has all of it."""


def result_text(result: Result) -> str:
    """The verdict first and last; between them tables, phases, findings, differences and the next command."""
    parts = run_parts(result)
    verdict = f"verdict   {parts.verdict.word}: {parts.verdict.words}"
    lines = [verdict, ""]
    if result.tables:
        lines += [*_text(parts.tables), ""]
    if parts.timeline:
        lines.append("phases    " + ", ".join(f"{span.name} {span.took}" for span in parts.timeline))
    lines += [f"{name:<10}{words}" for name, words in parts.facts if name in ("proof", "snapshot")]
    lines += [f"changed   {one_line(str(change))}" for change in result.changes]
    lines += [f"rejected  {one_line(str(reject))}" for reject in result.rejects[:_MOST_REJECTS]]
    lossy = [finding for finding in result.findings if finding.level == "lossy"]
    absent = [finding for finding in result.findings if finding.level == "absent"]
    notes = [finding for finding in result.findings if finding.severity == "note"]
    own = [finding for finding in notes if finding.code in OF_THE_RUN]
    blocks = [finding for finding in result.findings if finding.severity == "block"]
    lines += [f"blocks    {_said(finding)}" for finding in blocks if finding.code not in OF_SCHEMA]
    lines += [f"loss      {beginning(f'{finding.object}: {finding.message}')}" for finding in lossy]
    lines += [f"not migrated: {beginning(f'{finding.object}: {finding.message}')}" for finding in absent]
    lines += [f"note      {one_line(finding.message)}" for finding in own]
    if count := len(notes) - len(own):
        lines.append(f"notes     {count}; `converge plan` lists them with their reasons")
    lines += [f"differs   {_said(finding)[:_LONGEST]}" for finding in blocks if finding.code in OF_SCHEMA]
    lines += [f"differs   {one_line(one.source)}: {words}" for one in result.tables if (words := counts(one))]
    lines += [f"differs   {one_line(str(difference))}" for difference in result.differences]
    lines += [f"not compared: {one_line(str(one))}" for one in result.not_compared]
    lines += [f"{name:<10}{words}" for name, words in parts.facts if name in ("views", "checks")]
    lines += [f"check     {one_line(str(one))}" for one in result.checks if one.state != "ok"]
    if result.going_back:
        lines.append(f"back      {one_line(stand_words(result.going_back))}")
        lines += [f"moved     {one_line(name)}" for name in result.going_back.tables[:_MOST_MOVED]]
    if result.next_command:
        lines.append(f"next      {result.next_command}")
    lines.append(verdict)
    return visible("\n".join(lines))


def result_markdown(result: Result, name: str = "") -> str:
    """The content of the HTML page as Markdown; with the database's name where there are several."""
    parts = run_parts(result)
    advice, command = parts.advice
    title = f"converge {parts.command}: {parts.verdict.word}"
    lines = [markdown.title(title, name), "", sentence(parts.verdict.words)]
    lines += markdown.section("Facts", markdown.facts(parts.facts))
    lines += markdown.section("Time", markdown.facts((span.name, span.took) for span in parts.timeline))
    lines += markdown.grid_section("Tables", parts.tables, nothing="No table was reached.")
    lines += markdown.section("Differences", _differences(parts), nothing=parts.no_difference)
    lines += markdown.grid_section("Views", parts.views)
    lines += markdown.grid_section("Not compared", parts.not_compared, nothing="Nothing that is known.")
    lines += markdown.grid_section("Checks", parts.checks)
    lines += markdown.section("Findings", markdown.findings(parts.levels), nothing="None.")
    lines += markdown.grid_section("Declared value changes", parts.changes, nothing="No value was changed.")
    lines += markdown.grid_section("Rejected rows", parts.rejects, nothing="None.")
    lines += markdown.section(
        "Not migrated", markdown.left_behind(parts.left), nothing="Nothing that this run knows of."
    )
    lines += markdown.section(
        "Going back", [line for one in parts.back for line in (markdown.words(one), "")]
    )
    if parts.moved.rows:
        lines += markdown.table(parts.moved)
    lines += markdown.section("How to go on", [markdown.words(advice), *markdown.fence(command, "sh")])
    return "\n".join(lines).rstrip() + "\n"


def _said(finding: Finding) -> str:
    where = f"{finding.object}: " if finding.object else ""
    return beginning(f"{finding.code} {where}{finding.message}")


def _text(grid: Grid) -> list[str]:
    """Without the target's names, which a terminal has no room for."""
    kept = [place for place, name in enumerate(grid.head) if name != "target"]
    return table(
        [grid.head[place] for place in kept], [[one_line(row[place]) for place in kept] for row in grid.lines]
    )


def _differences(parts: RunParts) -> list[str]:
    lines: list[str] = []
    for grid in parts.differences:
        lines += ["", f"### {markdown.code(grid.title)} ({len(grid.rows):,})", "", *markdown.table(grid)]
    return lines[1:]
