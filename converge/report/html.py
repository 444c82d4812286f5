"""The reports as one HTML file each: no script, no request, and nothing of a database is ever markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from converge import __version__
from converge.model.matrix import Matrix
from converge.model.plan import Plan
from converge.model.result import Result
from converge.model.together import Results
from converge.model.validation import Validation
from converge.report.many import ManyParts, plans_parts, results_parts
from converge.report.matrix_parts import matrix_parts
from converge.report.parts import owner, sentence, short, visible
from converge.report.plan_parts import plan_parts
from converge.report.run_parts import run_parts
from converge.report.validation_parts import validation_parts

_PLACE = re.compile(r'(?<=[ <])(id="|href="#)')
"""Ids and links to them. Nothing of a database is taken for one: its quotes are escaped."""


def plan_html(plan: Plan) -> str:
    """The plan's page."""
    return _plan(plan)


def result_html(result: Result) -> str:
    """The run's page."""
    return _result(result)


def validation_html(result: Validation) -> str:
    """The page of a revision's validation."""
    return _page("validation.html", validation_parts(result), (), "")


def plans_html(plans: Sequence[tuple[str, Plan]]) -> str:
    """One page of several databases' plans, by name."""
    return _many(plans_parts(plans), [(name, _plan(plan, name)) for name, plan in plans])


def results_html(results: Results) -> str:
    """One page of several databases' results."""
    parts = results_parts(results)
    return _many(parts, [(one.name, _result(one.result, one.name)) for one in results.each])


def matrix_html(matrix: Matrix) -> str:
    """One page of all versions."""
    return _page("matrix.html", matrix_parts(matrix), (), "")


def _plan(plan: Plan, within: str = "") -> str:
    parts = plan_parts(plan)
    return _page("plan.html", parts, (one.source for one in parts.tables), within)


def _result(result: Result, within: str = "") -> str:
    return _page("run.html", run_parts(result), (one.source for one in result.tables), within)


def _many(parts: ManyParts, pages: Sequence[tuple[str, str]]) -> str:
    """Each page's content under its name, with ids of its own."""
    bodies = [
        (name, Markup(_PLACE.sub(rf"\g<1>database-{number}-", page)))
        for number, (name, page) in enumerate(pages, 1)
    ]
    template = _environment().get_template("many.html")
    return template.render(parts=parts, bodies=bodies, anchor=lambda name: "", version=__version__, within="")


def _page(template: str, parts: object, tables: Iterable[str], within: str) -> str:
    """A page, or only its content when it is `within` a page of several databases."""
    anchors = {name: f"table-{number}" for number, name in enumerate(tables, 1)}

    def anchor(name: str) -> str:
        """Where the page shows the table that this object belongs to."""
        return anchors.get(owner(name, anchors) or "", "")

    made = _environment().get_template(template)
    return made.render(parts=parts, anchor=anchor, version=__version__, within=within)


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
