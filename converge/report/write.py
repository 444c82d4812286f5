"""A run's report in the form that its file's ending asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from converge.model.result import Result
from converge.model.together import Results
from converge.report.junit import result_junit, results_junit
from converge.report.many import results_markdown
from converge.report.result import result_markdown

Report = Result | Results
"""What came of a run: of one database or of several."""


def _html(report: Report) -> str:
    # Most commands write no page and need not wait for the templates' engine.
    from converge.report.html import result_html, results_html

    return results_html(report) if isinstance(report, Results) else result_html(report)


def _json(report: Report) -> str:
    return json.dumps(report.to_json(), indent=1) + "\n"


def _markdown(report: Report) -> str:
    return results_markdown(report) if isinstance(report, Results) else result_markdown(report)


def _junit(report: Report) -> str:
    return results_junit(report) if isinstance(report, Results) else result_junit(report)


FORMS: Mapping[str, Callable[[Report], str]] = {
    ".html": _html,
    ".json": _json,
    ".md": _markdown,
    ".xml": _junit,
}


def report_as(report: Report, path: str) -> str:
    """The report for this file. Raises KeyError for an ending that is none of FORMS."""
    return FORMS[Path(path).suffix](report)
