"""One document for all reports: a verdict, and sections of a few kinds of blocks.

What a plan, a run or a validation has to tell is reckoned once, by `plan`, `run` or `validation`. The writers
(`text`, `markdown`, `html`, `junit`) know the blocks below, and nothing of what they tell about.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from converge.model.finding import Finding
from converge.model.plan import Outcome
from converge.model.words import counted
from converge.report.findings import Findings, findings
from converge.report.words import Tone

Kind = Literal["name", "code", "number", "words"]
"""How the cells of a column are set."""


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
    unfolds: str = ""
    """What that is called."""
    pages: frozenset[str] = frozenset()
    """Columns for which a terminal has no room."""
    more: int = 0
    """Rows that are counted and not shown; the foot says how many."""

    @property
    def head(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """All rows as words, with the foot."""
        rows = (*self.rows, self.foot) if self.foot else self.rows
        return [tuple(map(str, row)) for row in rows]


@dataclass(frozen=True, slots=True)
class Bar:
    """A length on a scale: in words, and its start and width in hundredths of the whole."""

    words: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Bars:
    """A chart of bars: a row a thing, a bar for each of the scales."""

    title: str
    scales: tuple[str, ...]
    """What the bars of each column show; for a time line, how long the whole took."""
    rows: tuple[tuple[str, tuple[Bar, ...]], ...]
    timed: bool = False
    """Whether the bars are times on one line."""
    names: bool = False
    """Whether the rows are objects, by their names."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Something that goes up and down with time."""

    title: str
    words: str
    """What it shows, for those who do not see it."""
    heights: tuple[float, ...]
    """At equal distances, in hundredths of the greatest."""
    top: str
    """The greatest, in words."""
    end: str
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks under a title of their own, which a page may fold."""

    title: str
    blocks: tuple[Block, ...]
    count: int = 0
    open: bool = False
    name: bool = False
    """Whether the title is an object's name."""


Block = Words | Paste | Facts | Grid | Bars | Curve | Findings | Fold


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    blocks: tuple[Block, ...]
    nothing: str = ""
    """What the document's end says where there is no block: ``no row was rejected``."""
    tone: Tone = "quiet"
    """How urgent it is."""
    folded: bool = False
    """Whether it is for looking things up: pages fold it, and paper has its title."""
    on_pages: bool = False
    """Whether only pages have room for it."""

    @property
    def count(self) -> int | None:
        """How many things it lists; None where it lists none, or also tells something else.

        Beside folds a table only sums them up.
        """
        folds = [block for block in self.blocks if isinstance(block, Fold)]
        counts = [count for count in map(_count, folds or self.blocks) if count is not None]
        told = any(isinstance(block, Facts) for block in self.blocks)
        return None if told or not counts else sum(counts)


@dataclass(frozen=True, slots=True)
class Document:
    command: str
    subject: str
    """What it is about: ``db.example/shop → pg.example/shop``."""
    about: tuple[str, ...]
    """When and of which versions."""
    verdict: Verdict
    figures: tuple[tuple[Cell, str], ...]
    """What is read first: a number and its name."""
    all_sections: tuple[Section, ...]
    parts: tuple[tuple[str, Document], ...] = ()
    """Documents of several databases, by name."""
    advice: tuple[Words | Paste, ...] = ()
    """What to do next."""

    @property
    def sections(self) -> list[Section]:
        """Those that hold something, what is urgent first."""
        held = (one for one in self.all_sections if one.blocks)
        return sorted(held, key=lambda one: _RANKS.get(one.tone, len(_RANKS)))

    @property
    def nothing(self) -> str:
        """One sentence about the others."""
        return "; ".join(one.nothing for one in self.all_sections if one.nothing and not one.blocks)


_RANKS: dict[Tone, int] = {"bad": 0, "warn": 1}


def worst(tones: Iterable[Tone]) -> Tone:
    """The most urgent; quiet where there is none."""
    return min(tones, key=lambda tone: _RANKS.get(tone, len(_RANKS)), default="quiet")


def section(
    id_: str,
    title: str,
    *blocks: Block | None,
    nothing: str = "",
    tone: Tone = "quiet",
    folded: bool = False,
    on_pages: bool = False,
) -> Section:
    """A section of the blocks that hold something."""
    held = tuple(one for one in blocks if one and not _is_empty(one))
    return Section(id_, title, held, nothing, tone, folded, on_pages)


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
    count: int = 0,
) -> Grid:
    """A table without the columns that are empty in all rows; `count` where these are the first of more."""
    found = [tuple(row) for row in rows]
    if more := max(count - len(found), 0):
        foot = (f"and {more:,} more", *[""] * (len(columns) - 1))
    kept = [place for place in range(len(columns)) if place == 0 or any(str(row[place]) for row in found)]
    cut = [tuple(row[place] for place in kept) for row in (*found, tuple(foot)) if row]
    body, last = (cut[:-1], cut[-1]) if foot else (cut, ())
    head = tuple(columns[place] for place in kept)
    return Grid(title, head, tuple(body), last, anchored, pages=frozenset(pages), more=more)


def table_section(
    id_: str,
    title: str,
    columns: Sequence[tuple[str, Kind]],
    rows: Iterable[Sequence[Cell]],
    nothing: str,
    tone: Tone = "quiet",
    count: int = 0,
) -> Section:
    """A section that is one table."""
    return section(id_, title, grid(title, columns, rows, count=count), nothing=nothing, tone=tone)


def figure(count: int, one: str, more: str = "") -> tuple[Cell, str]:
    """A number and its name, singular or plural."""
    number, _, name = counted(count, one, more).partition(" ")
    return number, name


def toned(count: int, one: str, more: str = "", tone: Tone = "warn") -> tuple[Cell, str]:
    """A figure that is bad news unless it is 0."""
    number, name = figure(count, one, more)
    return (Mark(str(number), tone) if count else number), name


def missing_figures(not_migrated: int, losses: int) -> tuple[tuple[Cell, str], ...]:
    """What the target lacks."""
    absent = toned(not_migrated, "object not migrated", "objects not migrated")
    return absent, toned(losses, "loss", "losses")


def work_sections(found: Iterable[Finding], outcomes: Iterable[Outcome]) -> tuple[Section, ...]:
    """What needs work, by severity; all that is not migrated, by the code of the finding that says why if
    there is one; and the rest."""
    levels = findings(found).levels
    work = tuple(one for one in levels if one.tone != "quiet")
    told = {
        finding.object: group.code for level in work for group in level.groups for finding in group.findings
    }
    return (
        section("work", "What needs work", Findings(work), nothing="nothing blocks or is lost",
                tone=work[0].tone if work else "quiet"),
        table_section(
            "not-migrated",
            "Not migrated",
            (("kind", "words"), ("object", "name"), ("why", "words")),
            [(one.kind, one.name, told.get(one.name, one.why)) for one in outcomes],
            "",
            "warn",
        ),
        *(section(one.name, one.title, Findings((one,))) for one in levels if one.tone == "quiet"),
    )  # fmt: skip


def subject(source: str, target: str) -> str:
    """``db.example/shop → pg.example/shop``, without accounts."""
    return " → ".join(map(place, filter(None, (source, target))))


def place(url: str) -> str:
    """``db.example:3307/shop`` of an address; another text as it is."""
    _, scheme, rest = url.partition("://")
    return unquote(rest.rpartition("@")[2].partition("?")[0]) if scheme else url


def owner(name: str, tables: Collection[str]) -> str | None:
    """The table that an object's name begins with; a table's name may hold dots itself."""
    while name not in tables:
        name = name.rpartition(".")[0]
        if not name:
            return None
    return name


def _count(block: Block) -> int | None:
    match block:
        case Grid(rows=rows, more=more):
            return len(rows) + more
        case Findings(levels=levels):
            return sum(level.count for level in levels)
        case Fold(count=count):
            return count or 1
    return None


def _is_empty(block: Block) -> bool:
    match block:
        case Words(text=text) | Paste(text=text):
            return not text
        case Facts(pairs=values) | Grid(rows=values) | Bars(rows=values) | Curve(heights=values):
            return not values
        case Findings(levels=values) | Fold(blocks=values):
            return not values
