"""Charts of what a plan knows and a run has recorded."""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.result import Pace, TableResult
from converge.model.words import counted
from converge.report.document import Bar, Bars, Curve
from converge.report.words import seconds, size

_MOST_ROWS = 12
"""Of a chart: the others are one row."""
_FEWEST_POINTS = 8
"""Of a curve: a copy that ends at once has none."""


def phase_line(phases: Sequence[tuple[str, float]]) -> Bars:
    """The phases of a command, one after the other."""
    whole = sum(took for _, took in phases)
    begin, rows = 0.0, []
    for name, took in phases:
        rows.append((name, (_bar(seconds(took), begin, took, whole),)))
        begin += took
    return Bars("Phases", (seconds(whole),), tuple(rows), timed=True)


def copy_line(tables: Sequence[TableResult]) -> Bars:
    """When each table was copied: the longest, ordered by start."""
    known = [(one.source, one.began, one.ended) for one in tables if one.began is not None and one.ended]
    if len(known) < 2:
        return Bars("", (), ())
    whole = max(ended for *_, ended in known)
    longest = sorted(known, key=lambda one: one[1] - one[2])[:_MOST_ROWS]
    rows = tuple(
        (name, (_bar(seconds(ended - began), began, ended - began, whole),))
        for name, began, ended in sorted(longest, key=lambda one: (one[1], one[2]))
    )
    more = (
        f"the {len(rows)} longest of {counted(len(known), 'table')}, ordered by start"
        if len(rows) < len(known)
        else ""
    )
    return Bars(f"Copy by table{more and ': '}{more}", (seconds(whole),), rows, timed=True, names=True)


def size_bars(title: str, tables: Sequence[tuple[str, int, int]]) -> Bars:
    """Bytes and rows of each table (its name, bytes, rows): the largest, and the rest in one row."""
    ranked = sorted(tables, key=lambda one: one[1:], reverse=True)
    if len(ranked) < 2 or not any(rows for *_, rows in ranked):
        return Bars("", (), ())
    most_bytes, most_rows = (max(column) for column in zip(*(one[1:] for one in ranked), strict=True))
    rows = [
        (name, (_bar(size(count), 0, count, most_bytes), _bar(f"{rows:,}", 0, rows, most_rows)))
        for name, count, rows in ranked[:_MOST_ROWS]
    ]
    if rest := ranked[_MOST_ROWS:]:
        # Without bars: together they may have more than the largest.
        count, of_rows = (sum(column) for column in zip(*(one[1:] for one in rest), strict=True))
        others = Bar(size(count), 0, 0), Bar(f"{of_rows:,}", 0, 0)
        rows.append((f"{len(rest):,} others", others))
    if not most_bytes:
        return Bars(title, ("rows",), tuple((name, both[1:]) for name, both in rows), names=True)
    return Bars(title, ("bytes", "rows"), tuple(rows), names=True)


def pace_curve(pace: Pace | None) -> Curve | None:
    """How fast the copy went on."""
    if pace is None or len(pace.bytes) < _FEWEST_POINTS:
        return None
    # What a chunk has sent in vain is subtracted when it is tried again.
    rates = [max(count, 0) / pace.seconds for count in pace.bytes]
    took, most = len(rates) * pace.seconds, max(rates)
    words = f"{size(most)} a second at most, over {seconds(took)}"
    heights = tuple(round(rate / (most or 1) * 100, 1) for rate in rates)
    return Curve("Throughput of the copy", words, heights, f"{size(most)}/s", seconds(took))


def _bar(words: str, start: float, width: float, whole: float) -> Bar:
    share = 100 / whole if whole else 0
    return Bar(words, round(start * share, 2), round(width * share, 2))
