"""What `converge rollback` came to, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.words import counted
from converge.report.document import Verdict, facts, grid
from converge.report.findings import findings
from converge.report.text import to_text
from converge.rollback.prepare import Action, Returned, Rollback

_NEXT = {
    "prepare": "converge rollback --apply brings back what the application changes from now on",
    "sql": "mysql DATABASE < {}; then converge rollback --apply, which compares the rows",
    "apply": "converge verify compares all rows",
    "remove": "",
}


def rollback_text(found: Rollback, file: str | None) -> str:
    """The verdict, the rows of each table, and what does not go back."""
    tables = found.tables if found.action in ("sql", "apply") else []
    rows = [(one.source, one.inserted, one.updated, one.deleted) for one in tables]
    shown = [(name, *(f"{count:,}" for count in counts)) for name, *counts in rows]
    return to_text(
        Verdict(found.verdict, _words(found.action, found.tables), "good"),
        facts(("source", found.source), ("target", found.target)),
        grid(
            "Rows",
            (("table", "name"), ("inserted", "number"), ("updated", "number"), ("deleted", "number")),
            shown,
        ),
        findings(found.findings),
        facts(("next", _NEXT[found.action].format(file))),
    )


def _words(action: Action, tables: Sequence[Returned]) -> str:
    rows = sum(one.inserted + one.updated + one.deleted for one in tables)
    many = counted(len(tables), "table")
    match action:
        case "prepare":
            return f"changes of {many} are noted from now on"
        case "remove":
            return f"changes of {many} are no longer noted"
        case "sql":
            return f"{counted(rows, 'row')} of {many} to go back"
    return f"{counted(rows, 'row')} of {many} brought back, and each compared"
