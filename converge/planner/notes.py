"""Findings about the whole: what is not translated, rules that match nothing, features of newer servers."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from converge.codes import Code
from converge.errors import did_you_mean
from converge.mapping.rules import Map, Rule
from converge.model.catalog import Catalog, Table
from converge.model.check import Check
from converge.model.finding import Finding, Severity
from converge.model.plan import made_names
from converge.model.quote import my_name
from converge.model.words import counted
from converge.mysql.capabilities import capabilities
from converge.planner.decision import column_entry
from converge.planner.draft import Draft
from converge.postgres.capabilities import Capability, lacking_for
from converge.types import TEXTS, base_name
from converge.types.as_number import FLOATS, INTEGERS

SNAPSHOTS = frozenset({"InnoDB", ""})
"""Storage engines with snapshots."""
_PARTS = {"column": "columns", "index": "indexes", "foreign_key": "foreign_keys"}
"""Keys of a rule's match beside the table's, with the tables' attributes that have such names."""


def note_source(draft: Draft, planned: Sequence[Table]) -> None:
    """What is true of the source as a whole."""
    catalog = draft.inputs.catalog
    if not catalog.tables:
        draft.find(Code.P083, "source", "the database has no tables: is it the right one?")
    calculated = catalog.views or any(
        table.checks or any(column.generated for column in table.columns) for table in catalog.tables
    )
    for setting in catalog.settings if calculated else ():
        draft.find(
            Code.P169, "source",
            f"{setting}: views, generated columns and CHECKs are migrated as MySQL's default has them",
            "read what they calculate; SET GLOBAL changes the source",
        )  # fmt: skip
    if planned and not catalog.strict:
        _note_adjusted(draft, planned)
    for engine in sorted({table.engine for table in planned} - SNAPSHOTS):
        names = [table.name for table in planned if table.engine == engine]
        what = (
            f"{counted(len(names), 'table')} of an engine without snapshots: stop all writers during the run"
        )
        hint = "or ALTER TABLE … ENGINE = InnoDB; without it a change after the cutover ends rollback --apply"
        draft.find(Code.P072, engine, f"{what}: {', '.join(names)}", hint)
    _note_unseen(draft, planned)


def _note_adjusted(draft: Draft, planned: Sequence[Table]) -> None:
    """What a source that is not strict stores otherwise, and the target refuses, with the columns that an
    INSERT may leave out in MySQL alone (MySQL 8.0 manual, "Data Type Default Values").

    Not those of keys: no two rows have a primary key of 0 or '', and few have a parent with it.
    """
    found = dict[str, str]()
    """Their entries for a map; empty where 0 and '' are no value of the target's type."""
    for table in planned:
        given = {name for key in table.foreign_keys for name in key.columns}
        given.update(table.primary_key.columns if table.primary_key else ())
        for plan in draft.tables[table.name].columns:
            column = table.column(plan.source)
            filled = column.auto_increment or column.generated or column.default_is_expression
            needs = not (plan.nullable or plan.default or plan.identity or plan.generated)
            implicit = not (column.nullable or filled or column.initial is not None or column.name in given)
            if needs and implicit:
                base = base_name(plan.target_type)
                value = "0" if base in {*INTEGERS, *FLOATS, "numeric"} else "''" if base in TEXTS else ""
                rule = column_entry(table, column, f'default = "{value}"') if value else ""
                found[f"{table.name}.{column.name}"] = rule
    message = (
        "sql_mode is not strict: the target refuses what MySQL adjusts: texts that are too long, numbers out "
        "of range, invalid dates and NULL in an UPDATE of a NOT NULL column"
    )
    if found:
        message += (
            f"; and INSERTs without {counted(len(found), 'column')} without a DEFAULT: {', '.join(found)}"
        )
    hint = "# run the application in strict mode before the cutover"
    if rules := [rule for rule in found.values() if rule]:
        hint = "\n".join([hint, "# or, for INSERTs that leave columns out:", *rules])
    draft.find(Code.P162, "source", message, hint, severity="lossy" if found else "note")


def _note_unseen(draft: Draft, planned: Sequence[Table]) -> None:
    """What was decided without a look at the data."""
    unknown = "their types hold every value, but what PostgreSQL cannot hold at all would stop the copy"
    seen = draft.evidence.tables
    missing = [table.name for table in planned if table.name not in seen]
    if missing and len(missing) == len(planned):
        hint = "converge plan, without --no-scan"
        draft.find(Code.V026, "scan", f"no table was scanned: {unknown}", hint)
    elif missing:
        draft.find(Code.V026, "scan", f"these tables were not scanned: {', '.join(missing)}; {unknown}")
    if before := draft.evidence.seen_before:
        message = f"tables were not scanned again: the plan file has what was seen: {', '.join(before)}"
        draft.find(Code.V036, "scan", message, evidence="the source's log has not moved since")
    for table in planned:
        facts = seen.get(table.name)
        if facts and facts.unseen:
            message = f"{facts.unseen}: what was not seen counts as unknown"
            draft.find(Code.V027, table.name, message, f"--scan-seconds {facts.seconds * 10:.0f}")


def note_left_out(draft: Draft) -> None:
    """Excluded tables with all they have, and what the user may not see."""
    taken = {table.name for table in draft.taken} | draft.counters.keys()
    for table in draft.catalog.tables:
        if table.name not in taken:
            message = "the table is excluded or a map skips it: nothing of it is migrated"
            draft.find(Code.P080, table.name, message)
            draft.left_out(table, "the table is excluded, or a map skips it")
    for kind in draft.catalog.unreadable:
        draft.find(
            Code.P082, kind,
            f"the source user may not see all {kind}: what it cannot see is neither migrated nor counted",
            _seen_by(kind, draft.catalog),
        )  # fmt: skip


def _seen_by(kind: str, catalog: Catalog) -> str:
    """The GRANT that makes these objects visible."""
    if kind == "routines":
        privilege = "SHOW_ROUTINE" if capabilities(catalog.version).show_routine else "SELECT"
        return f"GRANT {privilege} ON *.* TO {catalog.user};"
    privileges = "SELECT" if kind == "tables" else "SHOW VIEW, TRIGGER, EVENT"
    return f"GRANT {privileges} ON {my_name(catalog.database)}.* TO {catalog.user};"


def note_left_over(draft: Draft) -> None:
    """What an earlier run has made, and whose tables were dropped by hand since."""
    made = made_names(draft.statements)
    if going := [f"{kind} {name}" for kind, name, _ in draft.inputs.left_over if name in made]:
        draft.find(Code.P151, "target", f"dropped first, left over from an earlier run: {', '.join(going)}")


def note_applications(draft: Draft) -> None:
    """Applications whose tables are all in the source, and whose shipped map was not given."""
    there = {table.name.lower() for table in draft.catalog.tables}
    given = {one.tables for one in draft.map.applications}
    for one in draft.map.shipped:
        if one.tables not in given and there.issuperset(name.lower() for name in one.tables):
            message = f"the source has all tables of {one.name}, which a shipped map knows"
            draft.find(Code.M181, "source", message, f"--map {one.name}")


# ---- rules that match nothing --------------------------------------------------------------------------


def note_unmatched(draft: Draft) -> None:
    """A finding for each rule of a map that is not shipped and that no object matches.

    `fits` is not asked: a rule whose type the data does not fit has found its column.
    """
    own = Map(tuple(rule for rule in draft.map.rules if not rule.shipped))
    if not own.rules:
        return
    matched = {id(rule) for rule in _matched(draft, own)}
    severity: Severity = "block" if draft.inputs.strict else "note"
    for rule in own.rules:
        if id(rule) in matched or (rule.section == "target" and draft.loading is None):
            continue  # in create mode the target has nothing of its own that could be kept
        draft.find(
            Code.M180, rule.place, f"the rule matches nothing: {_why(draft, rule)}",
            "correct the names in its `match`, or remove the rule", severity=severity,
        )  # fmt: skip


def _matched(draft: Draft, own: Map) -> Iterator[Rule]:
    for table in draft.inputs.catalog.tables:
        yield from own.for_table(table)
        for column in table.columns:
            identity = (table.name, column.name) in draft.decisions.identities
            yield from own.for_column(table, column, identity=identity)
        for index in table.indexes:
            yield from own.for_index(table, index)
        for key in table.foreign_keys:
            yield from own.for_foreign_key(table, key)
    for target in draft.loading.existing.tables if draft.loading else ():
        for name in (None, *(column.name for column in target.columns)):
            yield from own.for_target(target.name, name)


def _why(draft: Draft, rule: Rule) -> str:
    """The first name that nothing has, with one that looks like it."""
    side = "source"
    tables: Sequence[Any] = draft.inputs.catalog.tables
    if rule.section == "target" and draft.loading:
        side, tables = "target", draft.loading.existing.tables
    meant = [table for table in tables if fnmatchcase(table.name, rule.match.get("table", "*"))]
    for key in ("table", *_PARTS):
        if key not in rule.match:
            continue
        parts: Iterable[Any] = tables
        if key != "table":
            parts = (part for table in meant for part in getattr(table, _PARTS[key]))
        names, wanted = [part.name for part in parts], rule.match[key]
        if not any(fnmatchcase(name, wanted) for name in names):
            return f"the {side} has no {key.replace('_', ' ')} {wanted!r}{did_you_mean(wanted, names)}"
    others = ", ".join(f"{key} = {value}" for key, value in rule.match.items())
    return f"no {rule.section.replace('_', ' ')} of the {side} has all of: {others}"


# ---- features that the target's version lacks ----------------------------------------------------------


def note_newer(draft: Draft) -> None:
    """What is planned, and what the maps' checks ask for, that only a newer target has.

    Each feature once an object: a column's, else the statement's. What is optional is left to the trial on
    the target.
    """
    inputs, version = draft.inputs, draft.inputs.target_version
    functions = inputs.facts.functions if inputs.facts else ()
    wanted = [
        (f"{table.source}.{column.source}", table.source,
         f"{column.default or ''} {column.generated or ''} {column.target_type}")
        for table in draft.tables.values() for column in table.columns
    ]  # fmt: skip
    wanted += [(one.object, one.object, one.sql) for one in draft.statements if not one.optional]
    found: set[tuple[str, str]] = set()
    lacking = {sql: list(lacking_for(sql, version, functions)) for sql in {sql for _, _, sql in wanted}}
    for object_, owner, sql in wanted:
        for what, one in lacking[sql]:
            if object_ != owner or (owner, what) not in found:
                found.add((owner, what))
                draft.findings.append(_newer(what, one, version, object_))
    there = {table.name for table in inputs.catalog.tables}
    checks = [check for check in inputs.map.checks if there.issuperset(check.where_source_has)]
    draft.findings += refused_checks(version, functions, checks, inputs.refused_checks)


def refused_checks(
    version: str, functions: Container[str], checks: Iterable[Check], refused: Mapping[str, str]
) -> Iterator[Finding]:
    """Features that the queries of maps ask for, and queries that the target refuses for another reason."""
    for check in checks:
        newer = list(lacking_for(check.target, version, functions))
        for what, one in newer:
            yield _newer(f"the check {check.name!r} asks for {what}", one, version, check.place)
        if not newer and check.place in refused:
            message = f"the target, PostgreSQL {version}, refuses the query of {check.name!r}"
            why = refused[check.place]
            hint = "a query that every version of the target understands, in the map's target = …"
            yield Finding(Code.T044, "block", check.place, f"{message}: {why}", hint)


def _newer(what: str, one: Capability, version: str, object_: str) -> Finding:
    message = f"{what}, which PostgreSQL has from {one.since} on; the target runs {version}"
    hint = f"{one.instead}; or a target of PostgreSQL {one.since} or newer"
    return Finding(Code.T040, "block", object_, message, hint)
