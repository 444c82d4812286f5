"""The reports as one HTML file each: no script, no request, and nothing of a database is ever markup."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from converge import __version__
from converge.model.plan import Plan
from converge.model.result import Result
from converge.report.parts import owner, sentence, short, visible
from converge.report.plan_parts import plan_parts
from converge.report.run_parts import run_parts


def plan_html(plan: Plan) -> str:
    """The plan's page."""
    parts = plan_parts(plan)
    return _page("plan.html", parts, (one.source for one in parts.tables))


def result_html(result: Result) -> str:
    """The run's page."""
    return _page("run.html", run_parts(result), (one.source for one in result.tables))


def _page(template: str, parts: object, tables: Iterable[str]) -> str:
    anchors = {name: f"table-{number}" for number, name in enumerate(tables, 1)}

    def anchor(name: str) -> str:
        """Where the page shows the table that this object belongs to."""
        return anchors.get(owner(name, anchors) or "", "")

    return _environment().get_template(template).render(parts=parts, anchor=anchor, version=__version__)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("converge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"short": short, "sentence": sentence}
    return environment


def _finalize(value: Any) -> Any:
    # What macros return is markup already, of a class of its own.
    return visible(value) if type(value) is str else value
