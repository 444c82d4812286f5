"""What the application's own SQL meets: numbers that become truth values, and names that need quotes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from converge.codes import Code
from converge.errors import listed
from converge.mapping.rules import entry
from converge.model.catalog import Table
from converge.model.quote import pg_name
from converge.model.words import counted
from converge.planner.draft import Draft

_TRUTHS = {"tinyint": {"type": "tinyint", "width": 1}, "bit": {"type": "bit", "length": 1}}
"""What the default map makes boolean, by its type."""
_CAPITAL = re.compile("[A-Z]")
"""PostgreSQL folds no other letters of a name without quotes (manual, "Identifiers and Key Words")."""
_SHOWN = 8


def note_sql(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding a subject; none in load mode, whose application has made the target for its SQL."""
    if draft.loading is None:
        _note_truths(draft, tables)
        _note_names(draft, tables)


def _note_truths(draft: Draft, tables: Sequence[Table]) -> None:
    """Numbers that are boolean in the target, unless a map of the user's own wants it so."""
    found = [
        (table, column)
        for table in tables
        for plan in draft.tables[table.name].columns
        if (column := table.column(plan.source)).type in _TRUTHS and plan.target_type == "boolean"
        if draft.decision(table, column).rule.shipped
    ]
    if found:
        table, column = found[0]
        names = [f"{table.name}.{column.name}" for table, column in found]
        message = (
            f"{counted(len(names), 'column')} of numbers become boolean, for which = 1 and sum() are errors: "
            f"{listed(names, _SHOWN)}"
        )
        rules = [
            entry("type", _TRUTHS[type_], 'to = "smallint"')
            for type_ in dict.fromkeys(column.type for _, column in found)
        ]
        name = pg_name(draft.column(table.name, column.name).target)
        hint = "\n".join([*rules, f"# or, in the application's SQL: WHERE {name}; sum({name}::int)"])
        draft.find(Code.F015, draft.schema, message, hint)


def _note_names(draft: Draft, tables: Sequence[Table]) -> None:
    """Names that SQL without quotes does not find; reserved words, which may mean something else, first."""
    views = [one.becomes for one in draft.outcomes if one.kind == "view" and one.becomes]
    names = {draft.tables[table.name].target: draft.tables[table.name].target for table in tables}
    for plan in (draft.tables[table.name] for table in tables):
        names |= {f"{plan.target}.{column.target}": column.target for column in plan.columns}
    own = set(names)
    names |= {view: view for view in views}
    facts = draft.inputs.facts
    words = [shown for shown, name in names.items() if facts and name.lower() in facts.reserved]
    capitals = [shown for shown, name in names.items() if _CAPITAL.search(name) and shown not in words]
    if not words and not capitals:
        return
    parts = [f"the reserved words {listed(words, _SHOWN)}"] * bool(words)
    parts += [f"capital letters in {listed(capitals, _SHOWN)}"] * bool(capitals)
    count = counted(len(words) + len(capitals), "name")
    example = pg_name(names[(words or capitals)[0]])
    hint = f"-- in the application's SQL: {example}"
    if own.intersection(capitals):
        hint = f'[[table]]\nnames = "lower"\n# or, in the application\'s SQL: {example}'
    message = f"{count} need{'s' * (count == '1 name')} quotes in PostgreSQL: {'; '.join(parts)}"
    draft.find(Code.F016, draft.schema, message, hint)
