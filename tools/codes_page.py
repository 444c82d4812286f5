"""docs/codes.md: all codes with what they mean and what to do.

python -m tools.codes_page > docs/codes.md
"""

from __future__ import annotations

from converge.codes import Code, Entry, registry
from converge.report.explain import severity

_HEAD = """\
# All codes

Every finding and error has a code. `converge explain CODE` tells what it means; it needs no server. This
page has the same texts, from `converge/codes.toml`: `python -m tools.codes_page > docs/codes.md`.

- A *blocker* stops a command before anything is written (exit code 3), or says that the target differs.
- A *loss* is what a migrated object loses. What the target will not have at all is *not migrated*. Each
  counts once, in the verdict of plan and run.
- A *note* is information only.
- *exit code N* is an error of a command: 2 for its options and maps, 4 for the source, 5 for the target.
"""
_TABLE = """\
| code | severity | what | what to do | more |
|---|---|---|---|---|
"""
_PARTS = {
    "A": "Alembic revisions",
    "B": "Backfills, and bugs",
    "C": "Map checks",
    "D": "Data in the copy",
    "E": "Other errors",
    "F": "After the cutover",
    "L": "Load mode",
    "M": "Maps",
    "P": "The plan",
    "R": "The run",
    "S": "The source",
    "T": "The target",
    "U": "Options and settings",
    "V": "Values, and their comparison",
    "W": "Following the source's log",
    "X": "Temporary servers, dumps and the matrix",
}


def codes_markdown() -> str:
    """docs/codes.md: a table for each letter, a row for each code."""
    parts = [_HEAD]
    for letter, title in _PARTS.items():
        rows = [_row(code, entry) for code, entry in registry().items() if code.startswith(letter)]
        parts.append(f"## {letter}: {title}\n\n{_TABLE}{''.join(rows)}")
    return "\n".join(parts)


def _row(code: Code, entry: Entry) -> str:
    more = "" if entry.page == "codes.md" else f"[{entry.page}]({entry.page})"
    what = f"**{entry.title}.** {entry.explanation}"
    cells = [cell.replace("|", "\\|") for cell in (code, severity(entry), what, entry.fix, more)]
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(codes_markdown(), end="")
