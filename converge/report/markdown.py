"""Markdown that holds any text: names and values of a database are never markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from converge.report.parts import Cell, Grid, Kind, Left, Level, Mark, visible

_MARKUP = re.compile(r"([\\`*\[\]<>|&])")
_NEEDS_HTML = re.compile("[`<]")
_MEANS = re.compile(r"[\\`*_~\[\]()<>|&!:@]")
_RUNS = re.compile("`+")


def words(text: str) -> str:
    """Plain words on one line."""
    return _MARKUP.sub(r"\\\1", " ".join(visible(text).split()))


def title(text: str, name: str = "") -> str:
    """The first heading, which begins with the database's name where there are several."""
    return f"# {words(name)}: {text}" if name else f"# {text}"


def code(text: str) -> str:
    """A code span on one line."""
    line = " ".join(visible(text).split())
    if not _NEEDS_HTML.search(line):
        return f"`{line}`" if line else ""
    # Nothing can be escaped inside a span: so a tag, and all that could mean something as a number.
    return f"<code>{_MEANS.sub(lambda match: f'&#{ord(match[0])};', line)}</code>"


def fence(text: str, language: str = "") -> list[str]:
    """A block of code."""
    longest = max((len(run) for run in _RUNS.findall(text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return ["", ticks + language, *visible(text).splitlines(), ticks, ""]


def table(grid: Grid) -> list[str]:
    """A table, without its title."""
    kinds = [kind for _, kind in grid.columns]
    lines = [
        _row(words(name) for name in grid.head),
        _row("---:" if kind == "number" else "---" for kind in kinds),
        *(_row(_cell(cell, kind) for cell, kind in zip(row, kinds, strict=True)) for row in grid.rows),
    ]
    return [*lines, _row(words(str(cell)) for cell in grid.foot)] if grid.foot else lines


def section(title: str, lines: Sequence[str], *, nothing: str = "") -> list[str]:
    """A section; one that is empty is left out, or says in words that there is nothing."""
    if not lines and not nothing:
        return []
    return ["", f"## {title}", "", *(lines or [nothing])]


def grid_section(title: str, grid: Grid, *, nothing: str = "") -> list[str]:
    """A section that is one table."""
    return section(title, table(grid) if grid.rows else [], nothing=nothing)


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """A list of names and what they are."""
    return [f"- {name}: {words(value)}" for name, value in pairs]


def findings(levels: Sequence[Level]) -> list[str]:
    """By severity, then by code; what all findings of a code share is said once."""
    lines: list[str] = []
    for level in levels:
        lines += ["", f"### {level.title} ({level.count:,})"]
        for group in level.groups:
            lines += ["", f"#### {group.code} ({len(group.findings):,})", ""]
            if group.message:
                lines += [words(group.message), ""]
            for one in group.findings:
                message = "" if group.message else f": {words(one.message)}"
                seen = f" Seen: {words(one.evidence)}." if one.evidence else ""
                lines.append(f"- {code(one.object)}{message}{seen}")
                if one.hint and not group.hint:
                    lines += [f"  {line}".rstrip() for line in fence(one.hint)]
            if group.hint:
                lines += fence(group.hint)
    return lines[1:]


def left_behind(left: Sequence[Left]) -> list[str]:
    """What is not migrated, with the original text where there is one."""
    lines = []
    for one in left:
        names = ", ".join(code(name) for name in one.names)
        lines.append(f"- {words(one.kind)} {names}: {words(one.why)}")
        if one.text:
            lines += [f"  {line}".rstrip() for line in fence(one.text)]
    return lines


def _cell(cell: Cell, kind: Kind) -> str:
    text = str(cell)
    if kind in ("name", "code") and not isinstance(cell, Mark):
        # A table's row is split at its bars before anything else is read.
        return code(text).replace("|", "\\|")
    return words(text)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
