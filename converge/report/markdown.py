"""A document as Markdown that holds any text: names and values of a database are never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from converge.report.document import (
    Bars,
    Block,
    Cell,
    Curve,
    Document,
    Facts,
    Fold,
    Grid,
    Kind,
    Mark,
    Paste,
    Section,
    Words,
)
from converge.report.findings import Findings, Group
from converge.report.words import COMMAND, sentence, short, visible

_MARKUP = re.compile(r"([\\`*\[\]<>|&])")
_NEEDS_HTML = re.compile("[`<]")
_MEANS = re.compile(r"[\\`*_~\[\]()<>|&!:@]")
_RUNS = re.compile("`+")
_LONGEST = 300
"""Characters of a message; a longer one is folded behind its beginning."""


def to_markdown(document: Document, name: str = "") -> str:
    """The document, with the database's name in its title where there are several.

    What is urgent stands open; the rest is folded, where Markdown's reader can fold.
    """
    title = f"converge {document.command}: {document.verdict.word}"
    lines = [f"# {words(name)}: {title}" if name else f"# {title}", "", sentence(document.verdict.words)]
    lines += ["", " · ".join(filter(None, (code(document.subject), *document.about)))]
    lines += ["", " · ".join(f"{value} {name}" for value, name in document.figures)]
    for block in document.advice:
        lines += ["", *_trimmed(_lines(block))]
    for section in document.sections:
        if not section.on_pages:
            lines += _section(section)
    if document.nothing:
        lines += ["", f"Nothing to show: {document.nothing}."]
    parts = (to_markdown(part, name) for name, part in document.parts)
    return "\n\n".join(["\n".join(lines).rstrip(), *parts]).rstrip() + "\n"


def words(text: str) -> str:
    """Plain words on one line; their commands are code."""
    plain, *others = COMMAND.split(" ".join(visible(text).split()))
    parts = (code(part) if number % 2 == 0 else _escaped(part) for number, part in enumerate(others))
    return "".join([_escaped(plain), *parts])


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)


def code(text: str) -> str:
    """A code span on one line."""
    line = " ".join(visible(text).split())
    if not _NEEDS_HTML.search(line):
        return f"`{line}`" if line else ""
    # Nothing can be escaped inside a span: so a tag, and all that could mean something as a number.
    return f"<code>{_MEANS.sub(lambda match: f'&#{ord(match[0])};', line)}</code>"


def _section(section: Section) -> Iterator[str]:
    open_ = section.tone in ("bad", "warn")
    title = section.title if section.count is None else f"{section.title} ({section.count:,})"
    yield from ("", f"## {title}" if open_ else f"<details><summary>{title}</summary>", "")
    for number, block in enumerate(section.blocks):
        yield from ("",) * bool(number)
        yield from _trimmed(_lines(block, alone=len(section.blocks) == 1))
    yield from () if open_ else ("", "</details>")


def _lines(block: Block, *, alone: bool = False) -> Iterator[str]:
    """The lines of a block; a table that is not `alone` in its section has its title above it."""
    match block:
        case Words(text=text):
            yield words(text)
        case Paste(text=text, language=language):
            yield from _fence(text, language)
        case Facts(pairs=pairs):
            yield from (f"- {name}: {words(value)}" for name, value in pairs)
        case Bars(title=title, rows=rows, names=names):
            yield from (f"{title}:", "")
            for name, bars in rows:
                yield f"- {code(name) if names else words(name)}: {', '.join(bar.words for bar in bars)}"
        case Curve(title=title, words=said):
            yield f"{title}: {said}"
        case Grid(title=title):
            if not alone:
                yield from (f"### {words(title)}", "")
            yield from _table(block)
        case Findings():
            yield from _findings(block)
        case Fold(title=title, blocks=blocks, count=count, name=name):
            yield from ("", f"### {code(title) if name else words(title)}" + f" ({count:,})" * bool(count))
            for inner in blocks:
                yield from ("", *_trimmed(_lines(inner, alone=True)))


def _table(grid: Grid) -> Iterator[str]:
    kinds = [kind for _, kind in grid.columns]
    yield _row(words(name) for name in grid.head)
    yield _row("---:" if kind == "number" else "---" for kind in kinds)
    yield from (_row(map(_cell, row, kinds)) for row in grid.rows)
    if grid.foot:
        yield _row(words(str(cell)) for cell in grid.foot)
    for row, details in zip(grid.rows, grid.details, strict=False):
        yield from ("", f"### {code(str(row[0]))}")
        for one in details:
            yield from ("", *_table(one))


def _findings(found: Findings) -> Iterator[str]:
    """By severity, then by code; what all findings of a code share is said once."""
    for level in found.levels:
        yield from ("", f"### {level.heading} ({level.count:,})")
        for group in level.groups:
            yield from ("", f"#### {group.code} ({len(group.findings):,})", "")
            yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    if group.message:
        yield from (words(group.message), "")
    for one in group.findings:
        long = len(one.message) > _LONGEST
        message = "" if group.message else f": {words(short(one.message) if long else one.message)}"
        first, *others = one.evidence.splitlines() or [""]
        end = "" if not message or message.endswith((".", "…")) else "."
        seen = f"{end} Seen: {words(first)}" if first and not others else f"{end} Seen:" if others else ""
        yield f"- {code(one.object)}{message}{seen}"
        yield from (f"  - {words(line)}" for line in (first, *others) if others)
        if long and not group.message:
            whole = ("<details><summary>whole</summary>", *_fence(one.message), "</details>")
            yield from (f"  {line}".rstrip() for line in whole)
        if one.hint and not group.hint:
            yield from (f"  {line}".rstrip() for line in _fence(one.hint))
    if group.hint:
        yield from _fence(group.hint)


def _fence(text: str, language: str = "") -> list[str]:
    """A block of code."""
    longest = max((len(run) for run in _RUNS.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return ["", ticks + language, *visible(text).splitlines(), ticks, ""]


def _cell(cell: Cell, kind: Kind) -> str:
    text = str(cell)
    if kind in ("name", "code") and not isinstance(cell, Mark):
        # A table's row is split at its bars before anything else is read.
        return code(text).replace("|", "\\|")
    return words(text)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _trimmed(lines: Iterable[str]) -> list[str]:
    """Without empty lines at both ends: whoever joins blocks puts one between."""
    return "\n".join(lines).strip("\n").split("\n")
