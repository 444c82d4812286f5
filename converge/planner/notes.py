"""Findings about the whole: what is not translated, rules that match nothing, features of newer servers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from converge.codes import Code
from converge.errors import did_you_mean
from converge.mapping.rules import Map, Rule
from converge.model.catalog import Catalog, Column, ForeignKey, Index, Table
from converge.model.check import Check
from converge.model.plan import Finding, Severity, Statement, TablePlan, made_names
from converge.model.quote import my_name
from converge.planner.draft import Draft
from converge.postgres.capabilities import Capability, lacking_for

_NAMES = ("table", "column", "index", "foreign_key")


def note_left_out(draft: Draft, taken: set[str]) -> None:
    """What is not translated at all: excluded tables with all they have, triggers, routines, events."""
    for table in draft.catalog.tables:
        if table.name not in taken:
            message = "the table is excluded or a map skips it: nothing of it is migrated"
            draft.findings.append(Finding(Code.P080, "lossy", table.name, message, not_migrated=True))
            draft.left_out(table, "the table is excluded, or a map skips it")
    for routine in draft.catalog.routines:
        place = f", on {routine.table}" if routine.table else ""
        draft.left(
            Code.P081, routine.kind, routine.name,
            f"its code is not translated (definer {routine.definer}{place}): {routine.text}",
        )  # fmt: skip
    for kind in draft.catalog.unreadable:
        draft.find(
            Code.P082, kind,
            f"the source user may not see all {kind}: what it cannot see is neither migrated nor counted",
            _seen_by(kind, draft.catalog),
        )  # fmt: skip


def _seen_by(kind: str, catalog: Catalog) -> str:
    """The GRANT that makes these objects visible."""
    if kind == "tables":
        return f"GRANT SELECT ON {my_name(catalog.database)}.* TO {catalog.user};"
    if kind == "routines":
        return f"GRANT SELECT ON *.* TO {catalog.user}; (or SHOW_ROUTINE, from MySQL 8.0.20)"
    return f"GRANT SHOW VIEW, TRIGGER, EVENT ON {my_name(catalog.database)}.* TO {catalog.user};"


def note_settings(draft: Draft) -> None:
    """Settings of the source's server on which the values of its expressions depend."""
    for setting in draft.catalog.settings if _calculates(draft.catalog) else ():
        draft.find(
            Code.P169, "source",
            f"{setting}: views, generated columns and CHECKs are migrated as MySQL's default has them",
            "read what they calculate; SET GLOBAL changes the source",
        )  # fmt: skip


def _calculates(catalog: Catalog) -> bool:
    """Whether the source has expressions whose values depend on the server's settings."""
    return bool(catalog.views) or any(
        table.checks or any(column.generated for column in table.columns) for table in catalog.tables
    )


def note_left_over(draft: Draft, left_over: Sequence[tuple[str, str, str]]) -> None:
    """What an earlier run has made, and whose tables were dropped by hand since."""
    made = made_names(draft.statements)
    if going := [f"{kind} {name}" for kind, name, _ in left_over if name in made]:
        draft.find(Code.P151, "target", f"dropped first, left over from an earlier run: {', '.join(going)}")


# ---- rules that match nothing --------------------------------------------------------------------------


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
            Code.M180, rule.place, f"the rule matches nothing: {_why(draft, rule, tables)}",
            "correct the names in its `match`, or remove the rule", severity=severity,
        )  # fmt: skip


def _matched(draft: Draft, own: Map, tables: Iterable[Table]) -> Iterator[Rule]:
    for table in tables:
        yield from own.for_table(table)
        for column in table.columns:
            joined = draft.decisions.identity(table.name, column.name)
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


# ---- features that the target's version lacks ----------------------------------------------------------


def lacking_features(
    version: str,
    functions: Container[str],
    tables: Iterable[TablePlan],
    statements: Iterable[Statement],
) -> Iterator[Finding]:
    """Each feature once an object: a column's, else the statement's.

    What is optional is left to the trial on the target. `functions` are known ones that the target has.
    """
    found: set[tuple[str, str]] = set()
    for table in tables:
        for column in table.columns:
            sql = f"{column.default or ''} {column.generated or ''} {column.target_type}"
            for what, one in lacking_for(sql, version, functions):
                found.add((table.source, what))
                yield _finding(what, one, version, f"{table.source}.{column.source}")
    for statement in statements:
        for what, one in () if statement.optional else lacking_for(statement.sql, version, functions):
            if (statement.object, what) not in found:
                found.add((statement.object, what))
                yield _finding(what, one, version, statement.object)


def refused_checks(
    version: str, functions: Container[str], checks: Iterable[Check], refused: Mapping[str, str]
) -> Iterator[Finding]:
    """Features that the queries of maps ask for, and queries that the target refuses for another reason."""
    for check in checks:
        newer = list(lacking_for(check.target, version, functions))
        for what, one in newer:
            yield _finding(f"the check {check.name!r} asks for {what}", one, version, check.place)
        if not newer and check.place in refused:
            message = f"the target, PostgreSQL {version}, refuses the query of {check.name!r}"
            why = refused[check.place]
            hint = "a query that every version of the target understands, in the map's target = …"
            yield Finding(Code.T044, "block", check.place, f"{message}: {why}", hint)


def _finding(what: str, one: Capability, version: str, object_: str) -> Finding:
    return Finding(
        Code.T040,
        "block",
        object_,
        f"{what}, which PostgreSQL has from {one.since} on; the target runs {version}",
        f"{one.instead}; or a target of PostgreSQL {one.since} or newer",
    )
