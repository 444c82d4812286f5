"""The site: `make docs` builds it from the pages of this folder into build/docs, with warnings as errors."""

import json
from pathlib import Path

from sphinx.application import Sphinx

from converge import __version__
from converge.model.result import Result
from converge.report.html import to_html
from converge.report.run import run_document

project = "converge"
author = "the converge authors"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["schemas", "examples"]
# Anchors of headings, as GitHub makes them; a link to one that is not there is a warning.
myst_heading_anchors = 4
html_theme = "furo"
html_title = f"converge {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
# Blocks in a language that no highlighter knows would be a warning: output of the terminal is `text`.
highlight_language = "text"


def setup(app: Sphinx) -> None:
    app.connect("build-finished", _examples)


def _examples(app: Sphinx, _: Exception | None) -> None:
    """Reports that pages link, as today's code writes them of a kept result."""
    for result in Path(app.srcdir, "examples").glob("*.json"):
        page = Path(app.outdir, "examples", f"{result.stem}.html")
        page.parent.mkdir(exist_ok=True)
        page.write_text(to_html(run_document(Result.from_json(json.loads(result.read_text())))), "utf-8")
