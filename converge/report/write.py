"""A run's report in the form that its file's ending asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from converge.model.result import Result
from converge.report.junit import result_junit
from converge.report.result import result_markdown


def _html(result: Result) -> str:
    # Most commands write no page and need not wait for the templates' engine.
    from converge.report.html import result_html

    return result_html(result)


def _json(result: Result) -> str:
    return json.dumps(result.to_json(), indent=1) + "\n"


FORMS: Mapping[str, Callable[[Result], str]] = {
    ".html": _html,
    ".json": _json,
    ".md": result_markdown,
    ".xml": result_junit,
}


def result_as(result: Result, path: str) -> str:
    """The report for this file. Raises KeyError for an ending that is none of FORMS."""
    return FORMS[Path(path).suffix](result)
