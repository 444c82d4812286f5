"""Reports as JUnit XML, for continuous integration. Numbers are counted, and nothing breaks the XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from converge.report.words import visible

State = Literal["ok", "failure", "skipped"]


@dataclass(frozen=True, slots=True)
class Case:
    group: str
    name: str
    seconds: float = 0.0
    state: State = "ok"
    message: str = ""
    """Why it failed or was skipped."""
    text: str = ""
    """The same in full."""


@dataclass(frozen=True, slots=True)
class Suite:
    name: str
    started: str
    """ISO 8601 in UTC."""
    cases: Sequence[Case]
    properties: Mapping[str, str] = field(default_factory=dict)


def to_junit(title: str, suites: Sequence[Suite]) -> str:
    """The file of these suites, without those that have no case."""
    suites = [suite for suite in suites if suite.cases]
    root = Element("testsuites", name=title)
    for suite in suites:
        element = SubElement(
            root, "testsuite", name=visible(suite.name), timestamp=suite.started.partition("+")[0]
        )
        if suite.properties:
            held = SubElement(element, "properties")
            for key, value in suite.properties.items():
                SubElement(held, "property", name=key, value=visible(value))
        for case in suite.cases:
            _add(element, case)
        _count(element, suite.cases)
    _count(root, [case for suite in suites for case in suite.cases])
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add(suite: Element, case: Case) -> None:
    element = SubElement(
        suite, "testcase", classname=visible(case.group), name=visible(case.name), time=f"{case.seconds:.3f}"
    )
    if case.state != "ok":
        why = SubElement(element, case.state, message=visible(case.message))
        if case.state == "failure":
            why.set("type", "converge")
        why.text = visible(case.text) or None


def _count(element: Element, cases: Sequence[Case]) -> None:
    element.set("tests", str(len(cases)))
    element.set("failures", str(sum(case.state == "failure" for case in cases)))
    element.set("errors", "0")
    element.set("skipped", str(sum(case.state == "skipped" for case in cases)))
    element.set("time", f"{sum(case.seconds for case in cases):.3f}")
