"""A matrix for a terminal, as Markdown for the summary of continuous integration, and as JUnit XML."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from converge.model.matrix import Cell, Matrix, Step, Varied
from converge.report import markdown
from converge.report.junit_cases import document, tell, testcase, testsuite
from converge.report.matrix_parts import Reason, matrix_parts
from converge.report.parts import Grid, one_line, sentence, short, visible
from converge.report.units import table

_MOST_DIFFERENCES = 20


def matrix_text(matrix: Matrix) -> str:
    """Versions and steps, what differs between versions, why a cell is red and, last, the verdict."""
    parts = matrix_parts(matrix)
    lines = [*_text(parts.overview), ""]
    lines += _listed("plan", matrix.plans) + _listed("catalog", matrix.catalog)
    for reason in parts.reasons:
        lines += _reason(reason)
    lines.append(f"{'digests':<10}{_digests(matrix)}")
    lines.append(f"{'verdict':<10}{parts.verdict.word}: {parts.verdict.words}")
    return visible("\n".join(lines))


def matrix_markdown(matrix: Matrix) -> str:
    """The content of the HTML page as Markdown."""
    parts = matrix_parts(matrix)
    lines = [markdown.title(f"converge matrix: {parts.verdict.word}"), "", sentence(parts.verdict.words)]
    lines += markdown.grid_section("Versions and steps", parts.overview)
    lines += markdown.section("What is red", _reasons(parts.reasons))
    lines += markdown.section("Facts", markdown.facts(parts.facts))
    lines += markdown.grid_section("What came of each step", parts.details)
    lines += markdown.grid_section("Checks", parts.checks)
    lines += markdown.grid_section("Digests", parts.digests, nothing="No table was compared.")
    lines += markdown.grid_section("Differences of plans", parts.plans, nothing="None.")
    lines += markdown.grid_section("Differences of catalogs", parts.catalog, nothing="None.")
    return "\n".join(lines).rstrip() + "\n"


def matrix_junit(matrix: Matrix) -> str:
    """A suite for each version, with a testcase for each step."""
    root = Element("testsuites", name="converge matrix")
    everything = []
    for cell in matrix.cells:
        cases = [_case(cell, step) for step in cell.steps]
        properties = {"version": cell.version, "provider": cell.provider, "source": matrix.source}
        testsuite(root, f"PostgreSQL {cell.name}", matrix.started, cases, properties)
        everything += cases
    return document(root, everything)


def _case(cell: Cell, step: Step) -> Element:
    case = testcase(f"converge.matrix.{cell.name}", step.name, step.seconds)
    if step.reason is not None:
        said = f"{step.reason.code}: {step.reason.message}"
        tell(
            case,
            "failure",
            short(said),
            "\n".join(filter(None, (said, step.reason.evidence, step.reason.hint))),
        )
    elif step.state == "not run":
        tell(case, "skipped", "a step before it is red")
    return case


def _text(grid: Grid) -> list[str]:
    return table(grid.head, [[one_line(cell) for cell in row] for row in grid.lines], left=2)


def _listed(title: str, differences: Sequence[Varied]) -> list[str]:
    """A line a difference: the object, and what is there on which versions."""
    lines = []
    for one in differences[:_MOST_DIFFERENCES]:
        said = (f"{', '.join(names)} {text.rstrip(';') or 'nothing'}" for text, names in one.grouped)
        lines.append(f"{title:<10}{one_line(short(one.object))}: {one_line(short('; '.join(said)))}")
    more = len(differences) - len(lines)
    return [*lines, f"{title:<10}and {more:,} more, in --html and --json"] if more else lines


def _reason(reason: Reason) -> list[str]:
    finding = reason.finding
    lines = [f"{'red':<10}{one_line(reason.title)}: {finding.code} {one_line(finding.message)}"]
    lines += [f"{'':<10}{one_line(line)}" for line in finding.evidence.splitlines()]
    first, *others = finding.hint.splitlines() or [""]
    lines += [f"{'hint':<10}{one_line(first)}"] * bool(first)
    return lines + [f"{'':<10}{one_line(line)}" for line in others]


def _reasons(reasons: tuple[Reason, ...]) -> list[str]:
    lines: list[str] = []
    for reason in reasons:
        finding = reason.finding
        lines += [f"- {markdown.words(reason.title)}: {finding.code} {markdown.words(finding.message)}"]
        for text in (finding.evidence, finding.hint):
            if text:
                lines += [f"  {line}".rstrip() for line in markdown.fence(text)]
    return lines


def _digests(matrix: Matrix) -> str:
    reached = sum(bool(cell.tables) for cell in matrix.cells)
    if not reached:
        return "no version came so far"
    differ = len(matrix.contents)
    same = len(matrix.tables) - differ
    words = f"{same:,} of {len(matrix.tables):,} tables have the same rows and digests"
    words += f" on {reached:,} of {len(matrix.cells):,} versions"
    if not (every := len(matrix.revised_tables)):
        return words
    revised = sum(bool(cell.revised) for cell in matrix.cells)
    return f"{words}; after the revisions {every - len(matrix.revised):,} of {every:,} on {revised:,}"
