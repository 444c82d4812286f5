"""A document's blocks for stdout: the verdict first and last, and what stands out between.

On a terminal, lines are wrapped at its width and colored by severity; elsewhere they are whole and plain, so
that other programs can read them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from shutil import get_terminal_size
from textwrap import wrap
from typing import TextIO

import click

from converge.model.finding import Finding
from converge.report.document import Block, Cell, Facts, Fold, Grid, Mark, Paste, Verdict, Words
from converge.report.findings import Findings, Group
from converge.report.words import Tone, one_line, short, visible

TO_PASTE: ContextVar[Callable[[str], str]] = ContextVar("TO_PASTE", default=str)
"""Completes the commands of a hint, so that they can be pasted: by the options of the command that is run."""
_PART = " · "
_LONGEST_LABEL = 10
_NARROWEST = 40
"""Columns of a terminal: lines do not get shorter than that."""
_LEAST_ROOM = 16
"""Characters of a table's column whose cells are wrapped; with less, each row becomes a list."""
_COLORS: dict[Tone, str] = {"good": "green", "warn": "yellow", "bad": "red", "quiet": "cyan"}
_LABELS: dict[str, Tone] = {
    "blocker": "bad", "differs": "bad", "rejected": "bad", "check": "bad", "error": "bad",
    "loss": "warn", "not migrated": "warn", "changed": "warn", "unmatched": "warn",
    "note": "quiet", "notes": "quiet",
}  # fmt: skip
"""Labels of facts that are good or bad news."""


def to_text(verdict: Verdict, *blocks: Block | str) -> str:
    """The blocks between the verdict and the verdict. A string is a text that is made already.

    Facts beside a verdict stand with it, as it has a label like theirs. The second verdict is one line: on a
    terminal it ends after the parts that fit.
    """
    screen = Screen.of(sys.stdout)
    line = end = screen.verdict(verdict)
    parts = verdict.words.split(_PART)
    while len(end) > 1 and len(parts) > 1:
        parts.pop()
        end = screen.verdict(replace(verdict, words=_PART.join(parts)))
    paragraphs = [
        (isinstance(block, Facts), block.splitlines() if isinstance(block, str) else [*screen.lines(block)])
        for block in blocks
    ]
    paragraphs = [(is_facts, lines) for is_facts, lines in paragraphs if lines]
    first, last = (paragraphs[0][0], paragraphs[-1][0]) if paragraphs else (True, True)
    middle = _joined([lines for _, lines in paragraphs])
    return "\n".join([*line, *[""] * (not first), *middle, *[""] * (not last), *end])


def fitted(texts: Iterable[str], lines: int) -> str:
    """The first of the texts that has at most so many lines; the last where none has."""
    text = ""
    for text in texts:
        if text.count("\n") < lines:
            break
    return text


def brief(found: Findings, *, fixes: bool = True) -> Findings:
    """Findings as a screen has room for them: what was seen stands beside the message, and of a fix, where
    fixes are wanted, only its first way, in one line."""

    def one(finding: Finding) -> Finding:
        way = finding.hint.partition("\n# or")[0].splitlines() if fixes else []
        if way and way[0].startswith("[["):
            settings = (line for line in way if line and not line.startswith(("[[", "match ")))
            way = ["; ".join(dict.fromkeys(settings))]
        seen = f" ({finding.evidence})" if finding.evidence else ""
        message = finding.message + seen if fixes else short(finding.message)
        return replace(finding, message=message, evidence="", hint="".join(way[:1]))

    def group(of: Group) -> Group:
        return replace(of, findings=tuple(map(one, of.findings)))

    levels = (replace(level, groups=tuple(map(group, level.groups))) for level in found.levels)
    return replace(found, levels=tuple(levels))


def table(grid: Grid) -> list[str]:
    """Lines of a table, without the columns that only pages show; numbers are aligned right."""
    return [*Screen.of(sys.stdout).table(grid)]


def on_terminal() -> bool:
    """Whether stdout is read by a person, who sees a screen of it, and not by a program or from a file."""
    return sys.stdout.isatty()


class Screen:
    """Writes blocks as lines of a width, with colors or without."""

    def __init__(self, width: int = sys.maxsize, *, color: bool = False) -> None:
        self._width, self._color = width, color

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """The terminal's width and, without NO_COLOR (no-color.org), colors; off a terminal neither."""
        if not stream.isatty():
            return cls()
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return cls(max(get_terminal_size().columns, _NARROWEST), color=not plain)

    def verdict(self, verdict: Verdict) -> list[str]:
        """Its word and its words, in its color."""
        lines = self._fact("verdict", f"{verdict.word}: {verdict.words}", 9)
        return [self.paint(line, verdict.tone, bold=True) for line in lines]

    def lines(self, block: Block) -> Iterator[str]:
        """All lines of a block."""
        match block:
            case Words(text=words) | Paste(text=words):
                for line in visible(words).splitlines():
                    yield from self.flow(line, hang=len(line) - len(line.lstrip()))
            case Facts():
                yield from self._facts(block)
            case Grid(rows=rows) if rows:
                yield from self.table(block)
            case Fold(title=title, blocks=blocks):
                yield from self.flow(one_line(title))
                yield from self._inside(blocks)
            case Findings():
                yield from self._findings(block)

    def table(self, grid: Grid) -> Iterator[str]:
        """One line a row where there is room.

        Else the last column is wrapped, or a long name gets a line of its own; in the end each row is a list.
        """
        shown = [number for number, name in enumerate(grid.head) if name not in grid.pages]
        rows = [[row[number] for number in shown] for row in (grid.head, *grid.rows, grid.foot) if row]
        kinds = [grid.columns[number][1] for number in shown]
        widths = [max(len(one_line(str(row[place]))) for row in rows) for place in range(len(shown))]
        if (over := sum(widths) + 2 * len(widths) - 2 - self._width) > 0:
            for place in (-1, 0):
                if kinds[place] != "number" and widths[place] - over >= _LEAST_ROOM:
                    widths[place] -= over
                    break
            else:
                yield from self._lists(rows)
                return
        signs = [">" if kind == "number" else "<" for kind in kinds]
        for row in rows:
            yield from self._row(row, [*zip(signs, widths, strict=True)])

    def _row(self, row: Sequence[Cell], shape: Sequence[tuple[str, int]]) -> Iterator[str]:
        line, begin = "", 0
        for number, (cell, (sign, width)) in enumerate(zip(row, shape, strict=True)):
            words, tone = one_line(str(cell)), cell.tone if isinstance(cell, Mark) else None
            space = " " * (width - len(words))
            if number == len(row) - 1:
                first, *others = self.flow(words, begin * " ", begin)
                words = first.lstrip()
                yield (line + (space if sign == ">" else "") + self.paint(words, tone)).rstrip()
                yield from (" " * begin + self.paint(other.lstrip(), tone) for other in others)
            elif number == 0 and len(words) > width:
                yield words
                line = " " * (width + 2)
            else:
                words = self.paint(words, tone)
                line += (space + words if sign == ">" else words + space) + "  "
            begin += width + 2

    def _lists(self, rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
        """Each row's first cell, and below it the others by their names."""
        head, *body = rows
        for row in body:
            pairs = (
                (str(name), str(cell)) for name, cell in zip(head[1:], row[1:], strict=True) if str(cell)
            )
            yield from self.flow(one_line(str(row[0])))
            yield from self._inside([Facts(tuple(pairs))])

    def _inside(self, blocks: Iterable[Block]) -> Iterator[str]:
        screen = Screen(self._width - 2, color=self._color)
        yield from (
            f"  {line}".rstrip() for line in _joined(filter(None, ([*screen.lines(one)] for one in blocks)))
        )

    def _facts(self, facts: Facts) -> Iterator[str]:
        """A line for each: the label, padded to the longest, and the words."""
        width = max((len(name) for name, _ in facts.pairs if len(name) <= _LONGEST_LABEL), default=0)
        for name, words in facts.pairs:
            first, *others = self._fact(name, one_line(words), max(width, 9))
            yield self.paint(name, _LABELS.get(name)) + first[len(name) :]
            yield from others

    def _fact(self, name: str, words: str, width: int) -> list[str]:
        label = f"{name:<{width}} " if len(name) <= _LONGEST_LABEL else f"{name}: "
        words = TO_PASTE.get()(words) if name in ("next", "notes") else words
        if name != "next" or not words.startswith("converge "):
            return self.flow(words, label, width + 1)
        # A command stays one command when it is pasted: its lines end between options, with a backslash.
        lines = self.flow(re.sub(" (?!-)", "\0", words), label, width + 1, " \\")
        return [line.replace("\0", " ") for line in lines]

    def _findings(self, found: Findings) -> Iterator[str]:
        for number, level in enumerate(found.levels):
            title = level.heading.upper() if level.tone == "bad" else level.heading.lower()
            yield from ("",) * bool(number)
            yield self.paint(f"{title} ({level.count:,})", level.tone, bold=True)
            for group in level.groups:
                for finding in group.findings:
                    yield from self._finding(finding, level.tone, found.clipped)
            if level.more:
                yield f"  … and {level.more:,} more: {found.all}"

    def _finding(self, finding: Finding, tone: Tone, clipped: bool) -> Iterator[str]:
        said = " ".join(f"{one_line(finding.object)}: {finding.message}".split())
        first, *others = self._clip(self.flow(visible(said), f"  {finding.code}  ", 8), clipped)
        yield first.replace(finding.code, self.paint(finding.code, tone), 1)
        yield from others
        if finding.evidence:
            for number, line in enumerate(finding.evidence.splitlines()):
                label = " " * 14 if number else "        seen  "
                yield from self.flow(visible(" ".join(line.split())), label, 14)
        yield from self._clip(self.hint(finding.hint, "        hint  "), clipped)

    def _clip(self, lines: list[str], clipped: bool) -> list[str]:
        """The first line, and a sign that others were cut, if they are to be."""
        return lines if not clipped or len(lines) < 2 else [f"{lines[0][: self._width - 2].rstrip()} …"]

    def hint(self, words: str, first: str) -> list[str]:
        """A fix after `first`. One of several lines is a rule or statements, to be pasted as they are."""
        lines = visible(TO_PASTE.get()(words)).splitlines()
        if len(lines) > 1:
            return [first + lines[0], *(" " * len(first) + line for line in lines[1:])]
        return [part for line in lines for part in self.flow(line, first, len(first) + 2)]

    def flow(self, words: str, first: str = "", hang: int = 0, end: str = "") -> list[str]:
        """The words after `first`, wrapped between words; further lines begin at the column `hang`.

        Lines that go on end with `end`.
        """
        if len(first) + len(words) <= self._width:
            return [(first + words).rstrip()]
        lines = wrap(
            words, self._width - len(end), initial_indent=first, subsequent_indent=" " * hang,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
        return [line + end for line in lines[:-1]] + lines[-1:]

    def paint(self, text: str, tone: Tone | None, *, bold: bool = False) -> str:
        """The text in the color of good or bad news; as it is without a tone or without colors."""
        return (
            click.style(text, fg=_COLORS[tone], bold=bold or None) if self._color and tone and text else text
        )


def _joined(paragraphs: Iterable[Sequence[str]]) -> list[str]:
    """All lines, with an empty one between paragraphs."""
    return [line for lines in paragraphs for line in ("", *lines)][1:]
