"""What JUnit files are made of. Their numbers are counted from the cases, and nothing breaks the XML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from converge.report.parts import visible


def document(root: Element, cases: Sequence[Element]) -> str:
    """The file of these suites, which have these cases."""
    _count(root, cases)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def testsuite(
    root: Element, name: str, started: str, cases: Sequence[Element], properties: Mapping[str, str]
) -> None:
    """Adds a suite with its cases. `started` is ISO 8601 in UTC."""
    suite = SubElement(root, "testsuite", name=visible(name), timestamp=started.partition("+")[0])
    if properties:
        held = SubElement(suite, "properties")
        for key, value in properties.items():
            SubElement(held, "property", name=key, value=visible(value))
    suite.extend(cases)
    _count(suite, cases)


def testcase(group: str, name: str, seconds: float) -> Element:
    return Element("testcase", classname=visible(group), name=visible(name), time=f"{seconds:.3f}")


def tell(case: Element, kind: str, message: str, text: str = "") -> None:
    """Why a case is a ``failure`` or ``skipped``."""
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
