"""A run as JUnit XML, for continuous integration: a testcase for each table, finding and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from converge.model.check import CheckResult
from converge.model.plan import Finding
from converge.model.result import OF_CHECKS, Result, TableResult, ViewResult
from converge.model.together import Results
from converge.report.junit_cases import document, tell, testcase, testsuite
from converge.report.parts import short, visible
from converge.report.run_words import equality, verdict_words


def result_junit(result: Result) -> str:
    """Differing tables and blockers fail; what was not compared, and losses, are skipped."""
    return _document(result.command, [("", result)])


def results_junit(results: Results) -> str:
    """The same of several databases: each one's name goes before its suites and cases."""
    return _document(results.command, [(f"{one.name}.", one.result) for one in results.each])


def _document(command: str, results: Sequence[tuple[str, Result]]) -> str:
    root = Element("testsuites", name=f"converge {command}")
    cases = [case for prefix, result in results for case in _suites(root, prefix, result)]
    return document(root, cases)


def _suites(root: Element, prefix: str, result: Result) -> list[Element]:
    """Adds a result's suites; returns their cases."""
    suites = [
        ("verdict", [_verdict(result)]),
        ("tables", [_table(result, one) for one in result.tables]),
        ("views", [_view(result, one) for one in result.views]),
        ("checks", [_check(one) for one in result.checks]),
        ("findings", [_finding(one) for one in result.findings if _tells(one)]),
    ]
    for name, cases in suites:
        for case in cases:
            case.set("classname", visible(prefix) + case.get("classname", ""))
        testsuite(
            root, f"{prefix}{name}", result.started, cases, _properties(result) if name == "verdict" else {}
        )
    return [case for _, cases in suites for case in cases]


def _verdict(result: Result) -> Element:
    case = testcase("converge", result.command, sum(took for _, took in result.phases))
    if result.exit_code:
        tell(case, "failure", f"{result.verdict}: {verdict_words(result)}")
    return case


def _table(result: Result, one: TableResult) -> Element:
    case = testcase("converge.tables", one.source, one.seconds)
    equal = equality(result, one)
    if one.rows_rejected or equal.tone == "bad":
        words = f"{one.rows_rejected:,} rows rejected" if one.rows_rejected else f"equal: {equal}"
        differences = [str(found) for found in result.differences if found.table == one.source]
        tell(case, "failure", words, "\n".join(differences))
    elif not one.verified:
        tell(case, "skipped", str(equal))
    return case


def _view(result: Result, one: ViewResult) -> Element:
    case = testcase("converge.views", one.name, one.seconds)
    if one.state == "differs":
        differences = [str(found) for found in result.differences if found.table == one.name]
        tell(case, "failure", short(differences[0]), "\n".join(differences))
    elif one.state == "not compared":
        tell(case, "skipped", one.why)
    return case


def _check(one: CheckResult) -> Element:
    case = testcase("converge.checks", one.name, one.seconds)
    if one.failed:
        tell(case, "failure", short(str(one)), "\n".join(filter(None, (str(one), one.why, one.place))))
    elif one.state != "ok":
        tell(case, "skipped", one.message)
    return case


def _tells(finding: Finding) -> bool:
    """Whether it is a testcase of its own: notes are none, and checks have theirs already."""
    return finding.severity != "note" and finding.code not in OF_CHECKS


def _finding(finding: Finding) -> Element:
    case = testcase(f"converge.findings.{finding.code}", finding.object, 0)
    text = "\n".join(part for part in (finding.message, finding.evidence, finding.hint) if part)
    tell(case, "failure" if finding.severity == "block" else "skipped", short(finding.message), text)
    return case


def _properties(result: Result) -> dict[str, str]:
    return {
        "verdict": result.verdict,
        "source": result.source,
        "source version": result.source_version,
        "target": result.target,
        "target version": result.target_version,
        "snapshot": result.snapshot or "",
        "not migrated": str(len(result.not_migrated)),
        "losses": str(result.losses),
    }
