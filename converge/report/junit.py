"""A run as JUnit XML, for continuous integration: a testcase for each table, finding and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from converge.model.check import CheckResult
from converge.model.plan import Finding
from converge.model.result import OF_CHECKS, Result, TableResult
from converge.model.together import Results
from converge.report.parts import short, visible
from converge.report.run_words import equality, verdict_words


def result_junit(result: Result) -> str:
    """Differing tables and blocks fail; what was not compared, and declared losses, are skipped."""
    return _document(result.command, [("", result)])


def results_junit(results: Results) -> str:
    """The same of several databases: each one's name goes before its suites and cases."""
    return _document(results.command, [(f"{one.name}.", one.result) for one in results.each])


def _document(command: str, results: Sequence[tuple[str, Result]]) -> str:
    root = Element("testsuites", name=f"converge {command}")
    cases = [case for prefix, result in results for case in _suites(root, prefix, result)]
    _count(root, cases)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suites(root: Element, prefix: str, result: Result) -> list[Element]:
    """Adds a result's suites; returns their cases."""
    suites = [
        ("verdict", [_verdict(result)]),
        ("tables", [_table(result, one) for one in result.tables]),
        ("checks", [_check(one) for one in result.checks]),
        ("findings", [_finding(one) for one in result.findings if _tells(one)]),
    ]
    for name, cases in suites:
        suite = SubElement(
            root,
            "testsuite",
            name=visible(f"{prefix}{name}"),
            timestamp=result.started.partition("+")[0],
        )
        if name == "verdict":
            suite.append(_properties(result))
        for case in cases:
            case.set("classname", visible(prefix) + case.get("classname", ""))
        suite.extend(cases)
        _count(suite, cases)
    return [case for _, cases in suites for case in cases]


def _verdict(result: Result) -> Element:
    case = _case("converge", result.command, sum(took for _, took in result.phases))
    if result.exit_code:
        _say(case, "failure", f"{result.verdict}: {verdict_words(result)}")
    return case


def _table(result: Result, one: TableResult) -> Element:
    case = _case("converge.tables", one.source, one.seconds)
    equal = equality(result, one)
    if one.rows_rejected or equal.tone == "bad":
        words = f"{one.rows_rejected:,} rows rejected" if one.rows_rejected else f"equal: {equal}"
        differences = [str(found) for found in result.differences if found.table == one.source]
        _say(case, "failure", words, "\n".join(differences))
    elif not one.verified:
        _say(case, "skipped", str(equal))
    return case


def _check(one: CheckResult) -> Element:
    case = _case("converge.checks", one.name, one.seconds)
    if one.failed:
        _say(case, "failure", short(str(one)), "\n".join(filter(None, (str(one), one.why, one.place))))
    elif one.state != "ok":
        _say(case, "skipped", one.message)
    return case


def _tells(finding: Finding) -> bool:
    """Whether it is a testcase of its own: notes are none, and checks have theirs already."""
    return finding.severity != "note" and finding.code not in OF_CHECKS


def _finding(finding: Finding) -> Element:
    case = _case(f"converge.findings.{finding.code}", finding.object, 0)
    text = "\n".join(part for part in (finding.message, finding.evidence, finding.hint) if part)
    _say(case, "failure" if finding.severity == "block" else "skipped", short(finding.message), text)
    return case


def _properties(result: Result) -> Element:
    properties = Element("properties")
    for name, value in (
        ("verdict", result.verdict),
        ("source", result.source),
        ("source version", result.source_version),
        ("target", result.target),
        ("target version", result.target_version),
        ("snapshot", result.snapshot or ""),
    ):
        SubElement(properties, "property", name=name, value=visible(value))
    return properties


def _case(group: str, name: str, seconds: float) -> Element:
    return Element("testcase", classname=visible(group), name=visible(name), time=f"{seconds:.3f}")


def _say(case: Element, kind: str, message: str, text: str = "") -> None:
    said = SubElement(case, kind, message=visible(message))
    if kind == "failure":
        said.set("type", "converge")
    said.text = visible(text) or None


def _count(suite: Element, cases: Sequence[Element]) -> None:
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")
