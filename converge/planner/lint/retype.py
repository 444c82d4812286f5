"""Another type for a column: the statement, or what has to go before.

PostgreSQL refuses it while a view, a generated column, a trigger's columns or condition, a policy, a rule, a
publication's condition or a function's parsed body uses the column (ATPrepAlterColumnType and
RememberAllDependentForRebuilding in its source), and where the columns of a foreign key would have types that
do not go together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from converge.model.catalog import Table
from converge.model.quote import pg_name
from converge.planner.draft import Draft

_PATTERNS = re.compile(r"~|LIKE\b|\bSIMILAR\b|regexp_|strpos|position|replace|split_part", re.IGNORECASE)
"""What PostgreSQL refuses for texts of a nondeterministic collation, the first until 18."""


def retype(draft: Draft, table: Table, column: str, type_: str, others: Iterable[str] = ()) -> str:
    """The statement that gives a source's column this type in the target; a comment where it would fail, also
    because of `others`."""
    target = pg_name(draft.column(table.name, column).target)
    used = ", ".join([*users(draft, table, column), *others])
    first = f"-- drop first: {used}. Then " if used else ""
    return f"{first}ALTER TABLE {draft.qualified(table.name)} ALTER COLUMN {target} TYPE {type_};"


def users(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """The target's views, generated columns and what else uses it; rather one too many."""
    target = draft.column(table.name, column).target
    if draft.loading:
        own = draft.loading.matches[table.name].own
        for name, text in draft.loading.using:
            if own.name in text and (target in text or name.startswith("publication ")):
                yield name
        generated = {one.name for one in own.columns if target in one.generated}
    else:
        place, quoted = draft.qualified(table.name), pg_name(target)
        for one in (one for view in draft.catalog.views for one in draft.by_object[view.name]):
            if one.phase == "view" and place in one.sql and quoted in one.sql:
                yield f"view {one.object}"
        columns = draft.tables[table.name].columns
        generated = {one.target for one in columns if quoted in (one.generated or "")}
    yield from (f"generated column {name}" for name in sorted(generated))


def patterned(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """The target's CHECK constraints and conditions of indexes that look for patterns in it."""
    target = draft.column(table.name, column).target
    if draft.loading:
        own = draft.loading.matches[table.name].own
        for check in own.conditions:
            if target in check.columns and _PATTERNS.search(check.definition):
                yield f"CHECK constraint {check.name}"
        for index in own.indexes:
            if target in (index.predicate or "") and _PATTERNS.search(index.predicate or ""):
                yield f"index {index.name}"
        return
    place, quoted = draft.qualified(table.name), pg_name(target)
    for one in draft.by_object[table.name]:
        head, _, condition = one.sql.partition(" CHECK (")
        if head.startswith(f"ALTER TABLE {place} ") and quoted in condition and _PATTERNS.search(condition):
            yield f"CHECK constraint {head.rpartition(' ')[2]}"


def referring(draft: Draft, table: str, column: str) -> list[tuple[str, str]]:
    """Source tables and columns whose values are this column's, by foreign keys, one after the other."""
    found = [(table, column)]
    for parent in found:
        for child in _neighbors(draft, table, column):
            for key in child.foreign_keys:
                pairs = zip(key.columns, key.parent_columns, strict=True)
                here = [(child.name, own) for own, other in pairs if (key.parent, other) == parent]
                found += [
                    one for one in here if one not in found and one[0] in draft.tables and draft.has(*one)
                ]
    return found[1:]


def joined(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """The target's foreign keys that have the column on one of their sides."""
    if draft.loading:
        here, name = draft.loading.matches[table.name].own.quoted, draft.column(table.name, column).target
        for own in draft.loading.existing.foreign_keys:
            if here in (own.table, own.parent) and (here, name) in _sides(
                own.table, own.columns, own.parent, own.parent_columns
            ):
                yield f"foreign key {own.name} of {own.table}"
        return
    for child in _neighbors(draft, table.name, column):
        for key in child.foreign_keys:
            if (table.name, column) in _sides(child.name, key.columns, key.parent, key.parent_columns):
                yield f"foreign key {key.name} of {child.name}"


def _neighbors(draft: Draft, table: str, column: str) -> Iterator[Table]:
    """The tables that foreign keys join with the column, its own among them."""
    names = {name for name, _ in draft.decisions.joined(table, column)}
    return filter(None, map(draft.source, sorted(names)))


def _sides(
    child: str, columns: tuple[str, ...], parent: str, parent_columns: tuple[str, ...]
) -> set[tuple[str, str]]:
    return {(child, name) for name in columns} | {(parent, name) for name in parent_columns}
