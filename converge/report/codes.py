"""What the codes mean, for people: `converge explain CODE`, and docs/codes.md."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from converge.codes import Code, Entry, explained, registry
from converge.errors import UsageError, did_you_mean

_LOOKS_LIKE_A_CODE = re.compile(r"[A-Z]\d{3}")
_SEVERITIES = {"block": "blocker", "lossy": "loss", "absent": "not migrated"}
_HEAD = """\
# All codes

Every finding and error has a code. `converge explain CODE` tells what it means; it needs no server. This
page has the same texts, from `converge/codes.toml`: `python -m converge.report.codes > docs/codes.md`.

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
    "L": "Load mode",
    "M": "Maps",
    "P": "The plan",
    "R": "The run",
    "S": "The source",
    "T": "The target",
    "U": "Options and settings",
    "V": "Values, and their comparison",
    "X": "Temporary servers, dumps and the matrix",
}


def named_code(name: str) -> Code | None:
    """The code of this name; None where it cannot be one. Raises UsageError for an unknown code."""
    if not _LOOKS_LIKE_A_CODE.fullmatch(name):
        return None
    if name not in Code.__members__:
        message = f"there is no code {name}{did_you_mean(name, Code.__members__)}"
        raise UsageError(message, code=Code.U007, hint="docs/codes.md lists all codes")
    return Code[name]


def code_text(code: Code) -> str:
    """What the code means::

    P023 ZEROFILL is lost
      severity loss
      meaning  ZEROFILL only pads the display with zeros. The numbers are the same.
      fix      Format the numbers in the application.
      page     docs/codes.md
    """
    entry = explained(code)
    lines = [f"{code} {entry.title}", f"  severity {_severity(entry)}", f"  meaning  {entry.explanation}"]
    if entry.fix:
        lines.append(f"  fix      {entry.fix}")
    return "\n".join([*lines, f"  page     docs/{entry.page}"])


def code_document(code: Code) -> dict[str, Any]:
    """The same for the --json document."""
    return asdict(explained(code))


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
    cells = [cell.replace("|", "\\|") for cell in (code, _severity(entry), what, entry.fix, more)]
    return f"| {' | '.join(cells)} |\n"


def _severity(entry: Entry) -> str:
    return ", ".join(_SEVERITIES.get(one, one).replace("exit", "exit code") for one in entry.severity)


if __name__ == "__main__":
    print(codes_markdown(), end="")
