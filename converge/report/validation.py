"""What came of a validation: for a terminal, as Markdown and as JUnit."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from converge.model.validation import Compared, Deviation, Validation
from converge.report import markdown
from converge.report.junit_cases import document, tell, testcase, testsuite
from converge.report.parts import one_line, sentence, visible
from converge.report.units import table
from converge.report.validation_parts import validation_parts

_MOST = 20


def validation_text(result: Validation) -> str:
    """Affected rows, deviations and, last, the verdict and what to do next."""
    parts = validation_parts(result)
    lines = []
    for grid in (parts.affected, parts.compared):
        if grid.rows:
            lines += [*table(grid.head, [[one_line(cell) for cell in row] for row in grid.lines]), ""]
    for row in parts.deviations.lines[:_MOST]:
        place, key, column, reference, found = row
        lines.append(one_line(f"differs   {place} {key} {column}: reference {reference}, found {found}"))
    lines += [f"not back  {one_line(name)}" for name in parts.not_restored[:_MOST]]
    lines += [f"{name:<10}{one_line(words)}" for name, words in parts.facts if name != "began"]
    lines.append(f"verdict   {parts.verdict.word}: {parts.verdict.words}")
    words, command = parts.advice
    lines += [f"next      {one_line(words)}", f"          {command}"]
    return visible("\n".join(lines))


def validation_markdown(result: Validation) -> str:
    """The content of the page as Markdown."""
    parts = validation_parts(result)
    lines = [
        markdown.title(f"converge migrations validate: {parts.verdict.word}"),
        "",
        sentence(parts.verdict.words),
    ]
    lines += markdown.section("Facts", markdown.facts(parts.facts))
    lines += markdown.grid_section("Affected rows", parts.affected, nothing="None.")
    lines += markdown.grid_section("Reference", parts.compared, nothing="None was given.")
    lines += markdown.grid_section("Deviations", parts.deviations, nothing="None.")
    lines += markdown.section("Not restored", [f"- {markdown.code(name)}" for name in parts.not_restored])
    words, command = parts.advice
    lines += markdown.section("How to go on", [markdown.words(words), *markdown.fence(command, "sh")])
    return "\n".join(lines).rstrip() + "\n"


def validation_junit(result: Validation) -> str:
    """A testcase for the validation, for each table of the reference, and for the downgrade."""
    parts = validation_parts(result)
    whole = testcase("converge.validate", result.revision, sum(took for _, took in result.phases))
    if result.exit_code:
        tell(whole, "failure", f"{parts.verdict.word}: {parts.verdict.words}")
    back = testcase("converge.validate", "downgrade", 0)
    if result.downgrade == "differs":
        tell(back, "failure", dict(parts.facts)["downgrade"], "\n".join(result.not_restored))
    elif result.downgrade != "restored":
        tell(back, "skipped", dict(parts.facts).get("downgrade", "not reached"))
    cases = [whole, *map(_case, result.compared), back]
    root = Element("testsuites", name="converge migrations validate")
    testsuite(root, result.revision, result.started, cases, dict(parts.facts))
    return document(root, cases)


def _case(one: Compared) -> Element:
    case = testcase("converge.validate.tables", one.table, 0)
    if not one.equal:
        words = (
            f"{one.missing:,} rows missing, {one.extra:,} extra, {sum(one.columns.values()):,} values differ"
        )
        tell(case, "failure", words, "\n".join(map(_told, one.deviations)))
    return case


def _told(one: Deviation) -> str:
    return f"{one.key} {one.column or '(row)'}: reference {one.reference!r}, found {one.found!r}"
