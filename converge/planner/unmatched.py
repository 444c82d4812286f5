"""Rules of the user's maps that match nothing: slips that would look like success."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from converge.codes import Code
from converge.errors import did_you_mean
from converge.mapping.rules import Map, Rule
from converge.model.catalog import Column, ForeignKey, Index, Table
from converge.model.plan import Severity
from converge.planner.draft import Draft

_NAMES = ("table", "column", "index", "foreign_key")


def note_unmatched(draft: Draft, tables: Sequence[Table], *, strict: bool) -> None:
    """A finding for each rule of a map that is not shipped and that no object matches.

    `fits` is not asked: a rule whose type the data does not fit has found its column.
    """
    own = Map(tuple(rule for rule in draft.map.rules if not rule.shipped))
    if not own.rules:
        return
    matched = {id(rule) for rule in _matched(draft, own, tables)}
    severity: Severity = "block" if strict else "note"
    for rule in own.rules:
        if id(rule) in matched or (rule.section == "target" and draft.loading is None):
            continue  # in create mode the target has nothing of its own that could be kept
        draft.find(
            Code.M180, severity, rule.place, f"the rule matches nothing: {_why(draft, rule, tables)}",
            "correct the names in its `match`, or remove the rule",
        )  # fmt: skip


def _matched(draft: Draft, own: Map, tables: Iterable[Table]) -> Iterator[Rule]:
    for table in tables:
        yield from own.for_table(table)
        for column in table.columns:
            joined = draft.components.identity(table.name, column.name)
            yield from own.for_column(table, column, identity=joined)
        for index in table.indexes:
            yield from own.for_index(table, index)
        for key in table.foreign_keys:
            yield from own.for_foreign_key(table, key)
    if draft.loading is not None:
        for target in draft.loading.existing.tables:
            yield from own.for_target(target.name, None)
            for target_column in target.columns:
                yield from own.for_target(target.name, target_column.name)


def _why(draft: Draft, rule: Rule, tables: Sequence[Table]) -> str:
    """The first name that nothing has, with one that looks like it."""
    side = "target" if rule.section == "target" else "source"
    for key in _NAMES:
        wanted = rule.match.get(key)
        if wanted is None:
            continue
        names = list(_names(draft, rule, key, tables))
        if not any(fnmatchcase(name, wanted) for name in names):
            kind = key.replace("_", " ")
            return f"the {side} has no {kind} {wanted!r}{did_you_mean(wanted, names)}"
    others = ", ".join(f"{key} = {value}" for key, value in rule.match.items())
    return f"no {rule.section.replace('_', ' ')} of the {side} has all of: {others}"


def _names(draft: Draft, rule: Rule, key: str, tables: Sequence[Table]) -> Iterator[str]:
    """Names that a rule's key is compared with, in the tables that the rule means."""
    wanted = rule.match.get("table", "*")
    if rule.section == "target":
        for own in draft.loading.existing.tables if draft.loading else ():
            if key == "table":
                yield own.name
            elif fnmatchcase(own.name, wanted):
                yield from (column.name for column in own.columns)
        return
    for table in tables:
        if key == "table":
            yield table.name
        elif fnmatchcase(table.name, wanted):
            parts: Mapping[str, Sequence[Column | Index | ForeignKey]] = {
                "column": table.columns, "index": table.indexes, "foreign_key": table.foreign_keys,
            }  # fmt: skip
            yield from (part.name for part in parts[key])
