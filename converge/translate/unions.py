"""UNION and WITH: queries side by side, and queries with a name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.names import fit
from converge.model.quote import pg_name
from converge.translate import collate, convert
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.parse import check_parts
from converge.translate.values import NUMBERS, Value, computed

if TYPE_CHECKING:
    from converge.translate.query import Query, QueryTranslator

_UNION = frozenset({"this", "expression", "distinct", "order", "limit", "offset", "with_"})
_CASTS = {"int": "bigint", "text": "text", "date": "date", "datetime": "timestamp", "decimal": "numeric"}


def union(t: QueryTranslator, node: exp.Union) -> Query:
    """Two queries of one shape; columns of different kinds are brought together as MySQL does it."""
    check_parts(node, _UNION)
    left, right = (t.inside(t.scope.outer).query(side) for side in (node.this, node.expression))
    if len(left.outputs) != len(right.outputs):
        raise Untranslatable("a UNION of different numbers of columns")
    pairs = zip(left.outputs, right.outputs, strict=True)
    columns = [_together(t, a, b, f"q.c{number}") for number, ((_, a), (_, b)) in enumerate(pairs, 1)]
    names = [name for name, _ in left.outputs]
    a = _cast(left, names, [sql for _, sql, _ in columns])
    b = _cast(right, names, [sql for _, _, sql in columns])
    sql = f"({a}) UNION ALL ({b})"
    outputs = tuple((name, model) for name, (model, _, _) in zip(names, columns, strict=True))
    if node.args.get("distinct"):
        sql = collate.distinct(sql, outputs, t.terms)
    if node.args.get("order") is not None:
        sql = f"SELECT * FROM ({sql}) AS q"
    return replace(left, sql=sql + _order(t, node, dict(outputs)) + t.limit(node), outputs=outputs)


def _together(t: QueryTranslator, left: Value, right: Value, reference: str) -> tuple[Value, str, str]:
    """The kind of a column of a UNION, and what makes each side's column `reference` that kind."""
    mixed = {left.kind, right.kind}
    if mixed <= {"bool", "int"} and left.unsigned != right.unsigned:
        large = any(value.unsigned and value.source in ("", "bigint") for value in (left, right))
        if large or (left.literal is None and right.literal is None):
            # 8.0.15 takes the type of one side and cuts what does not fit.
            raise Untranslatable("a UNION of a signed and an UNSIGNED column")
    if {left.source, right.source} == {"year", "tinyint"}:
        raise Untranslatable("a UNION of a YEAR and a TINYINT, which MySQL cuts to TINYINT")
    if mixed == {"int", "decimal"} and (
        any(value.kind == "int" and value.computed for value in (left, right))
        # 10 UNION 0.25 is 9.99 in 8.0.15.
        or len(left.literal or "") > 1
    ):
        raise Untranslatable("a UNION of a decimal and an integer, which MySQL may cut")
    decimals = [value for value in (left, right) if value.kind == "decimal"]
    if not mixed <= NUMBERS | {"null"} and any(value.computed for value in decimals):
        raise Untranslatable("a UNION of a calculated number and a text, which shows digits by the row")
    if "null" in mixed and "enum" in (left.source, right.source):
        raise Untranslatable("a UNION of an ENUM and NULL, which stays an ENUM")
    if "float" in (left.source, right.source) and left.source != right.source:
        raise Untranslatable("a UNION of a FLOAT and another number")
    if left.kind == right.kind and left.labels == right.labels and left.kind not in ("decimal", "text"):
        source = left.source if left.source == right.source else ""
        return computed(replace(left, literal=None, source=source)), reference, reference
    a, b = (
        replace(value, sql="NULL" if value.kind == "null" else reference, literal=None)
        for value in (left, right)
    )
    model, sqls = convert.common([a, b], t.terms)
    return model, sqls[0], sqls[1]


def _cast(query: Query, names: list[str], sqls: list[str]) -> str:
    """The query with its columns, which are called q.c1, q.c2 … here, converted."""
    columns = [f"c{number}" for number in range(1, len(names) + 1)]
    if all(sql in (f"q.{column}", "NULL") for sql, column in zip(sqls, columns, strict=True)):
        return query.sql
    items = ", ".join(f"{sql} AS {pg_name(fit(name))}" for name, sql in zip(names, sqls, strict=True))
    return f"SELECT {items} FROM ({query.sql}) AS q ({', '.join(columns)})"


def _order(t: QueryTranslator, node: exp.Union, outputs: dict[str, Value]) -> str:
    order = node.args.get("order")
    if order is None:
        return ""
    keys = []
    for item in order.expressions:
        value = outputs.get(item.this.name) if isinstance(item.this, exp.Column) else None
        if value is None:
            raise Untranslatable("a UNION is sorted by something else than its columns")
        if value.kind == "text" and node.args.get("limit") is not None:
            raise Untranslatable("LIMIT after texts are sorted by a collation that the target lacks")
        reference = replace(value, sql=pg_name(fit(item.this.name)))
        keys.append(t.sorted(reference, bool(item.args.get("desc"))))
    return f" ORDER BY {', '.join(keys)}"


def with_clause(t: QueryTranslator, node: exp.Expr) -> str:
    """WITH name AS (…), …; the names are known to the query from then on."""
    clause = node.args.get("with_")
    if clause is None:
        return ""
    check_parts(clause, frozenset({"expressions", "recursive"}))
    parts = []
    for part in clause.expressions:
        check_parts(part, frozenset({"this", "alias"}))
        names = [column.name for column in part.args["alias"].columns]
        if clause.args.get("recursive") and _reads(part.this, part.alias):
            parts.append(_recursive(t, part.alias, names, part.this))
            continue
        inner = t.inside(t.scope.outer).query(part.this)
        t.queries[part.alias.lower()] = inner.relation(pg_name(fit(part.alias)), names)
        parts.append(f"{_head(part.alias, names)} AS ({inner.sql})")
    return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(parts)} "


def _head(alias: str, names: list[str]) -> str:
    columns = f" ({', '.join(pg_name(fit(name)) for name in names)})" if names else ""
    return pg_name(fit(alias)) + columns


def _reads(tree: exp.Expr, name: str) -> bool:
    return any(table.name.lower() == name.lower() for table in tree.find_all(exp.Table))


def _recursive(t: QueryTranslator, alias: str, names: list[str], node: exp.Expr) -> str:
    """The first part gives the columns their types, in MySQL as in PostgreSQL."""
    if not isinstance(node, exp.Union) or not isinstance(node.this, exp.Select):
        raise unlisted("a recursive query of more than two parts")
    check_parts(node, frozenset({"this", "expression", "distinct"}))
    first = t.inside(t.scope.outer).query(node.this)
    t.queries[alias.lower()] = first.relation(pg_name(fit(alias)), names)
    second = t.inside(t.scope.outer).query(node.expression)
    if len(first.outputs) != len(second.outputs):
        raise Untranslatable("a UNION of different numbers of columns")
    casts = []
    pairs = zip(first.outputs, second.outputs, strict=True)
    for number, ((_, a), (_, b)) in enumerate(pairs, 1):
        computed = a.kind in ("text", "decimal") and not (a.source and b.source)
        if a.kind not in _CASTS or b.kind not in (a.kind, "null") or computed:
            raise Untranslatable(
                f"a recursive query calculates a {a.kind}, which MySQL cuts to the first part's length"
            )
        casts.append(f"q.c{number}::{_CASTS[a.kind]}")
    labels = [name for name, _ in first.outputs]
    word = "UNION" if node.args.get("distinct") else "UNION ALL"
    return f"{_head(alias, names)} AS ({_cast(first, labels, casts)} {word} {_cast(second, labels, casts)})"
