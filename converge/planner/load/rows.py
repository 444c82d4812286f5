"""Rows that are in the target's tables already: seeded by its migrations, or left by a rehearsal."""

from __future__ import annotations

from converge.mapping.rules import setting
from converge.mapping.write import entry, literally
from converge.model.plan import Outcome
from converge.planner.draft import Draft
from converge.planner.load.match import Match

_WAYS = ('rows = "source"', '# or: rows = "target"', '# or: rows = "merge"')


def settle_rows(draft: Draft, match: Match, *, may_hold_rows: bool) -> bool:
    """Whether the source's rows are copied; adds what becomes of those that are there."""
    name, own = match.source.name, match.own
    table = draft.source(name)
    assert table is not None
    wish = setting(draft.map.for_table(table), "rows")[0]
    if wish == "target":
        why = f"the map keeps the target's {own.rows:,} rows"
        draft.find("L011", "note", name, f"{why}; the source's are not copied")
        draft.outcomes += [
            Outcome(kind, one, "not migrated", "", why)
            for kind, one in match.source.objects()
            if kind != "column"
        ]
        return False
    if own.rows and wish is None and not may_hold_rows:
        draft.find(
            "L010", "block", name,
            f"the target's table has {own.rows:,} rows, which would be doubled or would be in the way",
            "\n".join([entry("table", literally(table=name), *_WAYS),
                       "# or --truncate, which removes the rows of all loaded tables"]),
        )  # fmt: skip
    return True
