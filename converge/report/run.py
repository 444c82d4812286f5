"""A run, or a comparison, as a document."""

from __future__ import annotations

from collections.abc import Iterator

from converge.codes import Code
from converge.model.check import State as CheckState
from converge.model.result import (
    OF_CHECKS,
    Difference,
    Reject,
    Result,
    TableResult,
)
from converge.model.result import Verdict as Word
from converge.model.words import counted
from converge.report.charts import copy_line, pace_curve, phase_line, size_bars
from converge.report.document import (
    Block,
    Cell,
    Document,
    Facts,
    Fold,
    Grid,
    Mark,
    Paste,
    Section,
    Words,
    facts,
    figure,
    grid,
    missing_figures,
    section,
    subject,
    table_section,
    toned,
    work_sections,
    worst,
)
from converge.report.run_words import (
    SNAPSHOTS,
    checks_words,
    equality,
    only_checks,
    proof_words,
    rows_differ,
    rows_that_differ,
    run_verdict,
    stand_words,
    tables_equal,
    views_words,
)
from converge.report.words import Tone, moment, seconds, sentence, size

_MOST_REJECTS = 1000
_MOST_HEX = 64

CHECK_TONES: dict[CheckState, Tone] = {"ok": "good", "differs": "bad", "error": "bad", "skipped": "warn"}
_VIEW_TONES: dict[str, Tone] = {"equal": "good", "differs": "bad", "not compared": "warn"}
_GO_ON = (
    "The ledger holds what is done: a resumed run continues there and copies nothing twice.",
    "converge migrate --resume",
)
_REPAIR = (
    "Repair what the target refused, in the source or in the target's type; a resumed run then loads it.",
    "converge migrate --resume --on-bad-row reject",
)
_NEXT: dict[Word, tuple[str, str]] = {
    "verified": (
        "The data is verified. Before the cutover, verify again if the source is still written to.",
        "converge verify",
    ),
    "migrated": ("The values have not been compared: the proof is missing.", "converge verify"),
    "differs": ("Find out why the differences exist, then verify again.", "converge verify"),
    "blocked": ("Resolve the blockers, then plan again.", "converge plan"),
    "failed": _GO_ON,
    "interrupted": _GO_ON,
}
BEHIND = (
    "`converge verify --repair` replaces the rows that differ by the source's; where the source was written "
    "to since the run, `converge sync` brings the whole target up to date.",
    "converge verify --repair",
)
_READ_ONLY = (
    "The run has only read the source: its sessions there are read only, so the server itself refuses "
    "whatever would write."
)
_AFTER_CUTOVER = "Cut over at {}: the target is the application's, and nothing replaces its rows."
_BACK = (
    "To go back, give the application the source's address again. What it has written to the target since "
    "the cutover is in the source only after `converge rollback --apply`."
)


def run_document(result: Result) -> Document:
    """All of a run that people read."""
    words, command = _REPAIR if result.rejects else _NEXT.get(result.verdict, ("", ""))
    if rows_differ(result):
        words, command = BEHIND
    if result.cut_over:
        words, command = f"{_AFTER_CUTOVER.format(result.cut_over)} {_BACK}", "converge status"
    if only_checks(result):
        words = "Find out why the check fails, then verify again."
    own = [one for one in result.findings if one.code not in OF_CHECKS]
    nothing = "no values were compared"
    if result.verdict in ("verified", "differs") and all(one.verified for one in result.tables):
        nothing = "no row differs"
    elif any(one.verified or equality(result, one).tone == "bad" for one in result.tables):
        nothing = ""
    if any(one.code == Code.V117 and one.severity == "block" for one in result.findings):
        nothing = "the report of the later comparison has the rows that differ"
    work, absent, *rest = work_sections(own, result.not_migrated)
    versions = f"MySQL {result.source_version} → PostgreSQL {result.target_version}"
    return Document(
        result.command,
        subject(result.source, result.target),
        (moment(result.started), versions if result.source_version else ""),
        run_verdict(result),
        _figures(result),
        (
            section("differences", "Differences", *_differences(result), nothing=nothing, tone="bad"),
            _rejects(result),
            work,
            absent,
            section("facts", "Facts", run_facts(result)),
            section("time", "Time and size", *_charts(result)),
            section("tables", "Tables", run_tables(result), nothing="no table was reached"),
            *_compared(result),
            _changes(result),
            _back(result),
            *rest,
        ),
        advice=(Words(words), Paste(result.next_command or command)),
    )  # fmt: skip


# The sections.


def _compared(result: Result) -> Iterator[Section]:
    """What a comparison has found apart from rows, and what it did not look at."""
    yield table_section(
        "checks",
        "Checks",
        (("check", "words"), ("result", "words"), ("wants", "words"), ("source", "code"), ("target", "code"),
         ("what is wrong", "words"), ("why", "words")),
        [
            (one.name, Mark(one.state, CHECK_TONES[one.state]), one.wants, one.source or "", one.target or "",
             one.message, one.why)
            for one in result.checks
        ],
        "the maps declare no checks",
        worst(CHECK_TONES[one.state] for one in result.checks),
    )  # fmt: skip
    yield table_section(
        "not-compared",
        "Not compared",
        (("kind", "words"), ("name", "name"), ("why", "words")),
        [(one.kind, one.name, one.why) for one in result.not_compared],
        "",
        "warn",
    )
    yield table_section(
        "views",
        "Views",
        (("view or index", "name"), ("target", "name"), ("rows", "number"), ("time", "number"),
         ("equal", "words"), ("why", "words")),
        [
            (one.name, one.target, "" if one.rows_source is None else f"{one.rows_source:,}",
             seconds(one.seconds), Mark(one.state, _VIEW_TONES[one.state]), one.why)
            for one in result.views
        ],
        "no view was compared",
        worst(_VIEW_TONES[one.state] for one in result.views),
    )  # fmt: skip


def _changes(result: Result) -> Section:
    return table_section(
        "changes",
        "Declared value changes",
        (("table", "name"), ("column", "name"), ("rows", "number"), ("which", "words"),
         ("policy", "code"), ("becomes", "code")),
        [
            (one.table, one.column, f"{one.rows:,}", f"rows {one.words}", one.trap, one.policy)
            for one in result.changes
        ],
        "no value was changed",
    )  # fmt: skip


def _rejects(result: Result) -> Section:
    return table_section(
        "rejects",
        "Rejected rows",
        (("table", "name"), ("key", "code"), ("column", "name"), ("SQLSTATE", "code"),
         ("the target says", "words"), ("value, hex", "code")),
        [
            (one.table, one.key, one.column or "", one.sqlstate, one.message, _hex(one))
            for one in result.rejects[:_MOST_REJECTS]
        ],
        "no row was rejected",
        "bad",
        len(result.rejects),
    )  # fmt: skip


def _charts(result: Result) -> Iterator[Block | None]:
    yield phase_line(result.phases)
    yield pace_curve(result.pace)
    yield copy_line(result.tables)
    sizes = [
        (one.source, one.bytes, (one.rows_source if one.rows_written is None else one.rows_written) or 0)
        for one in result.tables
    ]
    yield size_bars("Largest tables", sizes)


def _figures(result: Result) -> tuple[tuple[Cell, str], ...]:
    tables = result.tables
    copied = any(one.rows_read is not None for one in tables)
    rows = sum((one.rows_written if copied else one.rows_source) or 0 for one in tables)
    # A comparison of their numbers has looked at no row.
    compared = any(one.verified or one.unequal for one in tables)
    did = "written" if copied else "compared" if compared else "counted"
    figures: list[tuple[Cell, str]] = [
        figure(len(tables), "table"),
        figure(rows, f"row {did}", f"rows {did}"),
    ]
    if copied:
        figures.append((size(sum(one.bytes for one in tables)), "copied"))
        figures.append(
            toned(sum(one.rows_rejected for one in tables), "row rejected", "rows rejected", "bad")
        )
    equal = sum(one.verified for one in tables)
    different = any(equality(result, one).tone == "bad" for one in tables)
    share = f"{equal:,} of {len(tables):,}"
    return (
        *figures,
        (Mark(share, "bad") if different else share, "tables equal"),
        (seconds(sum(took for _, took in result.phases)), "in total"),
        *missing_figures(len(result.not_migrated), result.losses),
    )


def run_facts(result: Result) -> Facts:
    return facts(
        ("source", f"MySQL {result.source_version} {result.source}".replace("  ", " ")),
        ("target", f"PostgreSQL {result.target_version} {result.target}".replace("  ", " ")),
        ("proof", proof_words(result)),
        ("snapshot", f"{result.snapshot}: {SNAPSHOTS[result.snapshot]}" if result.snapshot else ""),
        ("began", moment(result.started)),
        ("copy", _speed(result)),
        ("views", views_words(result.views)),
        ("checks", checks_words(result.checks)),
    )


def _speed(result: Result) -> str:
    took = dict(result.phases).get("copy", 0)
    count = sum(one.bytes for one in result.tables)
    rows = sum(one.rows_written or 0 for one in result.tables)
    if not took or not count:
        return ""
    return f"{counted(rows, 'row')}, {size(count)} in {seconds(took)}: {size(count / took)} a second"


def run_tables(result: Result) -> Grid:
    tables = result.tables
    foot = TableResult(counted(len(tables), "table"), "")
    if any(one.rows_read is not None for one in tables):
        foot.rows_read = sum(one.rows_read or 0 for one in tables)
        foot.rows_written = sum(one.rows_written or 0 for one in tables)
        foot.rows_rejected = sum(one.rows_rejected for one in tables)
        foot.bytes = sum(one.bytes for one in tables)
        foot.seconds = sum(one.seconds for one in tables)
    return grid(
        "Tables",
        (
            ("table", "name"), ("target", "name"), ("read", "number"), ("written", "number"),
            ("rejected", "number"), ("bytes", "number"), ("seconds", "number"), ("equal", "number"),
        ),
        [_table(one, equality(result, one)) for one in tables],
        _table(foot, tables_equal(result)) if tables else (),
        anchored=True,
        pages=("target",),
    )  # fmt: skip


def _table(one: TableResult, equal: Cell) -> tuple[Cell, ...]:
    copied: tuple[Cell, ...] = ("",) * 5
    if one.rows_read is not None:
        lost = Mark(f"{one.rows_rejected:,}", "bad") if one.rows_rejected else "0"
        rows = f"{one.rows_read:,}", f"{one.rows_written or 0:,}", lost
        copied = (*rows, size(one.bytes), f"{one.seconds:.2f}")
    return (one.source, one.target, *copied, equal)


def _differences(result: Result) -> Iterator[Fold]:
    """A table of differences for each table that has some; the first three are open."""
    counts = {one.source: rows_that_differ(one) for one in result.tables}
    found: dict[str, list[Difference]] = {}
    for difference in result.differences:
        found.setdefault(difference.table, []).append(difference)
    for number, (name, rows) in enumerate(found.items()):
        title = f"{name}: {counts[name]}" if counts.get(name) else name
        table = grid(
            title,
            (("key", "code"), ("column", "name"), ("source", "code"), ("target", "code")),
            [
                (one.key, one.column or "the row", _value(one, one.source), _value(one, one.target))
                for one in rows
            ],
        )
        yield Fold(title, (table,), len(rows), open=number < 3, name=True)


def _value(one: Difference, text: str | None) -> Cell:
    if text is not None:
        # Quoted, so that spaces at the ends and signs without ink are seen.
        return text if one.column is None else repr(text)
    return Mark("no such row", "bad") if one.column is None else Mark("NULL", "quiet")


def _hex(one: Reject) -> str:
    shown = one.value[:_MOST_HEX]
    return shown if len(shown) == 2 * one.value_bytes else f"{shown}… ({one.value_bytes:,} bytes)"


def _back(result: Result) -> Section:
    """The way back to the source, which may be read long after the run."""
    blocks: list[Block] = []
    if (back := result.going_back) is not None:
        stand = f"As of the end of this run, which began at {moment(result.started)}, {stand_words(back)}"
        blocks += map(Words, (_READ_ONLY, sentence(stand), _BACK))
        blocks.append(
            grid("Changed since the snapshot", (("table", "name"),), [(one,) for one in back.tables])
        )
    return section("going-back", "Rollback", *blocks)
