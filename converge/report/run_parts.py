"""A run's report as values, the same for text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from converge.model.result import OF_CHECKS, Difference, Reject, Result
from converge.report.back_parts import back_words, moved_tables
from converge.report.check_parts import check_results, checks_words
from converge.report.parts import Cell, Grid, Left, Level, Mark, Verdict, grid, left_behind, levels
from converge.report.run_words import (
    NEXT,
    REPAIR,
    SNAPSHOTS,
    counts,
    equality,
    proof_words,
    tone,
    verdict_words,
)
from converge.report.units import counted, seconds, size
from converge.report.view_parts import compared_views, views_words

_MOST_REJECTS = 1000
_MOST_HEX = 64


@dataclass(frozen=True, slots=True)
class Span:
    """A phase on the run's time line; start and width in hundredths of the whole."""

    name: str
    took: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class RunParts:
    command: str
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    timeline: tuple[Span, ...]
    tables: Grid
    differences: tuple[Grid, ...]
    """One a table."""
    no_difference: str
    """What to say when there is none."""
    views: Grid
    not_compared: Grid
    """What the comparison did not look at, with the reasons."""
    checks: Grid
    levels: tuple[Level, ...]
    changes: Grid
    rejects: Grid
    left: tuple[Left, ...]
    back: tuple[str, ...]
    """The way back to the source, in sentences."""
    moved: Grid
    advice: tuple[str, str]
    """How to go on: a sentence, and a command."""


def run_parts(result: Result) -> RunParts:
    """All of a run that people read."""
    words, command = REPAIR if result.rejects else NEXT.get(result.verdict, ("", ""))
    counted_rows = {one.source: counts(one) for one in result.tables}
    compared = result.verdict in ("verified", "differs")
    return RunParts(
        command=result.command,
        verdict=Verdict(result.verdict, verdict_words(result), tone(result)),
        figures=_figures(result),
        facts=_facts(result),
        timeline=_timeline(result.phases),
        tables=_tables(result),
        differences=tuple(
            _differences(name, rows, counted_rows.get(name, ""))
            for name, rows in _by_table(result.differences).items()
        ),
        no_difference="None." if compared else "The values were not compared.",
        views=compared_views(result.views),
        not_compared=grid(
            "Not compared",
            (("kind", "words"), ("name", "name"), ("why", "words")),
            [(one.kind, one.name, one.why) for one in result.not_compared],
        ),
        checks=check_results(result.checks),
        levels=levels([one for one in result.findings if one.code not in OF_CHECKS]),
        changes=_changes(result),
        rejects=_rejects(result.rejects),
        left=left_behind(result.not_migrated),
        back=back_words(result.going_back),
        moved=moved_tables(result.going_back),
        advice=(words, result.next_command or command),
    )


def _figures(result: Result) -> tuple[tuple[str, str], ...]:
    tables = result.tables
    copied = any(one.rows_read is not None for one in tables)
    rows = sum((one.rows_written if copied else one.rows_source) or 0 for one in tables)
    figures = [(f"{len(tables):,}", "tables"), (f"{rows:,}", "rows written" if copied else "rows compared")]
    if copied:
        figures.append((size(sum(one.bytes for one in tables)), "copied"))
        figures.append((f"{sum(one.rows_rejected for one in tables):,}", "rejected"))
    equal = sum(one.verified for one in tables)
    figures += [
        (f"{equal:,} of {len(tables):,}", "tables equal"),
        (seconds(sum(took for _, took in result.phases)), "in total"),
    ]
    figures += [(f"{len(result.not_migrated):,}", "objects not migrated"), (f"{result.losses:,}", "losses")]
    return tuple(figures)


def _facts(result: Result) -> tuple[tuple[str, str], ...]:
    facts = (
        ("source", f"MySQL {result.source_version} {result.source}".replace("  ", " ")),
        ("target", f"PostgreSQL {result.target_version} {result.target}".replace("  ", " ")),
        ("proof", proof_words(result)),
        ("snapshot", f"{result.snapshot}: {SNAPSHOTS[result.snapshot]}" if result.snapshot else ""),
        ("began", result.started.replace("T", " ").replace("+00:00", " UTC")),
        ("copy", _speed(result)),
        ("views", views_words(result.views)),
        ("checks", checks_words(result.checks)),
    )
    return tuple((name, words) for name, words in facts if words)


def _speed(result: Result) -> str:
    took = dict(result.phases).get("copy", 0)
    count = sum(one.bytes for one in result.tables)
    rows = sum(one.rows_written or 0 for one in result.tables)
    if not took or not count:
        return ""
    return f"{rows:,} rows, {size(count)} in {seconds(took)}: {size(count / took)} a second"


def _timeline(phases: Sequence[tuple[str, float]]) -> tuple[Span, ...]:
    whole = sum(took for _, took in phases) or 1.0
    begin, made = 0.0, []
    for name, took in phases:
        made.append(Span(name, seconds(took), round(begin / whole * 100, 2), round(took / whole * 100, 2)))
        begin += took
    return tuple(made)


def _equal(result: Result) -> str:
    """How many tables are equal; of counts alone, how many counts."""
    tables = result.tables
    if any(one.verified for one in tables) or not any(equality(result, one).tone == "warn" for one in tables):
        return f"{sum(one.verified for one in tables)} equal"
    counts = [one for one in tables if one.rows_source is not None]
    same = sum(one.rows_source == one.rows_target for one in counts)
    return f"{same} of {counted(len(counts), 'count')} equal" if counts else "not compared"


def _tables(result: Result) -> Grid:
    tables = result.tables
    copied = any(one.rows_read is not None for one in tables)
    foot = (
        counted(len(tables), "table"),
        "",
        *_copied(
            sum(one.rows_read or 0 for one in tables) if copied else None,
            sum(one.rows_written or 0 for one in tables),
            sum(one.rows_rejected for one in tables),
            sum(one.bytes for one in tables),
            sum(one.seconds for one in tables),
        ),
        _equal(result),
    )
    return grid(
        "Tables",
        (
            ("table", "name"), ("target", "name"), ("read", "number"), ("written", "number"),
            ("rejected", "number"), ("bytes", "number"), ("seconds", "number"), ("equal", "number"),
        ),
        [
            (
                one.source,
                one.target,
                *_copied(one.rows_read, one.rows_written, one.rows_rejected, one.bytes, one.seconds),
                equality(result, one),
            )
            for one in tables
        ],
        foot if tables else (),
    )  # fmt: skip


def _copied(
    read: int | None, written: int | None, rejected: int, count: int, took: float
) -> tuple[Cell, ...]:
    if read is None:
        return ("", "", "", "", "")
    lost: Cell = Mark(f"{rejected:,}", "bad") if rejected else "0"
    return (f"{read:,}", f"{written or 0:,}", lost, size(count), f"{took:.2f}")


def _by_table(differences: Sequence[Difference]) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {}
    for difference in differences:
        found.setdefault(difference.table, []).append(difference)
    return found


def _differences(table: str, rows: Sequence[Difference], counted_rows: str) -> Grid:
    def value(one: Difference, text: str | None) -> Cell:
        if text is not None:
            # Quoted, so that spaces at the ends and signs without ink are seen.
            return text if one.column is None else repr(text)
        return Mark("no such row", "bad") if one.column is None else Mark("NULL", "quiet")

    return grid(
        f"{table}: {counted_rows}" if counted_rows else table,
        (("key", "code"), ("column", "name"), ("source", "code"), ("target", "code")),
        [(one.key, one.column or "the row", value(one, one.source), value(one, one.target)) for one in rows],
    )


def _changes(result: Result) -> Grid:
    return grid(
        "Declared value changes",
        (
            ("table", "name"), ("column", "name"), ("rows", "number"), ("which", "words"),
            ("policy", "code"), ("becomes", "code"),
        ),
        [
            (one.table, one.column, f"{one.rows:,}", f"rows {one.words}", one.trap, one.policy)
            for one in result.changes
        ],
    )  # fmt: skip


def _rejects(rejects: Sequence[Reject]) -> Grid:
    return grid(
        "Rejected rows",
        (
            ("table", "name"), ("key", "code"), ("column", "name"), ("SQLSTATE", "code"),
            ("the target says", "words"), ("value, hex", "code"),
        ),
        [
            (one.table, one.key, one.column or "", one.sqlstate, one.message, _hex(one))
            for one in rejects[:_MOST_REJECTS]
        ],
    )  # fmt: skip


def _hex(one: Reject) -> str:
    shown = one.value[:_MOST_HEX]
    return shown if len(shown) == 2 * one.value_bytes else f"{shown}… ({one.value_bytes:,} bytes)"
