"""One document for all reports: a verdict, and sections of a few kinds of blocks.

What a plan, a run or a validation has to tell is reckoned once, by `plan`, `run` or `validation`. The writers
(`text`, `markdown`, `html`, `junit`) know the blocks below, and nothing of what they tell about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from converge.codes import Code
from converge.model.plan import Finding, Outcome
from converge.model.words import counted
from converge.report.words import short

Tone = Literal["good", "warn", "bad", "quiet"]
Kind = Literal["name", "code", "number", "words"]
"""How the cells of a column are set."""

LEVELS: tuple[tuple[str, str, str, Tone], ...] = (
    ("block", "blocker", "Blockers", "bad"),
    ("lossy", "loss", "Losses", "warn"),
    ("absent", "not migrated", "Not migrated", "warn"),
    ("after", "after the cutover", "After the cutover", "quiet"),
    ("note", "note", "Notes", "quiet"),
)
"""What findings of one level are, singular and plural."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that is good or bad news; the word says it too, so color is never alone."""

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


# The blocks.


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Paste:
    """A command or statements, to be pasted."""

    text: str
    language: str = "sh"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they are; a pair without words is left out."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    title: str
    columns: tuple[tuple[str, Kind], ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[Cell, ...] = ()
    anchored: bool = False
    """Whether findings about what a row begins with link to it."""
    details: tuple[tuple[Grid, ...], ...] = ()
    """What each row unfolds to."""
    pages: frozenset[str] = frozenset()
    """Columns for which a terminal has no room."""

    @property
    def head(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """All rows as words, with the foot."""
        rows = (*self.rows, self.foot) if self.foot else self.rows
        return [tuple(map(str, row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Bars:
    """A time line: name, time in words, start and width in hundredths of the whole."""

    spans: tuple[tuple[str, str, float, float], ...]


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
    groups: tuple[Group, ...]
    more: int = 0
    """Findings that are counted and not shown."""

    @property
    def count(self) -> int:
        return sum(len(group.findings) for group in self.groups) + self.more

    def cut(self, most: int) -> Level:
        """The first findings of it; the others are counted."""
        groups, room = [], most
        for group in self.groups:
            if room > 0:
                groups.append(Group(group.code, group.findings[:room]))
                room -= len(group.findings)
        return replace(self, groups=tuple(groups), more=max(self.count - most, 0))


@dataclass(frozen=True, slots=True)
class Findings:
    """By severity, then by code; only what occurs."""

    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """Objects of one kind for which the same is to be said."""

    kind: str
    names: tuple[str, ...]
    why: str
    text: str = ""
    """The reason in full, when `why` is only its beginning."""


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks under a title of their own, which a page may fold."""

    title: str
    blocks: tuple[Block, ...]
    count: int = 0
    open: bool = False
    name: bool = False
    """Whether the title is an object's name."""


Block = Words | Paste | Facts | Grid | Bars | Findings | Items | Fold


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]
    nothing: str = ""
    """What to say where there is no block."""

    @property
    def count(self) -> int | None:
        """How many things it lists; None where it lists none."""
        counts = [count for count in map(_count, self.blocks) if count is not None]
        return sum(counts) if counts else None


@dataclass(frozen=True, slots=True)
class Document:
    command: str
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    """What is read first: a number and its name."""
    sections: tuple[Section, ...]
    parts: tuple[tuple[str, Document], ...] = ()
    """Documents of several databases, by name."""


def section(id_: str, title: str, *blocks: Block | None, nothing: str = "") -> Section:
    """A section of the blocks that hold something."""
    return Section(id_, title, tuple(one for one in blocks if one and not _is_empty(one)), nothing)


def facts(*pairs: tuple[str, str]) -> Facts:
    """Names and what they are; a pair without words is left out."""
    return Facts(tuple((name, words) for name, words in pairs if words))


def grid(
    title: str,
    columns: Sequence[tuple[str, Kind]],
    rows: Iterable[Sequence[Cell]],
    foot: Sequence[Cell] = (),
    *,
    anchored: bool = False,
    pages: Sequence[str] = (),
) -> Grid:
    """A table without the columns that are empty in all rows."""
    found = [tuple(row) for row in rows]
    kept = [place for place in range(len(columns)) if place == 0 or any(str(row[place]) for row in found)]
    cut = [tuple(row[place] for place in kept) for row in (*found, tuple(foot)) if row]
    body, last = (cut[:-1], cut[-1]) if foot else (cut, ())
    head = tuple(columns[place] for place in kept)
    return Grid(title, head, tuple(body), last, anchored, pages=frozenset(pages))


def table_section(
    id_: str, title: str, columns: Sequence[tuple[str, Kind]], rows: Iterable[Sequence[Cell]], nothing: str
) -> Section:
    """A section that is one table."""
    return section(id_, title, grid(title, columns, rows), nothing=nothing)


def findings(found: Iterable[Finding]) -> Findings:
    """Findings by level, then by code."""
    codes: dict[tuple[str, Code], list[Finding]] = {}
    for finding in found:
        codes.setdefault((finding.level, finding.code), []).append(finding)
    levels = []
    for name, _, title, tone in LEVELS:
        groups = (Group(code, tuple(codes[level, code])) for level, code in sorted(codes) if level == name)
        levels.append(Level(name, title, tone, tuple(groups)))
    return Findings(tuple(level for level in levels if level.groups))


def severities(found: Iterable[Finding]) -> Cell:
    """``2 blockers, 1 note``: how many there are of each that occurs, in the tone of the worst."""
    counts = Counter[str](finding.level for finding in found)
    levels = [
        (counted(counts[name], one, title.lower()), tone) for name, one, title, tone in LEVELS if counts[name]
    ]
    return Mark(", ".join(words for words, _ in levels), levels[0][1]) if levels else ""


def not_migrated(outcomes: Iterable[Outcome], nothing: str) -> Section:
    """Objects that the target will not have, by kind and reason."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        reasons.setdefault((outcome.kind, outcome.why), []).append(outcome.name)
    items = (
        Item(kind, tuple(names), short(why), why if short(why) != why else "")
        for (kind, why), names in reasons.items()
    )
    return section("not-migrated", "Not migrated", Items(tuple(items)), nothing=nothing)


def owner(name: str, tables: Collection[str]) -> str | None:
    """The table that an object's name begins with; a table's name may hold dots itself."""
    while name not in tables:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return name


def _count(block: Block) -> int | None:
    match block:
        case Grid(rows=rows):
            return len(rows)
        case Findings(levels=levels):
            return sum(level.count for level in levels)
        case Items(items=items):
            return len(items)
        case Fold(count=count) if count:
            return count
    return None


def _is_empty(block: Block) -> bool:
    match block:
        case Words(text=text) | Paste(text=text):
            return not text
        case Facts(pairs=values) | Grid(rows=values) | Bars(spans=values):
            return not values
        case Findings(levels=values) | Items(items=values) | Fold(blocks=values):
            return not values
