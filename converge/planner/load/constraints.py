"""The target's CHECKs and unique keys: rows that break them are counted before anything is written.

Conditions of the target (CHECKs, partial indexes) are asked of the source's rows where both servers surely
answer alike: values as the maps make them, compared with NULL, truth, numbers and equal texts, and joined
by AND, OR and NOT. Of anything else nothing is said before the target does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from converge.codes import Code
from converge.model.catalog import Index, IndexPart, Table
from converge.model.evidence import Search
from converge.model.existing import OwnCheck, OwnColumn, OwnForeignKey
from converge.model.quote import my_text
from converge.planner.draft import Draft
from converge.planner.load.columns import column_conditions
from converge.planner.load.match import Match, own_parts
from converge.planner.rows import (
    BYTES,
    Part,
    TargetValue,
    citext,
    duplicates,
    folded_ascii,
    parts_of,
    planned,
    unique_keys,
)
from converge.translate.context import Untranslatable, refuse_if
from converge.translate.parse import filled
from converge.types import TEXTS, TEXTUAL, base_name
from converge.types.text import utf8

_ORDERED: Mapping[type[exp.Expr], str] = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"})
_TEXTS = TEXTUAL - {"set"}
_TEXT_CASTS = frozenset({"TEXT", "VARCHAR"})
_WHOLE_CASTS = frozenset({"INT", "BIGINT", "SMALLINT"})
_NUMBER_CASTS = _WHOLE_CASTS | {"DECIMAL"}
_CITEXT_SIGN = re.compile(r"OPERATOR\(([^().]+)\.(=|<>)\)")
_PARTS = frozenset({"this", "expression", "expressions", "negate", "is_string", "to", "_type"})


def load_conditions(draft: Draft, match: Match, table: Table) -> Iterator[str]:
    """What the scan should count of a table that is loaded."""
    yield from column_conditions(draft, match, table)
    yield from (broken for _, broken in _checks(draft, match, table) if broken is not None)
    for key in draft.loading.existing.foreign_keys if draft.loading else ():
        if key.table == match.own.quoted and (condition := partly_null(draft, match, table, key)):
            yield condition


def load_searches(draft: Draft, match: Match, table: Table) -> Iterator[Search]:
    """A question for each unique key that the source's own do not answer."""
    return (search for _, search in _unique(draft, match, table))


def note_checks(draft: Draft, match: Match, table: Table) -> None:
    """A finding for each CHECK that rows break, and one for those that only COPY tests."""
    untested = []
    for check, broken in _checks(draft, match, table):
        if broken is None:
            untested.append(f"{check.name}: {check.definition}")
            continue
        draft.find_rows(
            Code.L023, f"{table.name}.{check.name}", table, draft.evidence.count(table.name, broken),
            f"break the target's condition {check.definition}",
            "repair the rows in the source, or a map's expression or policy that makes such values",
        )  # fmt: skip
    if untested:
        listed = "; ".join(untested)
        draft.find(Code.L013, table.name, f"COPY tests the target's conditions row by row: {listed}")


def note_unique(draft: Draft, match: Match, table: Table) -> None:
    """A finding for each unique key that the rows would break, and for those that could not be tested."""
    facts = draft.evidence.table(table.name)
    asked = list(_unique(draft, match, table))
    for index, search in asked:
        listed = ", ".join(map(str, index.parts))
        draft.find_rows(
            Code.L007, f"{table.name}.{index.name}", table, facts.found.get(search.name) if facts else None,
            f"have the same {listed} as others, which the target's unique key refuses",
            "repair the rows in the source, or a map's expression or policy that has made them equal",
        )  # fmt: skip
    tested = {index.name for index in (*table.indexes, *(index for index, _ in asked))}
    for own in match.own.indexes:
        if own.unique and own.name not in tested:
            which = f"where {own.predicate}" if own.predicate else "by an expression"
            message = f"is unique {which}: the rows are tested only when the key is restored"
            draft.find(Code.L012, f"{table.name}.{own.name}", message)


def partly_null(draft: Draft, match: Match, table: Table, key: OwnForeignKey) -> str | None:
    """MySQL condition of a row that MATCH FULL refuses: only some columns of the key are NULL."""
    columns = _arriving(draft, match, table)
    if " MATCH FULL" not in key.definition or len(key.columns) < 2 or not columns.keys() >= set(key.columns):
        return None
    nulls = "+".join(f"({columns[name].value.sql} IS NULL)" for name in key.columns)
    return f"{nulls} BETWEEN 1 AND {len(key.columns) - 1}"


def _arriving(draft: Draft, match: Match, table: Table) -> dict[str, TargetValue]:
    """The values that the target's columns get, by the target's names."""
    return {
        own.name: planned(draft, table, name)
        for name, own in match.columns.items()
        if (table.name, name) in draft.map.own
    }


def _checks(draft: Draft, match: Match, table: Table) -> Iterator[tuple[OwnCheck, str | None]]:
    """Each CHECK with the MySQL condition of a row that breaks it, where that can be said.

    A row for which it is unknown passes, as in PostgreSQL.
    """
    columns = _arriving(draft, match, table) if match.own.conditions else {}
    for check in match.own.conditions:
        holds = on_source(check.condition, columns, citext(draft)) if check.condition else None
        yield check, None if holds is None else f"NOT {holds}"


def _unique(draft: Draft, match: Match, table: Table) -> Iterator[tuple[Index, Search]]:
    """The target's unique keys that no key of the source covers, or that take more values for equal."""
    known = [
        frozenset(index.columns)
        for index in match.source.indexes
        if index.unique and not any(part.prefix or part.column is None for part in index.parts)
    ]
    own = {index.name: index for index in match.own.indexes}
    for index in unique_keys(draft, table):
        if index.primary:
            continue
        parts, distinct = parts_of(draft, table, index), own[index.name].nulls_distinct
        covered = distinct and any(keys <= frozenset(index.columns) for keys in known)
        if not covered or any(way_out for _, way_out in parts):
            yield index, duplicates(table, parts, nulls_distinct=distinct)
    values = _arriving(draft, match, table)
    for special in match.own.indexes:
        if not (special.unique and (special.predicate or "" in special.columns)):
            continue
        parts = [part for part in own_parts(special) if part and part[1] in values]
        condition = on_source(special.predicate, values, citext(draft)) if special.predicate else "TRUE"
        if condition is not None and len(parts) == len(special.columns):
            keys = [
                _key(draft, function, values[name], match.columns[match.sources[name]])
                for function, name in parts
            ]
            named = tuple(_named(function, match.sources[name]) for function, name in parts)
            yield (
                Index(special.name, unique=True, kind="BTREE", parts=named),
                duplicates(table, keys, nulls_distinct=special.nulls_distinct, only=condition),
            )


def _key(draft: Draft, function: str, value: TargetValue, own: OwnColumn) -> Part:
    text = value.text()
    # Letters of which only one server knows the other case are asked about too much, as those of citext are.
    folded = f"{function.upper()}({text})" if function else text
    facts = draft.inputs.facts
    only_ascii = facts and (own.collation in facts.ascii_collations if own.collation else facts.only_ascii)
    if function and only_ascii:
        folded = folded_ascii(function.upper(), text)
    return value.like.format(folded), value.way_out


def _named(function: str, column: str) -> IndexPart:
    return IndexPart(None, f"{function}({column})") if function else IndexPart(column)


# ---- conditions of the target in MySQL's words ---------------------------------------------------------


def on_source(condition: str, columns: Mapping[str, TargetValue], citext: str) -> str | None:
    """The condition in MySQL's words, or None. `columns` are the values that arrive, by target column, and
    `citext` is how that compares."""
    bare = _CITEXT_SIGN.sub(
        lambda found: found[2] if f"::{found[1]}.citext" in condition else found[0], condition
    )
    try:
        return _Condition(columns, citext).truth(sqlglot.parse_one(bare, read="postgres"))
    except (Untranslatable, SqlglotError):
        return None


@dataclass(frozen=True, slots=True)
class _Condition:
    columns: Mapping[str, TargetValue]
    citext: str

    def truth(self, node: exp.Expr) -> str:
        _check(node)
        this, other = node.this, node.args.get("expression")
        match node:
            case exp.Paren():
                return self.truth(this)
            case exp.And() | exp.Or():
                return f"({self.truth(this)} {type(node).__name__.upper()} {self.truth(node.expression)})"
            case exp.Not():
                return f"(NOT {self.truth(this)})"
            case exp.Is() if isinstance(other, exp.Null):
                negated = "NOT " if node.args.get("negate") else ""
                return f"({self.column(this, _TEXT_CASTS | _NUMBER_CASTS).value.sql} IS {negated}NULL)"
            case exp.Column():
                return f"({self.number(node)}<>0)"
            case exp.EQ() if isinstance(other, exp.Any):
                return self.any(this, "=", _members(other.this), " OR ")
            case exp.NEQ() if isinstance(other, exp.Anonymous) and other.this == "ALL":
                return self.any(this, "<>", _members(*other.expressions), " AND ")
            case exp.EQ() | exp.NEQ():
                return self.equal(this, "=" if isinstance(node, exp.EQ) else "<>", node.expression)
        refuse_if(type(node) not in _ORDERED, "a condition of another kind")
        return f"({self.number(this)}{_ORDERED[type(node)]}{self.number(node.expression)})"

    def any(self, left: exp.Expr, sign: str, members: Sequence[exp.Expr], word: str) -> str:
        return f"({word.join(self.equal(left, sign, one) for one in members)})"

    def equal(self, left: exp.Expr, sign: str, right: exp.Expr) -> str:
        """Numbers, or else texts, that are equal or not."""
        try:
            return f"({self.number(left)}{sign}{self.number(right)})"
        except Untranslatable:
            sides = [self.text(one) for one in (left, right)]
            # A literal compares as what is beside it.
            likes = {like for _, like in sides if like} or {BYTES}
            refuse_if(len(likes) > 1, "texts that the target compares in two ways")
            like = likes.pop()
            return f"({sign.join(like.format(text) for text, _ in sides)})"

    def number(self, node: exp.Expr) -> str:
        node = _bare(node, _NUMBER_CASTS)
        match node:
            case exp.Neg():
                return f"-{self.number(node.this)}"
            case exp.Literal() if not node.is_string or _is_whole(node):
                return str(node.this)
            case exp.Boolean():
                return "1" if node.this else "0"
            case exp.Length():
                return f"CHAR_LENGTH({utf8(self.column(node.this, _TEXT_CASTS, _TEXTS).value)})"
        number = self.column(node, frozenset(), _NUMBERS).value
        refuse_if(base_name(number.to) in TEXTS, "a number that is a text in the target")
        return number.sql

    def text(self, node: exp.Expr) -> tuple[str, str]:
        """A text, and how the target compares it; '' for a literal, which compares as what is beside it."""
        bare, cast = _bare(node, _TEXT_CASTS), node.unnest()
        like = self.citext if isinstance(cast, exp.Cast) and _is_citext(cast.to) else ""
        if isinstance(bare, exp.Literal) and bare.is_string:
            return my_text(str(bare.this)), like
        found = self.column(bare, _TEXT_CASTS, _TEXTS)
        own = BYTES if found.like == self.citext and isinstance(cast, exp.Cast) else found.like
        return utf8(found.value), like or own

    def column(
        self, node: exp.Expr, casts: frozenset[str], types: frozenset[str] | None = None
    ) -> TargetValue:
        """A column of these MySQL types, or of any."""
        node = _bare(node, casts)
        found = self.columns.get(node.name) if isinstance(node, exp.Column) else None
        if found is None or (types is not None and found.value.column.type not in types):
            raise Untranslatable("anything but a column of such a type")
        return found


def _members(list_: exp.Expr, *others: exp.Expr) -> list[exp.Expr]:
    """The members of ANY (ARRAY[…]) or ALL (ARRAY[…]), of which sqlglot knows the first."""
    members = _bare(list_, frozenset({"ARRAY"}))
    refuse_if(others or not isinstance(members, exp.Array) or not members.expressions, "no list of values")
    return list(members.expressions)


def _is_whole(literal: exp.Expr) -> bool:
    return str(literal.this).lstrip("-").isdigit()


def _bare(node: exp.Expr, casts: frozenset[str]) -> exp.Expr:
    """Without brackets and the casts that the server prints around names and literals.

    One that changes values, such as n::integer, which rounds, or a::varchar(2), which cuts, is no such cast.
    """
    _check(node)
    whole = False
    while isinstance(node, exp.Paren | exp.Cast):
        if isinstance(node, exp.Cast) and not _is_citext(node.to):
            # Not those to the name of an object, such as ::regclass.
            refuse_if(not isinstance(node.to.this, exp.DType), "a cast that is not to a type of values")
            name = node.to.this.name
            sized = any(part.args.get("expressions") for part in _innermost(node.to))
            refuse_if(name not in casts or sized, "a cast that may change the value")
            whole |= name in _WHOLE_CASTS
        node = node.this
        _check(node)
    rounds = whole and not (isinstance(node, exp.Literal) and _is_whole(node))
    refuse_if(rounds, "a cast that rounds")
    return node


def _innermost(type_: exp.DataType) -> list[exp.DataType]:
    """The type, or that of an array's members."""
    return list(type_.find_all(exp.DataType)) if type_.this.name != "ARRAY" else [*type_.expressions]


def _is_citext(type_: exp.DataType) -> bool:
    return type_.sql("postgres").rpartition(".")[2] == "citext"


def _check(node: exp.Expr) -> None:
    """Raises Untranslatable for a node that has more to it than is read of it here."""
    negated = node.args.get("negate") and not isinstance(node, exp.Is)
    refuse_if(negated or filled(node) - _PARTS, "a part that is not known")
