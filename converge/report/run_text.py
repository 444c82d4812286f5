"""A run, or a comparison, for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from converge.codes import Code
from converge.errors import first_of, listed
from converge.model.finding import Finding
from converge.model.result import OF_SCHEMA, OF_THE_RUN, Result
from converge.report.document import facts
from converge.report.findings import LEVELS
from converge.report.run import BEHIND, run_facts, run_tables
from converge.report.run_words import rows_differ, rows_that_differ, run_verdict, stand_words
from converge.report.text import to_text
from converge.report.words import beginning, seconds

_MOST_LINES = 20
"""Of rejected rows and of moved tables on a terminal."""
_MOST_NAMES = 8
"""Of objects that one line is about."""
_LONGEST = 1000
"""Of a line with both texts of an object; the report has all of it."""


def run_text(result: Result) -> str:
    """Tables, phases, findings, differences and the next command."""
    return to_text(run_verdict(result), run_tables(result), facts(*_lines(result)))


def _lines(result: Result) -> Iterator[tuple[str, str]]:
    """Labels and lines; one without words is left out."""
    known = dict(run_facts(result).pairs)
    of = {level: [one for one in result.findings if one.level == level] for level, *_ in LEVELS}
    own = [finding for finding in of["note"] if finding.code in OF_THE_RUN]
    unmatched = [finding for finding in of["note"] if finding.code == Code.M180]
    others = len(of["note"]) - len(own) - len(unmatched)
    yield "phases", ", ".join(f"{name} {seconds(took)}" for name, took in result.phases)
    yield from ((name, known.get(name, "")) for name in ("proof", "snapshot"))
    for change in result.changes:
        if not any(map(change.is_told_by, of["lossy"])):
            yield "changed", str(change)
    yield from (("rejected", line) for line in first_of([*map(str, result.rejects)], _MOST_LINES))
    yield from (("blocker", _coded(one)) for one in of["block"] if one.code not in OF_SCHEMA)
    yield from (("loss", beginning(f"{one.object}: {one.message}")) for one in of["lossy"])
    kinds = {one.name: one.kind for one in result.not_migrated}
    absent = (_absent(one, kinds.get(one.object, "")) for one in of["absent"])
    yield from (("not migrated", beginning(f"{names}: {words}")) for words, names in _alike(absent))
    yield from (("unmatched", beginning(f"{one.object}: {one.message}")) for one in unmatched)
    for one in own:
        yield "note", one.message
        if one.code in (Code.V118, Code.V119):
            yield from _each_table(one.evidence)
    yield "notes", f"{others}; {_notes_of(result)} has their reasons" if others else ""
    schema = [one for one in of["block"] if one.code in OF_SCHEMA]
    yield from (("differs", _coded(one)[:_LONGEST]) for one in schema)
    hints = dict.fromkeys(one.hint for one in schema)
    yield from (("hint", hint.splitlines()[0]) for hint in first_of(list(filter(None, hints)), _MOST_LINES))
    different = ((one.source, rows_that_differ(one)) for one in result.tables)
    yield from (("differs", f"{table}: {words}") for table, words in different if words)
    yield from (("differs", str(difference)) for difference in result.differences)
    uncompared = ((one.why, f"{one.kind} {one.name}") for one in result.left_uncompared)
    yield from (("not compared", f"{names}: {words}") for words, names in _alike(uncompared))
    yield from ((name, known.get(name, "")) for name in ("views", "checks"))
    yield from (("check", str(one)) for one in result.checks if one.state != "ok")
    if result.going_back:
        yield "back", stand_words(result.going_back)
        yield from (("moved", name) for name in first_of(result.going_back.tables, _MOST_LINES))
    behind = result.next_command in ("", BEHIND[1]) and rows_differ(result) and not result.cut_over
    yield "next", BEHIND[0] if behind else result.next_command


def _notes_of(result: Result) -> str:
    """The command that shows the notes; a run that has written nothing has none in the ledger."""
    if result.verdict in ("ready", "blocked"):
        return "converge plan --show findings"
    return (
        "converge report --verify -o run.html"
        if result.command == "verify"
        else "converge report -o run.html"
    )


def _each_table(evidence: str) -> Iterator[tuple[str, str]]:
    """A line a table of what a repair says of its rows, ``film: 1 inserted, 2 deleted``."""
    tables = evidence.split("; ")
    yield from (("rows", one) for one in tables[:_MOST_LINES])
    if len(tables) > _MOST_LINES:
        yield "rows", f"and {len(tables) - _MOST_LINES:,} more tables"


def _alike(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Words, and the names of all of which they are said; the first of many names."""
    names: dict[str, list[str]] = {}
    for words, name in pairs:
        names.setdefault(words, []).append(name)
    for words, found in names.items():
        yield words, listed(found, _MOST_NAMES)


def _absent(finding: Finding, kind: str) -> tuple[str, str]:
    """Why an object is not migrated, and what it is."""
    words = finding.message.removeprefix(f"{kind} is not migrated: ")
    return words, finding.object if finding.object.startswith(kind) else f"{kind} {finding.object}"


def _coded(finding: Finding) -> str:
    where = f"{finding.object}: " if finding.object else ""
    return beginning(f"{finding.code} {where}{finding.message}")
