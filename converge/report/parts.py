"""What the reports are made of, as plain values: text, Markdown and HTML only lay them out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from converge.codes import Code
from converge.model.plan import Finding, Outcome
from converge.report.units import counted

Tone = Literal["good", "warn", "bad", "quiet"]
Kind = Literal["name", "code", "number", "words"]

LEVELS: tuple[tuple[str, str, Tone], ...] = (
    ("block", "Blocks", "bad"),
    ("lossy", "Losses", "warn"),
    ("absent", "Not migrated", "warn"),
    ("note", "Notes", "quiet"),
)
_COUNTED = {
    "block": ("block", "blocks"), "lossy": ("loss", "losses"),
    "absent": ("not migrated", "not migrated"), "note": ("note", "notes"),
}  # fmt: skip
_LINE = 160
_LONGEST = 300
"""Of one line on a terminal."""
# What a terminal would obey, what turns a text around (Unicode Standard Annex 9), ends a line or is not seen,
# and what XML 1.0 cannot hold at all.
_TURNS = "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_CONTROLS = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_TURNS}\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that is good or bad news; the word says it too, so colour is never alone."""

    word: str
    tone: Tone

    def __str__(self) -> str:
        return self.word


Cell = str | Mark


@dataclass(frozen=True, slots=True)
class Verdict:
    word: str
    words: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of any writer: its columns' kinds say how they are set."""

    title: str
    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()

    @property
    def head(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """All rows as words, with the foot."""
        rows = (*self.rows, self.foot) if self.foot else self.rows
        return [tuple(str(cell) for cell in row) for row in rows]


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one code. What all of them share is said once."""

    code: Code
    findings: tuple[Finding, ...]

    @property
    def message(self) -> str:
        """The message, when it is the same for all."""
        return self._shared([finding.message for finding in self.findings])

    @property
    def hint(self) -> str:
        return self._shared([finding.hint for finding in self.findings])

    @property
    def first(self) -> str:
        return short(self.findings[0].message)

    @property
    def names_only(self) -> bool:
        """Whether the findings say nothing of their own but the object."""
        same = bool(self.message) and len({finding.hint for finding in self.findings}) == 1
        return same and not any(finding.evidence for finding in self.findings)

    def _shared(self, words: Sequence[str]) -> str:
        return words[0] if len(set(words)) == 1 else ""


@dataclass(frozen=True, slots=True)
class Level:
    """The findings of one severity; what is not migrated is apart from losses."""

    name: str
    title: str
    tone: Tone
    count: int
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """Objects of one kind that are not migrated for the same reason."""

    kind: str
    names: tuple[str, ...]
    why: str
    text: str
    """The reason in full, when `why` is only its beginning."""


def grid(
    title: str,
    columns: Sequence[tuple[str, Kind]],
    rows: Iterable[Sequence[Cell]],
    foot: Sequence[Cell] = (),
) -> Grid:
    """A table without the columns that are empty in all rows."""
    found = [tuple(row) for row in rows]
    kept = [place for place in range(len(columns)) if place == 0 or any(str(row[place]) for row in found)]
    cut = [tuple(row[place] for place in kept) for row in (*found, tuple(foot)) if row]
    body, last = (cut[:-1], cut[-1]) if foot else (cut, ())
    return Grid(title, tuple(columns[place] for place in kept), tuple(body), last)


def levels(findings: Sequence[Finding]) -> tuple[Level, ...]:
    """Findings by level, then by code; only levels that occur."""
    made = []
    for name, title, tone in LEVELS:
        codes: dict[Code, list[Finding]] = {}
        for finding in findings:
            if finding.level == name:
                codes.setdefault(finding.code, []).append(finding)
        groups = tuple(Group(code, tuple(found)) for code, found in sorted(codes.items()))
        if groups:
            made.append(Level(name, title, tone, sum(map(len, codes.values())), groups))
    return tuple(made)


def severities(findings: Iterable[Finding]) -> tuple[Mark, ...]:
    """``2 blocks``, ``1 note``: how many there are of each that occurs."""
    counts = Counter[str](finding.level for finding in findings)
    return tuple(
        Mark(counted(counts[name], *_COUNTED[name]), tone) for name, _, tone in LEVELS if counts[name]
    )


def left_behind(outcomes: Iterable[Outcome]) -> tuple[Left, ...]:
    """Objects that are not migrated, by kind and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        reasons.setdefault((outcome.kind, outcome.why), []).append(outcome.name)
    return tuple(
        Left(kind, tuple(names), short(why), why if short(why) != why else "")
        for (kind, why), names in reasons.items()
    )


def owner(name: str, tables: Collection[str]) -> str | None:
    """The table that an object's name begins with; a table's name may hold dots itself."""
    while name not in tables:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return name


def short(text: str, limit: int = _LINE) -> str:
    """The text's beginning, as one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rstrip() + " …"


def beginning(text: str) -> str:
    """The first line for a terminal; how much more there is, the report has."""
    first, *others = text.splitlines() or [""]
    if others := [line for line in others if line.strip()]:
        more = f" … {counted(len(others), 'more line')}: in the report"
    elif len(first) > _LONGEST:
        more = f" … {len(first) - _LONGEST:,} more characters: in the report"
    else:
        more = ""
    return one_line(first[:_LONGEST] + more)


def sentence(words: str) -> str:
    """With a capital at its beginning and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def visible(text: str) -> str:
    """Control characters as their pictures: a name cannot command a terminal or break a document."""
    return _CONTROLS.sub(_picture, text)


def one_line(text: str) -> str:
    """The same for tabs and line ends: a name cannot look like a line of ours."""
    return visible(text.replace("\n", "␊").replace("\r", "␍").replace("\t", "␉"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + code) if code < 0x20 else "␡"
    return f"\\u{code:04x}" if re.match(f"[{_TURNS}]", match[0]) else "\ufffd"
