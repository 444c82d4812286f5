"""SELECT: a view's query over the target's tables, clause by clause; UNION and WITH.

Each subquery gets a translator of its own that sees the names of the one around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from sqlglot import exp

from converge.model.quote import fit, pg_name
from converge.translate import aggregates, choices, collate, compare
from converge.translate.columns import Find, Query, Relation, Scope
from converge.translate.context import Context, Untranslatable, refuse_if, unlisted
from converge.translate.parse import check_parts
from converge.translate.term import INTEGERS, NUMBERS, TIMES, Term, plain
from converge.translate.translator import Translator

_SELECT = frozenset(
    {"expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct",
     "with_", "windows", "operation_modifiers"}
)  # fmt: skip
_UNION = frozenset({"this", "expression", "distinct", "order", "limit", "offset", "with_"})
_RECURSIVE = {"int": "bigint", "text": "text", "date": "date", "datetime": "timestamp", "decimal": "numeric"}
_SORTED_TEXTS = "LIMIT after texts are sorted by a collation that the target lacks"
_RECURSIVE_TEXTS = "a recursive UNION of texts, which PostgreSQL takes for the same only by their bytes"
_DIFFERENT_WIDTH = "a UNION of different numbers of columns"

Digits = Literal["shown", "kept", "refused"]
"""A quotient has more digits than it shows. A view shows its own, a scalar subquery keeps them all for what
is calculated with it (tried on 8.0.15 and 8.0.33), and a derived table may do either."""


class QueryTranslator(Translator):
    """Translates one SELECT."""

    def __init__(
        self,
        find: Find,
        context: Context,
        *,
        covered: bool | None,
        outer: Scope | None = None,
        queries: Mapping[str, Relation] | None = None,
    ) -> None:
        self.scope = Scope(outer)
        super().__init__(self.scope, context)
        self.find = find
        self.covered = covered
        """Whether MySQL accepts the view under ONLY_FULL_GROUP_BY; None when it was not asked."""
        self.queries = dict(queries or {})
        self.windows: dict[str, exp.Window] = {}
        self.shown_once: dict[exp.Expr, Term] = {}
        """What stands for a tree in a group of rows that are equal in MySQL only."""

    def inside(self, node: exp.Expr, *, sees: bool = True, digits: Digits = "refused") -> Query:
        """A query within this one; it sees this one's tables, or only what is around this one."""
        outer = self.scope if sees else self.scope.outer
        inner = QueryTranslator(
            self.find, self.context, covered=self.covered, outer=outer, queries=self.queries
        )
        return inner.query(node, digits=digits)

    # --- expressions that only queries have -------------------------------------------------------------

    def node(self, node: exp.Expr) -> Term:
        if self.shown_once and node in self.shown_once:
            return self.shown_once[node]
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in self.scope.aliases:
            # What stands for it sees no names.
            aliases, self.scope.aliases = self.scope.aliases, {}
            value = self.value(aliases[node.name.lower()])
            self.scope.aliases = aliases
            return value
        if isinstance(node, exp.GroupConcat):
            return aggregates.group_concat(self, node)
        if isinstance(node, exp.Window):
            return aggregates.window(self, node)
        if isinstance(node, exp.Exists):
            return Term(f"EXISTS ({self.inside(node.this).sql})", "bool")
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select | exp.Union):
            check_parts(node, frozenset({"this"}))
            query = self.inside(node.this, digits="kept")
            (_, value), *rest = query.outputs
            refuse_if(rest, "a subquery with several columns is taken for a value")
            refuse_if(value.source == "float", "how many digits a FLOAT has that comes out of a subquery")
            return replace(value, sql=f"({query.sql})", source="", literal=None)
        return super().node(node)

    def call(self, name: str, args: Sequence[exp.Expr]) -> Term:
        if name in aggregates.NAMES:
            return aggregates.aggregate(self, name, args)
        return super().call(name, args)

    def in_query(self, left: exp.Expr, query: exp.Expr) -> Term:
        """x IN (SELECT …), or (x, y) IN (SELECT …), compared as MySQL compares."""
        inner = self.inside(query)
        lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
        refuse_if(len(lefts) != len(inner.outputs), "IN compares with another number of columns")
        names = _names(inner)
        pairs = [
            compare.operands(self.value(one), replace(value, sql=f"q.{name}"), "=", self.context)
            for one, name, (_, value) in zip(lefts, names, inner.outputs, strict=True)
        ]
        found = ", ".join(right for _, right in pairs)
        wanted = ", ".join(left for left, _ in pairs)
        rows = f"SELECT {found} FROM ({inner.sql}) AS q ({', '.join(names)})"
        return Term(f"({f'({wanted})' if len(pairs) > 1 else wanted} IN ({rows}))", "bool")

    def order(self, node: exp.Expr, as_key: Callable[[Term], Term] = lambda value: value) -> list[str]:
        """The keys of an ORDER BY; constants sort nothing."""
        keys = []
        for item in node.expressions:
            check_parts(item, frozenset({"this", "desc", "nulls_first"}))
            if not isinstance(item.this, exp.Literal | exp.Null):
                keys.append(self.sorted(as_key(self.value(item.this)), bool(item.args.get("desc"))))
        return keys

    def sorted(self, value: Term, descending: bool) -> str:
        """One key; MySQL takes NULL for the least value, and sorts quotients by the digits that it shows."""
        refuse_if(value.kind in ("set", "json", "opaque", "uuid"), f"rows are sorted by {value.described}")
        if value.labels and value.source != "enum":
            raise Untranslatable("rows are sorted by a computed ENUM, which MySQL sorts as a text")
        if value.kind in TIMES:
            value.time()
        sql = collate.order_key(value, self.context) if value.kind == "text" else value.shown()
        return f"{sql} DESC NULLS LAST" if descending else f"{sql} NULLS FIRST"

    def condition(self, node: exp.Expr) -> str:
        """A condition by itself, for which MySQL takes a number as an integer."""
        value = self.value(node)
        refuse_if(value.kind in ("decimal", "double"), f"a {value.kind} alone is taken for a condition")
        return value.truth()

    # --- queries ----------------------------------------------------------------------------------------

    def query(self, node: exp.Expr, *, digits: Digits = "refused") -> Query:
        """A SELECT or a UNION; `digits` says what becomes of a quotient. Raises Untranslatable."""
        if isinstance(node, exp.Subquery):
            check_parts(node, frozenset({"this"}))
            return self.query(node.this, digits=digits)
        begin = _with_clause(self, node)
        if isinstance(node, exp.Union):
            query = _union(self, node)
        elif isinstance(node, exp.Select):
            query = self._select(node, digits)
        else:
            raise unlisted(type(node).__name__)
        return replace(query, sql=begin + query.sql)

    def _select(self, node: exp.Select, digits: Digits) -> Query:
        check_parts(node, _SELECT)
        from_ = _from_clause(self, node)
        where = node.args.get("where")
        condition = f" WHERE {self.condition(where.this)}" if where is not None else ""
        self.windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        # Within expressions MySQL prints no names.
        items = [
            (item.alias_or_name or f"c{number}", item.unalias())
            for number, item in enumerate(node.expressions, 1)
        ]
        aliases = {name.lower(): tree for name, tree in items}
        if digits == "kept" and node.args.get("group") is not None:
            digits = "refused"
        self.scope.aliases = aliases
        group = aggregates.group_by(self, node)
        self.scope.aliases = {}
        outputs = [(name, _shown(self.value(tree), digits)) for name, tree in items]
        self.scope.aliases = aliases
        having = node.args.get("having")
        if having is not None:
            group += f" HAVING {self.condition(having.this)}"
        columns = ", ".join(f"{value.sql} AS {pg_name(fit(name))}" for name, value in outputs)
        sql = f"SELECT {columns}{from_}{condition}{group}"
        distinct = node.args.get("distinct")
        order = self.order_by(node, None if distinct is None else dict(outputs))
        if distinct is not None:
            check_parts(distinct, frozenset())
            sql = collate.distinct(sql, outputs, self.context)
            if order:
                sql = f"SELECT * FROM ({sql}) AS q"
        keys = () if group else _shown_keys(self.scope, [tree for _, tree in items])
        return Query(f"{sql}{order}{self.limit(node)}", tuple(outputs), keys)

    def order_by(self, node: exp.Expr, outputs: Mapping[str, Term] | None) -> str:
        """ORDER BY; of a UNION, and beside DISTINCT, by the names of what is selected."""
        order = node.args.get("order")
        if order is None:
            return ""
        if outputs is None:
            keys = self.order(order)
        else:
            values = [self._selected(item.this, outputs) for item in order.expressions]
            limited = isinstance(node, exp.Union) and node.args.get("limit") is not None
            refuse_if(limited and any(value.kind == "text" for value in values), _SORTED_TEXTS)
            descending = [bool(item.args.get("desc")) for item in order.expressions]
            keys = list(map(self.sorted, values, descending))
        return f" ORDER BY {', '.join(keys)}" if keys else ""

    def _selected(self, tree: exp.Expr, outputs: Mapping[str, Term]) -> Term:
        """What is selected as this tree, by its name."""
        trees, name = self.scope.aliases, ""
        if isinstance(tree, exp.Column) and not tree.table:
            name = tree.name.lower()
        wanted = trees.get(name, tree)
        for output, value in outputs.items():
            if output.lower() == name or trees.get(output.lower()) == wanted:
                return replace(value, sql=pg_name(fit(output)))
        raise Untranslatable("rows of DISTINCT or UNION are sorted by something that is not selected")

    def limit(self, node: exp.Expr) -> str:
        """LIMIT and OFFSET; which rows they leave must not depend on a collation."""
        sql = ""
        for word, part in (("LIMIT", node.args.get("limit")), ("OFFSET", node.args.get("offset"))):
            if part is not None:
                if not isinstance(part.expression, exp.Literal) or not part.expression.name.isdigit():
                    raise unlisted(f"{word} without a number")
                sql += f" {word} {part.expression.name}"
        order = node.args.get("order")
        if sql and order is None:
            self.context.note("LIMIT without ORDER BY: which rows are returned is undefined on both servers")
        elif sql and order is not None and isinstance(node, exp.Select):
            for item in order.expressions:
                value = self.value(item.this)
                exact = value.labels or value.collation.endswith(("_bin", "binary"))
                refuse_if(value.kind == "text" and not exact, _SORTED_TEXTS)
        return sql


def _shown(value: Term, digits: Digits) -> Term:
    """A value as a column of the result: a condition is 0 or 1, a quotient has its digits."""
    if value.kind == "bool" and not value.source:
        return replace(value, sql=f"{value.sql}::int", kind="int")
    if value.quotient and digits != "kept":
        if digits == "refused":
            raise Untranslatable("a quotient in a subquery: how many digits MySQL keeps depends on its plan")
        return replace(value, sql=value.shown(), digits=value.scale)
    if value.kind == "uuid" and not value.source:
        return replace(value, sql=f"{value.sql}::text", kind="text")
    refuse_if(value.kind == "text" and value.collation == "binary" and value.explicit, "a text becomes bytes")
    if value.kind == "text" and value.literal is not None:
        return replace(value, sql=f"{value.sql}::text")
    return value


def _shown_keys(scope: Scope, trees: Sequence[exp.Expr]) -> list[set[int]]:
    """The keys of the one relation that is read, by the places at which they are shown."""
    (alias, keys), *others = scope.keys.items() or [("", ())]
    places = {
        tree.name.lower(): place
        for place, tree in enumerate(trees)
        if isinstance(tree, exp.Column) and tree.table.lower() in ("", alias)
    }
    return [{places[name] for name in key} for key in keys if not others and key <= places.keys()]


def _names(query: Query) -> list[str]:
    """Names for the columns of a query that is read as q (c1, c2 …)."""
    return [f"c{number}" for number in range(1, len(query.outputs) + 1)]


def _head(alias: str, names: Sequence[str]) -> str:
    columns = f" ({', '.join(pg_name(fit(name)) for name in names)})" if names else ""
    return pg_name(fit(alias)) + columns


# --- FROM -----------------------------------------------------------------------------------------------


def _from_clause(t: QueryTranslator, node: exp.Select) -> str:
    """The FROM clause; makes its tables known to the translator's scope."""
    from_ = node.args.get("from_")
    if from_ is None or (isinstance(from_.this, exp.Table) and from_.this.name.lower() == "dual"):
        return ""
    sql = _source(t, from_.this)
    return f" FROM {sql}" + "".join(_join(t, join) for join in node.args.get("joins") or [])


def _source(t: QueryTranslator, node: exp.Expr) -> str:
    """A table, a derived table, or a join in parentheses, under the name that the query calls it by."""
    if isinstance(node, exp.Table):
        # Index hints say nothing about the result.
        check_parts(node, frozenset({"this", "db", "alias", "hints", "joins"}))
        alias = node.alias or node.name
        known = t.queries.get(node.name.lower()) if not node.db else None
        relation = known or t.find(node.db, node.name)
        t.scope.add(alias, relation)
        sql = f"{relation.sql} AS {pg_name(fit(alias))}"
    elif not isinstance(node, exp.Subquery):
        raise unlisted(f"{type(node).__name__} in FROM")
    elif isinstance(node.this, exp.Table | exp.Subquery) and not node.alias:
        check_parts(node, frozenset({"this", "joins"}))
        sql = _source(t, node.this)
    else:
        check_parts(node, frozenset({"this", "alias", "joins"}))
        inner = t.inside(node.this, sees=False)
        names = [column.name for column in node.args["alias"].columns] if node.args.get("alias") else []
        t.scope.add(node.alias, inner.relation("", names))
        sql = f"({inner.sql}) AS {_head(node.alias, names)}"
    joins = node.args.get("joins")
    return f"({sql}{''.join(_join(t, join) for join in joins)})" if joins else sql


def _join(t: QueryTranslator, node: exp.Join) -> str:
    check_parts(node, frozenset({"this", "on", "side", "kind"}))
    side, kind = str(node.side or "").upper(), str(node.kind or "").upper()
    if side not in ("", "LEFT", "RIGHT") or kind not in ("", "INNER", "OUTER", "CROSS", "STRAIGHT_JOIN"):
        raise unlisted(f"{side} {kind} join".strip())
    sql = _source(t, node.this)
    on = node.args.get("on")
    if on is None:
        return f" CROSS JOIN {sql}"
    return f" {side + ' ' if side else ''}JOIN {sql} ON {t.condition(on)}"


# --- UNION ----------------------------------------------------------------------------------------------


def _union(t: QueryTranslator, node: exp.Union) -> Query:
    """Two queries of one shape; columns of different kinds are brought together as MySQL does it."""
    check_parts(node, _UNION)
    left, right = (t.inside(side, sees=False) for side in (node.this, node.expression))
    refuse_if(len(left.outputs) != len(right.outputs), _DIFFERENT_WIDTH)
    pairs = zip(left.outputs, right.outputs, strict=True)
    columns = [_together(t, a, b, f"q.c{number}") for number, ((_, a), (_, b)) in enumerate(pairs, 1)]
    names = [name for name, _ in left.outputs]
    a = _converted(left, names, [sql for _, (sql, _) in columns])
    b = _converted(right, names, [sql for _, (_, sql) in columns])
    sql = f"({a}) UNION ALL ({b})"
    outputs = tuple((name, model) for name, (model, _) in zip(names, columns, strict=True))
    if node.args.get("distinct"):
        sql = collate.distinct(sql, outputs, t.context)
    if node.args.get("order") is not None:
        sql = f"SELECT * FROM ({sql}) AS q"
    return Query(sql + t.order_by(node, dict(outputs)) + t.limit(node), outputs)


def _together(t: QueryTranslator, left: Term, right: Term, reference: str) -> tuple[Term, list[str]]:
    """The kind of a column of a UNION, and what makes each side's column `reference` that kind."""
    kinds, sources, both = {left.kind, right.kind}, {left.source, right.source}, (left, right)
    if kinds <= INTEGERS and left.unsigned != right.unsigned:
        large = any(value.unsigned and value.source in ("", "bigint") for value in both)
        # 8.0.15 takes the type of one side and cuts what does not fit.
        if large or (left.literal is None and right.literal is None):
            raise Untranslatable("a UNION of a signed and an UNSIGNED column")
    refuse_if(sources == {"year", "tinyint"}, "a UNION of a YEAR and a TINYINT, which MySQL cuts to TINYINT")
    # 10 UNION 0.25 is 9.99 in 8.0.15.
    cut = any(value.kind == "int" and value.computed for value in both) or len(left.literal or "") > 1
    refuse_if(kinds == {"int", "decimal"} and cut, "a UNION of a decimal and an integer, which MySQL may cut")
    if not kinds <= NUMBERS | {"null"} and any(value.kind == "decimal" and value.computed for value in both):
        raise Untranslatable("a UNION of a calculated number and a text, which shows digits by the row")
    refuse_if("null" in kinds and "enum" in sources, "a UNION of an ENUM and NULL, which stays an ENUM")
    refuse_if("float" in sources and len(sources) > 1, "a UNION of a FLOAT and another number")
    if len(kinds) == 1 and left.labels == right.labels and left.kind not in ("decimal", "text"):
        source = left.source if len(sources) == 1 else ""
        return plain(replace(left, literal=None, source=source)), [reference, reference]
    values = [
        replace(value, sql="NULL" if value.kind == "null" else reference, literal=None) for value in both
    ]
    return choices.common(values, t.context)


def _converted(query: Query, names: Sequence[str], sqls: Sequence[str]) -> str:
    """The query with its columns, which are called q.c1, q.c2 … here, converted."""
    columns = _names(query)
    if all(sql in (f"q.{column}", "NULL") for sql, column in zip(sqls, columns, strict=True)):
        return query.sql
    items = ", ".join(f"{sql} AS {pg_name(fit(name))}" for name, sql in zip(names, sqls, strict=True))
    return f"SELECT {items} FROM ({query.sql}) AS q ({', '.join(columns)})"


# --- WITH -----------------------------------------------------------------------------------------------


def _with_clause(t: QueryTranslator, node: exp.Expr) -> str:
    """WITH name AS (…), …; the names are known to the query from then on."""
    clause = node.args.get("with_")
    if clause is None:
        return ""
    check_parts(clause, frozenset({"expressions", "recursive"}))
    parts = []
    for part in clause.expressions:
        check_parts(part, frozenset({"this", "alias"}))
        names = [column.name for column in part.args["alias"].columns]
        tables = {table.name.lower() for table in part.this.find_all(exp.Table)}
        if clause.args.get("recursive") and part.alias.lower() in tables:
            sql = _recursive(t, part.alias, names, part.this)
        else:
            inner = t.inside(part.this, sees=False)
            t.queries[part.alias.lower()] = inner.relation(pg_name(fit(part.alias)), names)
            sql = inner.sql
        parts.append(f"{_head(part.alias, names)} AS ({sql})")
    return f"WITH {'RECURSIVE ' if clause.args.get('recursive') else ''}{', '.join(parts)} "


def _recursive(t: QueryTranslator, alias: str, names: Sequence[str], node: exp.Expr) -> str:
    """The first part gives the columns their types, in MySQL as in PostgreSQL."""
    if not isinstance(node, exp.Union) or not isinstance(node.this, exp.Select):
        raise unlisted("a recursive query of more than two parts")
    check_parts(node, frozenset({"this", "expression", "distinct"}))
    first = t.inside(node.this, sees=False)
    # Rows of the second part may have the same key.
    t.queries[alias.lower()] = replace(first, keys=()).relation(pg_name(fit(alias)), names)
    second = t.inside(node.expression, sees=False)
    refuse_if(len(first.outputs) != len(second.outputs), _DIFFERENT_WIDTH)
    casts = []
    distinct = node.args.get("distinct")
    pairs = zip(first.outputs, second.outputs, strict=True)
    for number, ((_, a), (_, b)) in enumerate(pairs, 1):
        computed = a.kind in ("text", "decimal") and not (a.source and b.source)
        refuse_if(
            a.kind not in _RECURSIVE or b.kind not in (a.kind, "null") or computed,
            f"a recursive query calculates a {a.kind}, which MySQL cuts to the first part's length",
        )
        bytewise = all(collate.key(value, Context()) == value.sql for value in (a, b))
        refuse_if(distinct and not bytewise, _RECURSIVE_TEXTS)
        casts.append(f"q.c{number}::{_RECURSIVE[a.kind]}")
    labels = [name for name, _ in first.outputs]
    word = "UNION" if distinct else "UNION ALL"
    return f"{_converted(first, labels, casts)} {word} {_converted(second, labels, casts)}"
