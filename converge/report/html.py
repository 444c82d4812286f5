"""A document as one HTML file: no request, and nothing of a database is ever markup.

The page is complete without its script, which only sorts and filters tables; the page's policy lets no other
run.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection
from functools import cache
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from converge import __version__
from converge.report.document import Document, Grid, owner
from converge.report.findings import Findings
from converge.report.words import COMMAND, sentence, short, visible

_MOST_DETAILS = 20_000
"""Rows that the rows of a table unfold to: more of them, and no browser shows the page."""


def to_html(document: Document) -> str:
    """The page; each of several databases has ids of its own in it."""
    bodies = [_body(document, "", "")]
    for number, (name, part) in enumerate(document.parts, 1):
        prefix = f"database-{number}"
        bodies.append(
            Markup('<article id="{}">\n{}\n</article>').format(prefix, _body(part, name, f"{prefix}-"))
        )
    script = _script()
    content = {
        "document": document,
        "bodies": bodies,
        "version": __version__,
        "script": script,
        "policy": b64encode(sha256(script.encode()).digest()).decode(),
    }
    return _environment().get_template("page.html").render(content)


@cache
def _script() -> Markup:
    loader = _environment().loader
    assert loader is not None
    return Markup(loader.get_source(_environment(), "report.js")[0])


def _body(document: Document, name: str, prefix: str) -> Markup:
    grids = [block for one in document.sections for block in one.blocks if isinstance(block, Grid)]
    anchored = [str(row[0]) for grid in grids if grid.anchored for row in grid.rows]
    anchors = {table: f"{prefix}table-{number}" for number, table in enumerate(anchored, 1)}

    def anchor(object_: str) -> str:
        """Where the page shows the table that this object belongs to."""
        return anchors.get(owner(object_, anchors) or "", "")

    found = [block for one in document.sections for block in one.blocks if isinstance(block, Findings)]
    blockers = [level for block in found for level in block.levels if level.name == "block"]
    content = {"document": document, "name": name, "prefix": prefix, "blockers": blockers}
    template = _environment().get_template("document.html")
    return Markup(template.render(content, anchor=anchor, opened=_opened))


def _opened(grid: Grid) -> Collection[int]:
    """The rows that unfold, as far as a page has room: those with marks in their last cell go first."""
    opened = set()
    count = 0
    for place in sorted(range(len(grid.rows)), key=lambda place: not str(grid.rows[place][-1])):
        count += sum(len(one.rows) for one in grid.details[place])
        if count > _MOST_DETAILS:
            break
        opened.add(place)
    return opened


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
    environment.filters |= {
        "ticked": _ticked,
        "short": short,
        "sentence": sentence,
        "kind": lambda block: type(block).__name__,
    }
    return environment


def _ticked(text: str) -> Markup:
    """Markup of a text: its commands are code."""
    return Markup(COMMAND.sub(r"<code>\1</code>", str(escape(visible(text)))))


def _finalize(value: Any) -> Any:
    # What macros return is markup already, of a class of its own.
    return visible(value) if type(value) is str else value
