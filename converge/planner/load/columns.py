"""Columns of the target's own tables: each takes the source's values, loses some as declared, or cannot."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from converge.codes import Code
from converge.mapping.rules import entry, literally
from converge.model.catalog import Column, Table
from converge.model.existing import OwnColumn
from converge.model.quote import my_name, pg_name, pg_text, toml_text
from converge.model.table_plan import ColumnPlan, Identity
from converge.planner.columns import decided_fields, left_out, note_end, note_parsed
from converge.planner.decision import column_entry
from converge.planner.draft import Draft
from converge.planner.generated import StoredColumns
from converge.planner.load.match import Match, alike, held_type
from converge.planner.values import hint, hint_conditions, note_values
from converge.translate import Untranslatable
from converge.types import NUMBERS, TEXTUAL, Family, base_name, family_of, normal

_TEXT, _WHOLE = ("TEXT", "VARCHAR"), ("INT", "BIGINT")
_IDLE = {"smallint": _WHOLE, "integer": _WHOLE, "bigint": _WHOLE, "text": _TEXT, "varchar": _TEXT}
"""Types to which a cast changes no value, by a column's type."""
_IS_FILLED = re.compile(r"\([^()]+ IS NOT NULL\)")
"""A column's CHECK that is as good as NOT NULL, as the server prints it."""


def plan_own_column(draft: Draft, match: Match, table: Table, column: Column) -> ColumnPlan | None:
    """Plans one column; None when a map leaves it out, or when it has no place, which blocks the run."""
    name = f"{table.name}.{column.name}"
    own, family = match.columns.get(column.name), family_of(column)
    if own is None:
        _without_place(draft, match, table, column)
        return None
    if family is None or (table.name, column.name) not in draft.map.own:
        _impossible(draft, match, table, column, own, family)
        return None
    decided = draft.decision(table, column)
    note_values(draft, decided)
    _require_filled(draft, match, table, column)
    _number(draft, match, table, column)
    note_parsed(draft, name, column, own.base)
    for rule in decided.rules:
        if rule.section == "column" and rule.settings.get("to"):
            draft.find(Code.L028, name, f"to = in {rule.place} is not used: the target has its own type")
    losses = "lossy, as declared" if decided.changes else "lossless"
    if lacking := ", ".join(_lacking(match, column.name)):
        losses += f"; the target's column lacks {lacking}"
        draft.noted.add(name)
    draft.done("column", name, f"{own.name} {own.type}", losses)
    return ColumnPlan(
        **decided_fields(decided, own.name),
        # A type that is the application's own keeps its name.
        target_type=own.type if own.labels or own.base != own.type else normal(own.type),
        nullable=own.nullable or match.source.column(column.name).nullable,
        default=own.default or None,
        identity=bool(own.sequence),
        sequence=own.sequence,
        generated=own.generated or None,
        collation=own.collation or None,
        why=decided.rule.why,
    )


def _number(draft: Draft, match: Match, table: Table, column: Column) -> None:
    """The sequence that gives the column its next value, or what is lost without one."""
    assert draft.loading is not None
    own, name = match.columns[column.name], f"{table.name}.{column.name}"
    if own.sequence:
        next_value = table.next_value if column.auto_increment else None
        draft.identities.append(Identity(table.name, column.name, next_value or 1, column.auto_increment))
        if grant := draft.loading.existing.sequence_grants.get(own.sequence):
            message = f"the role may not set {own.sequence}, the column's sequence, behind the rows"
            draft.find(Code.T004, name, message, grant, severity="block")
        largest = draft.loading.existing.largest(own.sequence)
        if column.auto_increment and largest is not None:
            way = f"a larger type for the column, and ALTER SEQUENCE {own.sequence} AS bigint NO MAXVALUE;"
            note_end(draft, table, name, largest, way)
    elif column.auto_increment:
        cause = "is AUTO_INCREMENT in the source, and the target's column takes its values from no sequence"
        cause += f" that could be set: {own.default or 'it has no default'}"
        # A sequence that has a usual name, and that the application itself asks.
        names = f"{match.own.name}_{own.name}_seq", f"{match.own.name}_seq", f"seq_{match.own.name}"
        asked = filter(None, (draft.loading.existing.sequence(draft.schema, one) for one in names))
        hint = ""
        if sequence := next(asked, None):
            # Of one that counts by 50 Hibernate takes the 49 numbers before the one that it gets, too.
            free = (table.next_value or 1) + max(sequence["increment"], 1) - 1
            # The target's own rows, or those of an application that has run, may be further.
            quoted = pg_text(pg_name(draft.schema, sequence["name"]))
            hint = f"SELECT setval({quoted}, greatest({free}, nextval({quoted})), false);"
        draft.find(Code.L024, name, cause, hint, cause=cause)


def _lacking(match: Match, name: str) -> Iterator[str]:
    """Attributes of the source's column, for rows that are written later, that the target's column lacks."""
    column, own = match.source.column(name), match.columns[name]
    # In PostgreSQL only a trigger does it; which columns one sets is not known.
    fired = any(
        one.before_update and one.enabled in ("ENABLE", "ENABLE ALWAYS") for one in match.own.triggers
    )
    if column.on_update_now and not fired:
        yield "ON UPDATE CURRENT_TIMESTAMP"
    if column.generated and not own.generated:
        yield "the generated expression"
    checks = (one.condition for one in match.own.conditions if one.columns == (own.name,))
    nullable = own.nullable and not any(map(_IS_FILLED.fullmatch, checks))
    if nullable and not column.nullable:
        yield "NOT NULL"
    has_default = column.initial is not None or column.default_is_expression
    if has_default and not (own.default or own.sequence or own.generated):
        yield "DEFAULT"


def column_conditions(draft: Draft, match: Match, table: Table) -> Iterator[str]:
    """What the scan should count: NULLs for a column that takes none, and what a hint would lose."""
    for column in table.columns:
        if _may_lack(draft, match, column):
            yield _null(draft, table, column)
        if own := match.columns.get(column.name):
            yield from hint_conditions(column, held_type(own))


def _may_lack(draft: Draft, match: Match, column: Column) -> bool:
    own = match.columns.get(column.name)
    known = (match.source.name, column.name) in draft.map.own
    return bool(own and known and not own.nullable and match.source.column(column.name).nullable)


def _null(draft: Draft, table: Table, column: Column) -> str:
    # What an expression makes NULL is a trap of its own.
    start = draft.decisions.candidates(table, column)[0].start
    return f"{my_name(column.name)} IS NULL AND {start.sql} IS NULL"


def _require_filled(draft: Draft, match: Match, table: Table, column: Column) -> None:
    own = match.columns.get(column.name)
    if own is None or not _may_lack(draft, match, column):
        return
    filled = ""
    if column.type in TEXTUAL | NUMBERS:
        # An expression without NULLs: the target's own default, where that is one.
        literal = re.match(r"('(?:[^'\\]|'')*'|-?\d+)(::|$)", own.default)
        empty = "''" if column.type in TEXTUAL else "0"
        filled = f"COALESCE({{}}, {literal[1] if literal else empty})"
    draft.find_rows(
        Code.L006, f"{table.name}.{column.name}", table,
        draft.evidence.count(table.name, _null(draft, table, column)),
        "hold NULL, and the target's column is NOT NULL",
        column_entry(table, column, f"using = {toml_text(filled)}") if filled else "repair the source",
    )  # fmt: skip


def _without_place(draft: Draft, match: Match, table: Table, column: Column) -> None:
    name = f"{table.name}.{column.name}"
    if any(rule.settings.get("skip") for rule in draft.decisions.rules(table, column)):
        left_out(draft, name)
        return
    near = alike(column.name, (own.name for own in match.own.columns if own.name not in match.sources))
    lines = [f"rename = {toml_text(near)}", "# or: skip = true"] if near else ["skip = true"]
    draft.block(
        Code.L002, "column", name, f"the target's table {match.own.name} has no such column",
        column_entry(table, column, *lines),
    )  # fmt: skip


def _impossible(
    draft: Draft, match: Match, table: Table, column: Column, own: OwnColumn, family: Family | None
) -> None:
    takes = ", ".join(sorted(family.accepts(column))) if family else "no type that converge knows"
    made = hint(draft, table, column, held_type(own))
    if made:
        other = "# or: skip = true, and keep = true for the target's column"
        way = column_entry(table, column, f"using = {toml_text(made)}", other)
    else:
        way = column_entry(table, column, "skip = true")
        if own.nullable or own.default or own.sequence or own.generated:
            kept = entry("target", literally(table=match.own.name, column=own.name), "keep = true")
            way = f"{way}\n\n{kept}"
    draft.block(
        Code.L003, "column", f"{table.name}.{column.name}",
        f"{column.raw_type} cannot become {own.type}, the target's type; it can become {takes}",
        way,
    )  # fmt: skip


_TAKEN: tuple[tuple[Code, str, Callable[[str], bool], str, str], ...] = (
    (Code.L025, "datetime", lambda to: to.endswith("with time zone"),
     "times without a zone are taken as UTC", "CONVERT_TZ({}, 'Europe/Amsterdam', '+00:00')"),
    (Code.L033, "bigint", lambda to: to == "interval",
     "whole numbers are taken as microseconds", "{} * 1000000"),
    (Code.L034, "timestamp", lambda to: to == "timestamp",
     "points in time become times without a zone, in UTC", "CONVERT_TZ({}, '+00:00', 'Europe/Amsterdam')"),
)  # fmt: skip
"""What is assumed of a MySQL type's values in a type of the target, and how a map says otherwise."""


def note_kinds(draft: Draft, match: Match, table: Table) -> None:
    """What is true of many columns of a table alike: one finding for all of them."""
    planned = [column for column in table.columns if draft.has(table.name, column.name)]
    columns = [(column, own) for column in planned if (own := match.columns.get(column.name))]
    for code, type_, becomes, message, using in _TAKEN:
        taken = [
            column
            for column, own in columns
            if column.type == type_ and becomes(base_name(normal(own.base)))
            and not draft.decision(table, column).setting("using")
        ]  # fmt: skip
        if taken:
            way = column_entry(table, taken[0], f"using = {toml_text(using)}")
            draft.find(code, table.name, f"{message}: {', '.join(column.name for column in taken)}", way)
    if computed := [column.name for column, own in columns if own.generated and not column.generated]:
        listed = ", ".join(computed)
        draft.find(Code.L015, table.name, f"computed by the target, so compared and not copied: {listed}")
    domains = [
        f"{column.name} ({own.type} over {own.base})"
        for column, own in columns
        if own.base != own.type and not own.labels and own.base not in own.type
    ]
    if domains:
        listed = ", ".join(domains)
        draft.find(Code.L016, table.name, f"COPY tests the conditions of domains by row: {listed}")


def note_lacking(draft: Draft, match: Match, plans: Sequence[ColumnPlan]) -> None:
    """What the target's columns lack of the source's attributes."""
    lacking = defaultdict[str, list[str]](list)
    for column in match.columns:
        for attribute in _lacking(match, column):
            lacking[attribute].append(column)
    otherwise = [*_computed_otherwise(draft, match, plans)]
    words = [f"the target's columns lack {', '.join(lacking)}"] if lacking else []
    causes = ["the target's columns lack attributes of the source's"] if lacking else []
    evidence = [f"{attribute}: {', '.join(names)}" for attribute, names in lacking.items()]
    if otherwise:
        words.append("the target computes columns by another expression")
        causes.append(words[-1])
        evidence.append(f"another expression: {', '.join(otherwise)}")
    if words:
        draft.find(
            Code.L036, match.source.name, "; ".join(words), "a migration of the application",
            evidence="; ".join(evidence), cause="; ".join(causes),
        )  # fmt: skip


def _computed_otherwise(draft: Draft, match: Match, plans: Sequence[ColumnPlan]) -> Iterator[str]:
    """Columns that both sides compute, where the expressions are not shown to be the same."""
    by_name = {plan.source: plan for plan in plans}
    ours, unguarded = (StoredColumns(draft, match.source, by_name) for _ in range(2))
    # They differ only where a sum of integers overflows, which MySQL, too, refuses nearly everywhere.
    unguarded.context.exact = False
    types = {plan.target: base_name(plan.target_type) for plan in plans}
    for plan in plans:
        column = match.source.column(plan.source)
        if not (column.generated and plan.generated):
            continue
        try:
            theirs = _meant(plan.generated, plan, types)
            if not any(
                _meant(_printed(draft, one, column), plan, types) == theirs for one in (ours, unguarded)
            ):
                yield plan.source
        except (Untranslatable, SqlglotError):
            yield plan.source


def _printed(draft: Draft, columns: StoredColumns, column: Column) -> str:
    """Our expression for the column, in the server's words where it can be asked."""
    sql = columns.stored(column)
    return draft.printed(f"{columns.table.name}.{column.name}", sql, columns.around(column, sql)) or sql


def _meant(sql: str, plan: ColumnPlan, types: Mapping[str, str]) -> exp.Expr:
    """An expression of PostgreSQL without what is written in one way or another: parentheses that its tree
    does not need, casts that change no value, and that of all of it to its column's type."""
    tree = exp.Paren(this=sqlglot.parse_one(sql, read="postgres"))
    to = exp.DataType.build(plan.target_type, dialect="postgres", udt=True)
    while isinstance(tree.this, exp.Paren) or (isinstance(tree.this, exp.Cast) and tree.this.to == to):
        tree.set("this", tree.this.this)
    # What is inside first: (a)::bigint.
    for node in reversed([*tree.walk()]):
        if node is not tree and (isinstance(node, exp.Paren) or _is_idle(node, types)):
            node.replace(node.this)
        elif isinstance(node, exp.Identifier):
            node.set("quoted", False)
        elif isinstance(node, exp.Case) and isinstance(node.args.get("default"), exp.Null):
            node.set("default", None)
    return tree


def _is_idle(node: exp.Expr, types: Mapping[str, str]) -> bool:
    """Whether it casts a column of these `types`, or a literal, to a type of its own kind, so that only a
    division or a shift would give another value."""
    # One to the name of an object, such as ::regconfig, is to no DType.
    if not isinstance(node, exp.Cast) or node.to.expressions or not isinstance(node.to.this, exp.DType):
        return False
    to, value = node.to.this.name, node.this
    if node.find_ancestor(exp.Div, exp.BitwiseLeftShift):
        return False
    if isinstance(value, exp.Column):
        return to in _IDLE.get(types.get(value.name, ""), ())
    if isinstance(value, exp.Literal):
        whole = not value.is_string and str(value.this).isdigit()
        return to in (_TEXT if value.is_string else (*_WHOLE, "DECIMAL") if whole else ("DECIMAL",))
    return isinstance(value, exp.Null)
