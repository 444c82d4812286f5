"""Numbers as people read them, and plain tables."""

from __future__ import annotations

from collections.abc import Sequence


def size(count: float) -> str:
    """Bytes with a decimal unit: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds(value: float) -> str:
    """``0.4 s``, ``12 s``, ``3:07 min``."""
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{value:.0f} s"
    return f"{int(value) // 60}:{int(value) % 60:02d} min"


def counted(count: int, one: str, more: str = "") -> str:
    """``1 table``, ``2 tables``; `more` for a plural that does not end in s."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def missing_words(not_migrated: int, losses: int) -> str:
    """``14 objects not migrated · 6 losses``: what every verdict ends with."""
    return f"{counted(not_migrated, 'object')} not migrated · {counted(losses, 'loss', 'losses')}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Lines of a table; the first `left` columns are aligned left, the others right."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
