"""Views and expressions of indexes that a run has compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from converge.model.result import ViewResult
from converge.report.parts import Grid, Mark, Tone, grid
from converge.report.units import counted, seconds

TONES: dict[str, Tone] = {"equal": "good", "differs": "bad", "not compared": "warn"}


def compared_views(results: Sequence[ViewResult]) -> Grid:
    """Each with its rows, and what is to be known of it."""
    return grid(
        "Views",
        (("view or index", "name"), ("target", "name"), ("rows", "number"), ("seconds", "number"),
         ("equal", "words"), ("why", "words")),
        [
            (one.name, one.target, "" if one.rows_source is None else f"{one.rows_source:,}",
             seconds(one.seconds), Mark(one.state, TONES[one.state]), one.why)
            for one in results
        ],
    )  # fmt: skip


def views_words(results: Sequence[ViewResult]) -> str:
    """How many are equal; empty where there is none."""
    if not results:
        return ""
    states = Counter(one.state for one in results)
    total = counted(len(results), "view or index expression", "views and index expressions")
    words = [f"{states['equal']:,} of {total} equal"]
    if states["differs"]:
        words.append(f"{states['differs']:,} with other rows")
    if states["not compared"]:
        words.append(f"{states['not compared']:,} not compared")
    return ", ".join(words)
