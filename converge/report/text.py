"""A document's blocks for a terminal: the verdict first and last, and what stands out between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from converge.model.plan import Finding
from converge.report.document import Block, Facts, Findings, Fold, Grid, Paste, Verdict, Words
from converge.report.words import one_line, short, visible

_MESSAGE = 200
"""Characters of a finding's message."""
_LONGEST_LABEL = 10


def to_text(verdict: Verdict, *blocks: Block, verbose: bool = False) -> str:
    """The blocks between the verdict and the verdict; long messages are cut, unless `verbose`.

    Facts beside a verdict stand with it, as it has a label like theirs.
    """
    line = facts_lines(Facts((("verdict", f"{verdict.word}: {verdict.words}"),)))
    paragraphs = [(isinstance(block, Facts), list(_lines(block, verbose=verbose))) for block in blocks]
    paragraphs = [(is_facts, lines) for is_facts, lines in paragraphs if lines]
    first, last = (paragraphs[0][0], paragraphs[-1][0]) if paragraphs else (True, True)
    middle = _joined([lines for _, lines in paragraphs])
    return lines_text([*line, *[""] * (not first), *middle, *[""] * (not last), *line])


def lines_text(lines: Sequence[str]) -> str:
    """Lines as one text that a terminal shows as it is."""
    return visible("\n".join(lines))


def facts_lines(facts: Facts) -> list[str]:
    """A line for each: the label, padded to the longest, and the words."""
    width = max((len(name) for name, _ in facts.pairs if len(name) <= _LONGEST_LABEL), default=0)
    return [
        (f"{name:<{max(width, 9)}} " if len(name) <= _LONGEST_LABEL else f"{name}: ") + one_line(words)
        for name, words in facts.pairs
    ]


def table(grid: Grid) -> list[str]:
    """Lines of a table, without the columns that only pages show; numbers are aligned right."""
    rows = [grid.head, *(tuple(map(one_line, row)) for row in grid.lines)]
    columns = [column for name, column in zip(grid.head, zip(*rows, strict=True), strict=True)
               if name not in grid.pages]  # fmt: skip
    signs = [">" if kind == "number" else "<" for name, kind in grid.columns if name not in grid.pages]
    padded = []
    for column, sign in zip(columns, signs, strict=True):
        width = max(map(len, column))
        padded.append([f"{cell:{sign}{width}}" for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]


def _joined(paragraphs: Iterable[Sequence[str]]) -> list[str]:
    """All lines, with an empty one between paragraphs."""
    return [line for lines in paragraphs for line in ("", *lines)][1:]


def _lines(block: Block, *, verbose: bool) -> Iterator[str]:
    match block:
        case Words(text=words) | Paste(text=words):
            yield from words.splitlines()
        case Facts():
            yield from facts_lines(block)
        case Grid(rows=rows) if rows:
            yield from table(block)
        case Fold(title=title, blocks=blocks):
            yield one_line(title)
            inner = filter(None, (list(_lines(one, verbose=verbose)) for one in blocks))
            yield from (f"  {line}".rstrip() for line in _joined(inner))
        case Findings(levels=levels):
            for number, level in enumerate(levels):
                title = level.title.upper() if level.tone == "bad" else level.title.lower()
                yield from ("",) * bool(number)
                yield f"{title} ({level.count:,})"
                for group in level.groups:
                    yield from (line for one in group.findings for line in _finding(one, verbose=verbose))


def _finding(finding: Finding, *, verbose: bool) -> Iterator[str]:
    def cut(words: str) -> str:
        return " ".join(words.split()) if verbose else short(words, _MESSAGE)

    yield f"  {finding.code}  {one_line(finding.object)}: {cut(finding.message)}"
    if finding.evidence:
        yield f"        seen  {cut(finding.evidence)}"
    if finding.hint and (verbose or finding.severity == "block"):
        yield "        hint  " + finding.hint.replace("\n", "\n" + " " * 14)
