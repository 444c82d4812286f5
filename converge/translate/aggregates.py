"""One value for many rows: aggregates, GROUP_CONCAT, window functions, and GROUP BY.

MySQL lets GROUP BY name fewer columns than are shown. Where MySQL itself accepts the view under
ONLY_FULL_GROUP_BY, each column that is missing depends on those that are named: where they have a key of its
table, naming it, too, changes no group. Elsewhere its values in a group are only equal in MySQL, and the
first row's is taken. Otherwise any row's value could be shown. As an example, of a table r with the primary
key `id`:

    SELECT id, s, count(*) FROM r GROUP BY id     …GROUP BY r.id, r.s
    SELECT s, count(*) FROM r GROUP BY s          SELECT (array_agg(r.s))[1] … GROUP BY upper(r.s COLLATE "C")
    … s … FROM r WHERE s = 'a' GROUP BY n         SELECT (array_agg(r.s))[1] … GROUP BY r.n
    SELECT n, s FROM r GROUP BY n                 refused
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp
from sqlglot.optimizer.scope import walk_in_scope

from converge.model.quote import pg_text
from converge.translate import arithmetic, collate
from converge.translate.context import Untranslatable, refuse_if, unlisted
from converge.translate.parse import called, check_parts, filled
from converge.translate.term import INTEGERS, NUMBERS, TEMPORAL, TIMES, Kind, Term, plain

if TYPE_CHECKING:
    from converge.translate.query import QueryTranslator

NAMES = frozenset({"count", "sum", "avg", "min", "max", "bit_or", "bit_and", "any_value"})
_RANKS = frozenset({"row_number", "rank", "dense_rank", "ntile"})
_NEIGHBORS = frozenset({"lag", "lead", "first_value", "last_value"})
_ZEROS: Mapping[Kind, str] = {
    "bool": "false", "int": "0", "decimal": "0", "double": "0", "text": "''", "time": "INTERVAL '0'",
    "clock": "TIME '00:00'",
}  # fmt: skip
"""Of kinds that have smaller values, or that one: no date is before MySQL's zero."""
_LIMIT = "GROUP_CONCAT cuts its result at group_concat_max_len (1,024 bytes by default); string_agg does not"


# --- aggregates -----------------------------------------------------------------------------------------


def aggregate(t: QueryTranslator, name: str, args: Sequence[exp.Expr]) -> Term:
    """A call of one of `NAMES`."""
    distinct = bool(args) and isinstance(args[0], exp.Distinct)
    with _of_rows(t):
        values = [t.value(arg) for arg in (args[0].expressions if distinct else args)]
    if any(value.quotient for value in values):
        raise Untranslatable(f"{name} of a quotient: how many digits MySQL keeps depends on its plan")
    if distinct:
        values = [replace(value, sql=collate.key(value, t.context)) for value in values]
    word = "DISTINCT " if distinct else ""
    if name == "count":
        return _count(values, word)
    if len(values) != 1:
        raise unlisted(f"{name} of several values")
    value = values[0]
    if name == "sum":
        return _sum(t, value, word)
    if name == "avg":
        # Not avg(): over doubles it adds up their squares, too, which overflow from 1e154 on.
        return arithmetic.quotient(_sum(t, value, word), Term(f"count({word}{value.sql})", "int"))
    if name in ("min", "max"):
        return _extreme(t, value, name)
    if name == "any_value":
        return collate.first(plain(value))
    return _bits(value, name, word)


@contextmanager
def _of_rows(t: QueryTranslator) -> Iterator[None]:
    """For what an aggregate takes, and is sorted by: values of each row, whatever is shown of the group."""
    shown_once, t.shown_once = t.shown_once, {}
    yield
    t.shown_once = shown_once


def _count(values: Sequence[Term], word: str) -> Term:
    if len(values) == 1:
        # COUNT(*) is printed as count(0).
        rows = values[0].literal is not None and not word
        return Term("count(*)" if rows else f"count({word}{values[0].sql})", "int")
    present = " AND ".join(f"{value.sql} IS NOT NULL" for value in values)
    row = ", ".join(value.sql for value in values)
    return Term(f"count({word}({row})) FILTER (WHERE {present})", "int")


def _sum(t: QueryTranslator, value: Term, word: str) -> Term:
    refuse_if(value.kind not in NUMBERS, f"sum of a {value.kind}")
    if value.kind == "double":
        t.context.note("sums of approximate numbers depend on the order of the rows")
        return Term(f"sum({word}{value.number()}::float8)", "double")
    number = value.number()
    if value.kind in INTEGERS:
        # PostgreSQL's sums of smaller integers are bigint, not numeric.
        number += "::numeric" if value.wide else "::bigint"
    return Term(f"sum({word}{number})", "decimal", scale=value.scale, digits=value.scale)


def _extreme(t: QueryTranslator, value: Term, name: str) -> Term:
    sql = value.sql
    if value.kind == "text":
        sql, _ = collate.before(value, value, t.context)
    elif value.kind in TIMES:
        value.time()
    else:
        refuse_if(value.source == "bit", f"{name} of a BIT")
        refuse_if(value.kind not in NUMBERS | TEMPORAL, f"{name} of a {value.kind}")
        if value.kind == "bool":
            value, sql = replace(value, kind="int"), value.number()
    source = "float" if value.source == "float" else ""
    return replace(value, sql=f"{name}({sql})", source=source, literal=None)


def _bits(value: Term, name: str, word: str) -> Term:
    plain_bits = value.kind == "bool" or (value.kind == "int" and value.unsigned and not value.wide)
    refuse_if(not plain_bits or word, f"{name} of numbers that can be negative")
    empty, most = (0, 2 ** value.bound.bit_length() - 1) if name == "bit_or" else (2**64 - 1, 2**64 - 1)
    return Term(f"COALESCE({name}({value.integer()}), {empty})", "int", unsigned=True, most=most)


def group_concat(t: QueryTranslator, node: exp.GroupConcat) -> Term:
    """GROUP_CONCAT([DISTINCT] parts [ORDER BY …] [SEPARATOR …])."""
    check_parts(node, frozenset({"this", "separator"}))
    order = node.this if isinstance(node.this, exp.Order) else None
    inner = order.this if order is not None else node.this
    distinct = isinstance(inner, exp.Distinct)
    part = inner.expressions[0] if distinct else inner
    if isinstance(part, exp.Concat):  # what sqlglot makes of several parts
        refuse_if(distinct, "group_concat with DISTINCT of several parts, which differ though joined alike")
        part = exp.Anonymous(this="concat", expressions=part.expressions)
    separator = node.args.get("separator")
    between = t.value(separator).literal if separator is not None else ","
    if between is None:
        raise Untranslatable("the separator of group_concat is not a literal")
    with _of_rows(t):
        value = t.value(part)
        text = value.text(t.context)
        t.context.note(_LIMIT)
        if order is None:
            t.context.note("GROUP_CONCAT without ORDER BY: the order is undefined on both servers")
        keys = t.order(order, _list_key) if order is not None else []
        by = f" ORDER BY {', '.join(keys)}" if keys else ""
        sql = f"string_agg({text}, {pg_text(between)}{by})"
        if distinct:
            collate.apart(value, t.context)
            sql = _distinct_list(t, text, pg_text(between), order, part)
    return Term(sql, "text", collation=value.collation, explicit=value.explicit, uneven=value.uneven)


def _list_key(value: Term) -> Term:
    """A key of GROUP_CONCAT's ORDER BY, which sorts NULL as its type's zero (tried on 8.0.15 and 8.0.33)."""
    zero = "" if value.labels else _ZEROS.get(value.kind)
    return replace(value, sql=f"COALESCE({value.sql}, {zero})") if zero else value


def _distinct_list(
    t: QueryTranslator, text: str, between: str, order: exp.Order | None, part: exp.Expr
) -> str:
    """PostgreSQL sorts a DISTINCT list only by itself: here each value takes its least key along."""
    if order is None:
        return f"string_agg(DISTINCT {text}, {between})"
    refuse_if(len(order.expressions) > 1, "group_concat with DISTINCT is ordered by several keys")
    ordered = order.expressions[0]
    if ordered.this != part:
        t.context.note(
            "GROUP_CONCAT(DISTINCT a ORDER BY b): the source sorts a value by b of its first row, "
            "the target by its smallest b"
        )
    key = _list_key(t.value(ordered.this))
    sorted_by = t.sorted(replace(key, sql="d.k"), bool(ordered.args.get("desc")))
    return (
        f"(SELECT string_agg(d.v, {between} ORDER BY {sorted_by}) FROM ("
        f"SELECT u.v, min(u.k) AS k FROM unnest(array_agg({text}), array_agg({key.sql})) AS u(v, k) "
        "WHERE u.v IS NOT NULL GROUP BY u.v) AS d)"
    )


# --- windows --------------------------------------------------------------------------------------------


def window(t: QueryTranslator, node: exp.Window) -> Term:
    """f(…) OVER (PARTITION BY … ORDER BY … frame)."""
    check_parts(node, frozenset({"this", "partition_by", "order", "spec", "over", "alias"}))
    call = node.this
    if not isinstance(call, exp.Anonymous):
        raise unlisted(f"a window over {type(call).__name__}")
    name = called(call)
    value = _of_window(t, name, call.expressions)
    if node.alias:
        named = t.windows.get(node.alias.lower())
        if named is None or named.alias or filled(node) & {"partition_by", "order", "spec"}:
            raise unlisted("a window that extends another one")
        node = named
    over = _over(t, node)
    if name in ("avg", "bit_or", "bit_and"):
        raise unlisted(f"{name} as a window function")
    return replace(value, sql=f"({value.sql} OVER ({over}))")


def _of_window(t: QueryTranslator, name: str, args: Sequence[exp.Expr]) -> Term:
    values = [t.value(arg) for arg in args]
    # MySQL takes a quotient of another row with the digits that it shows.
    sql = f"{name}({', '.join(value.shown() for value in values)})"
    if name in _RANKS:
        return Term(sql, "int")
    if name in _NEIGHBORS | {"min", "max"} and values and values[0].source == "float":
        raise Untranslatable(f"how many digits a FLOAT has after {name} over a window")
    if name in _NEIGHBORS and 1 <= len(values) <= 2:
        return replace(plain(values[0]), sql=sql, literal=None, digits=values[0].scale)
    if name in NAMES and name != "any_value":
        return aggregate(t, name, args)
    raise unlisted(f"{name} over a window")


def _over(t: QueryTranslator, node: exp.Window) -> str:
    parts = []
    keys = [t.value(key) for key in node.args.get("partition_by") or []]
    if keys:
        parts.append(f"PARTITION BY {', '.join(collate.key(key, t.context) for key in keys)}")
    if node.args.get("order") is not None:
        parts.append(f"ORDER BY {', '.join(t.order(node.args['order']))}")
    spec = node.args.get("spec")
    if spec is not None:
        if spec.args.get("kind") != "ROWS":
            raise unlisted("a frame by RANGE")
        parts.append(f"ROWS BETWEEN {_bound(spec, 'start')} AND {_bound(spec, 'end')}")
    return " ".join(parts)


def _bound(spec: exp.Expr, side: str) -> str:
    bound, direction = spec.args.get(side), spec.args.get(f"{side}_side") or ""
    if bound is None and side == "end":
        return "CURRENT ROW"
    text = bound.name if isinstance(bound, exp.Literal) else str(bound)
    if text not in ("CURRENT ROW", "UNBOUNDED") and not text.isdigit():
        raise unlisted("a frame with computed bounds")
    return f"{text} {direction}".strip()


# --- GROUP BY -------------------------------------------------------------------------------------------


def group_by(t: QueryTranslator, node: exp.Select) -> str:
    """The GROUP BY clause with every column that PostgreSQL wants to see in it."""
    group, shown = node.args.get("group"), list(_shown(node))
    named: list[exp.Expr] = []
    if group is not None:
        check_parts(group, frozenset({"expressions"}))
        named = [t.scope.resolved(tree) for tree in group.expressions]
    elif not any(map(_has_aggregate, shown)):
        refuse_if(node.args.get("having") is not None, "HAVING without groups: it is a WHERE of MySQL's")
        return ""
    missing = [column for tree in shown for column in _open(t, tree, named)]
    if missing and not t.covered:
        raise Untranslatable(
            f"it groups by fewer columns than it shows ({missing[0].name}): MySQL takes the value of any row"
        )
    if missing and group is None:
        raise Untranslatable(f"it shows {missing[0].name} beside aggregates of all rows")
    keys, shown_once = [], {}
    for tree in named:
        value = _named(t, tree)
        keys.append(collate.key(value, t.context))
        if keys[-1] != value.sql:
            shown_once[tree] = collate.first(value)
    for column in missing:
        value = t.value(column)
        # Elsewhere a text is known to be equal only, not to be the same; so is a number of another type. But
        # to a query within, PostgreSQL shows only what the groups are made by.
        within = column.find_ancestor(exp.Select) is not node
        if t.scope.is_one_row(column, named) or (within and collate.key(value, t.context) == value.sql):
            keys.append(value.sql)
            continue
        shown_once[column] = collate.first(value)
        if collate.key(value, t.context) != value.sql:
            t.context.note(collate.SPELLING)
    if any(tree in shown_once for tree in named):
        t.context.note(collate.SPELLING)
    t.shown_once = shown_once
    return f" GROUP BY {', '.join(dict.fromkeys(keys))}" if keys else ""


def _named(t: QueryTranslator, tree: exp.Expr) -> Term:
    if any(called(call) == "nullif" for call in tree.find_all(exp.Anonymous)):
        raise Untranslatable("it groups by NULLIF, of which 8.0.15 splits the groups")
    value = t.value(tree)
    refuse_if(value.literal is not None or value.quotient, "it groups by a constant or a quotient")
    return value


def _shown(node: exp.Select) -> Iterator[exp.Expr]:
    """All trees that are evaluated once a group."""
    for item in node.expressions:
        yield item.unalias()
    if node.args.get("having") is not None:
        yield node.args["having"].this
    if node.args.get("order") is not None:
        yield from (item.this for item in node.args["order"].expressions)


def _is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, exp.GroupConcat) or called(node) in NAMES


def _has_aggregate(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Select | exp.Union):
        return False
    inner = tree.this if isinstance(tree, exp.Window) else tree
    itself = inner is tree and _is_aggregate(tree)
    return itself or any(_has_aggregate(child) for child in inner.iter_expressions())


def _open(
    t: QueryTranslator, tree: exp.Expr, named: list[exp.Expr], hidden: Set[str] = frozenset()
) -> Iterator[exp.Column]:
    """The columns in a tree that no aggregate and no named key covers; a query within hides some tables."""
    if isinstance(tree, exp.Select | exp.Union):
        # Its own tables, and names without a table, which are looked for among them first.
        tables = (part for part in walk_in_scope(tree) if isinstance(part, exp.Table | exp.Subquery))
        hidden |= {"", *(table.alias_or_name.lower() for table in tables)}
    tree = tree if hidden else t.scope.resolved(tree)
    if tree in named or (_is_aggregate(tree) and not isinstance(tree.parent, exp.Window)):
        return
    if isinstance(tree, exp.Column):
        table = tree.table.lower()
        if table not in hidden and (table in t.scope.relations or not table):
            yield tree
        return
    for child in tree.iter_expressions():
        yield from _open(t, child, named, hidden)
