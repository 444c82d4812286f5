"""SELECT: a view's query over the target's tables, clause by clause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlglot import exp

from converge.model.names import fit
from converge.model.quote import pg_name
from converge.translate import aggregates, collate, compare, convert, grouping, sources
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.parse import check_parts
from converge.translate.relations import Find, Relation, Scope
from converge.translate.terms import Terms
from converge.translate.translator import Translator
from converge.translate.values import TIMES, Value

_SELECT = frozenset(
    {"expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct",
     "with_", "windows", "operation_modifiers"}
)  # fmt: skip


Digits = Literal["shown", "kept", "refused"]
"""A quotient has more digits than it shows. A view shows its own, a scalar subquery keeps them all for what
is calculated with it (tried on 8.0.15 and 8.0.33), and a derived table may do either."""


@dataclass(frozen=True, slots=True)
class Query:
    """A translated query with the names and values of its columns."""

    sql: str
    outputs: tuple[tuple[str, Value], ...]

    def relation(self, sql: str, names: Sequence[str] = ()) -> Relation:
        """The query as something to read from, under other column names if they are given."""
        shown = names or [name for name, _ in self.outputs]
        columns = {
            name.lower(): replace(value, sql=pg_name(fit(name)), literal=None, volatile=False)
            for name, (_, value) in zip(shown, self.outputs, strict=True)
        }
        return Relation(sql, columns)


class QueryTranslator(Translator):
    """Translates one SELECT; each subquery gets a translator of its own that sees this one's names."""

    def __init__(
        self,
        find: Find,
        terms: Terms,
        *,
        covered: bool | None,
        outer: Scope | None = None,
        queries: Mapping[str, Relation] | None = None,
    ) -> None:
        self.scope = Scope(outer)
        super().__init__(self.scope, terms)
        self.find = find
        self.covered = covered
        """Whether MySQL accepts the view under ONLY_FULL_GROUP_BY; None when it was not asked."""
        self.queries = dict(queries or {})
        self.windows: dict[str, exp.Window] = {}
        self.shown_once: dict[exp.Expr, Value] = {}
        """What stands for a tree in a group of rows that are equal in MySQL only."""

    def inside(self, outer: Scope | None) -> QueryTranslator:
        """A translator for a query within this one."""
        return QueryTranslator(self.find, self.terms, covered=self.covered, outer=outer, queries=self.queries)

    # --- expressions that only queries have -------------------------------------------------------------

    def value(self, node: exp.Expr) -> Value:
        if self.shown_once and node in self.shown_once:
            return self.shown_once[node]
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in self.scope.aliases:
            return self.value(self.scope.aliases[node.name.lower()])
        if isinstance(node, exp.GroupConcat):
            return aggregates.group_concat(self, node)
        if isinstance(node, exp.Window):
            return aggregates.window(self, node)
        if isinstance(node, exp.Exists):
            return Value(f"EXISTS ({self.inside(self.scope).query(node.this).sql})", "bool")
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select | exp.Union):
            check_parts(node, frozenset({"this"}))
            query = self.inside(self.scope).query(node.this, digits="kept")
            (_, value), *rest = query.outputs
            if rest:
                raise Untranslatable("a subquery with several columns is taken for a value")
            if value.source == "float":
                raise Untranslatable("how many digits a FLOAT has that comes out of a subquery")
            return replace(value, sql=f"({query.sql})", source="", literal=None)
        return super().value(node)

    def call(self, name: str, args: Sequence[exp.Expr]) -> Value:
        if name in aggregates.NAMES:
            return aggregates.aggregate(self, name, args)
        return super().call(name, args)

    def in_query(self, left: exp.Expr, query: exp.Expr) -> Value:
        """x IN (SELECT …), or (x, y) IN (SELECT …), compared as MySQL compares."""
        inner = self.inside(self.scope).query(query)
        lefts = left.expressions if isinstance(left, exp.Tuple) else [left]
        if len(lefts) != len(inner.outputs):
            raise Untranslatable("IN compares with another number of columns")
        names = [f"c{number}" for number in range(1, len(lefts) + 1)]
        pairs = [
            compare.operands(self.value(one), replace(value, sql=f"q.{name}"), "=", self.terms)
            for one, name, (_, value) in zip(lefts, names, inner.outputs, strict=True)
        ]
        found = ", ".join(right for _, right in pairs)
        wanted = ", ".join(left for left, _ in pairs)
        rows = f"SELECT {found} FROM ({inner.sql}) AS q ({', '.join(names)})"
        return Value(f"({'(' + wanted + ')' if len(pairs) > 1 else wanted} IN ({rows}))", "bool")

    def order(self, node: exp.Expr) -> list[str]:
        """The keys of an ORDER BY; constants sort nothing."""
        keys = []
        for item in node.expressions:
            check_parts(item, frozenset({"this", "desc", "nulls_first"}))
            if not isinstance(item.this, exp.Literal | exp.Null):
                keys.append(self.sorted(self.value(item.this), bool(item.args.get("desc"))))
        return keys

    def sorted(self, value: Value, descending: bool) -> str:
        """One key; MySQL takes NULL for the least value."""
        if value.kind in ("set", "json", "opaque", "uuid"):
            raise Untranslatable(f"rows are sorted by a {value.kind}")
        if value.labels and value.source != "enum":
            raise Untranslatable("rows are sorted by a computed ENUM, which MySQL sorts as a text")
        if value.kind in TIMES:
            convert.time(value)
        sql = collate.order_key(value, self.terms) if value.kind == "text" else value.sql
        return f"{sql} DESC NULLS LAST" if descending else f"{sql} NULLS FIRST"

    def condition(self, node: exp.Expr) -> str:
        """A condition by itself, for which MySQL takes a number as an integer."""
        value = self.value(node)
        if value.kind in ("decimal", "double"):
            raise Untranslatable(f"a {value.kind} alone is taken for a condition")
        return convert.truth(value)

    # --- queries ----------------------------------------------------------------------------------------

    def query(self, node: exp.Expr, *, digits: Digits = "refused") -> Query:
        """A SELECT or a UNION; `digits` says what becomes of a quotient. Raises Untranslatable."""
        from converge.translate import unions

        if isinstance(node, exp.Subquery):
            check_parts(node, frozenset({"this"}))
            return self.query(node.this, digits=digits)
        begin = unions.with_clause(self, node)
        if isinstance(node, exp.Union):
            query = unions.union(self, node)
        elif isinstance(node, exp.Select):
            query = self._select(node, digits)
        else:
            raise unlisted(type(node).__name__)
        return replace(query, sql=begin + query.sql)

    def _select(self, node: exp.Select, digits: Digits) -> Query:
        check_parts(node, _SELECT)
        from_ = sources.from_clause(self, node)
        where = node.args.get("where")
        condition = f" WHERE {self.condition(where.this)}" if where is not None else ""
        self.windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        items = _items(node)
        if digits == "kept" and node.args.get("group") is not None:
            digits = "refused"
        self.scope.aliases = {name.lower(): tree for name, tree in items}
        group = grouping.group_by(self, node)
        self.scope.aliases = {}
        outputs = [(name, _shown(self.value(tree), digits)) for name, tree in items]
        self.scope.aliases = {name.lower(): tree for name, tree in items}
        having = node.args.get("having")
        if having is not None:
            group += f" HAVING {self.condition(having.this)}"
        columns = ", ".join(f"{value.sql} AS {pg_name(fit(name))}" for name, value in outputs)
        sql = f"SELECT {columns}{from_}{condition}{group}"
        distinct = node.args.get("distinct")
        order = self._order(node, dict(outputs) if distinct is not None else {})
        if distinct is not None:
            check_parts(distinct, frozenset())
            sql = collate.distinct(sql, outputs, self.terms)
            if order:
                sql = f"SELECT * FROM ({sql}) AS q"
        return Query(f"{sql}{order}{self.limit(node)}", tuple(outputs))

    def _order(self, node: exp.Select, distinct: dict[str, Value]) -> str:
        order = node.args.get("order")
        if order is None:
            return ""
        if distinct:
            # PostgreSQL sorts DISTINCT rows only by what is selected: by its name.
            keys = [_by_name(self, item, distinct, self.scope.aliases) for item in order.expressions]
        else:
            keys = self.order(order)
        return f" ORDER BY {', '.join(keys)}" if keys else ""

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
            self.terms.note("LIMIT without ORDER BY: which rows it leaves is open on both servers")
        elif sql and order is not None and isinstance(node, exp.Select):
            for item in order.expressions:
                value = self.value(item.this)
                exact = value.labels or value.collation.endswith(("_bin", "binary"))
                if value.kind == "text" and not exact:
                    raise Untranslatable("LIMIT after texts are sorted by a collation that the target lacks")
        return sql


def _items(node: exp.Select) -> list[tuple[str, exp.Expr]]:
    """What is selected, with its names; within expressions MySQL prints none."""
    return [
        (item.alias_or_name or f"c{number}", item.this if isinstance(item, exp.Alias) else item)
        for number, item in enumerate(node.expressions, 1)
    ]


def _shown(value: Value, digits: Digits) -> Value:
    """A value as a column of the result: a condition is 0 or 1, a quotient has its digits."""
    if value.kind == "bool" and not value.source:
        return replace(value, sql=f"{value.sql}::int", kind="int")
    if value.kind == "decimal" and value.digits > value.scale and digits != "kept":
        if digits == "refused":
            raise Untranslatable("a quotient in a subquery: how many digits MySQL keeps depends on its plan")
        return replace(value, sql=convert.shown(value), digits=value.scale)
    if value.kind == "uuid" and not value.source:
        return replace(value, sql=f"{value.sql}::text", kind="text")
    if value.kind == "text" and value.collation == "binary" and value.explicit:
        raise Untranslatable("a text becomes bytes")
    if value.kind == "text" and value.literal is not None:
        return replace(value, sql=f"{value.sql}::text")
    return value


def _by_name(
    t: QueryTranslator, item: exp.Expr, outputs: dict[str, Value], trees: Mapping[str, exp.Expr]
) -> str:
    """A key of ORDER BY beside DISTINCT, as the name of what is selected."""
    tree = item.this
    if isinstance(tree, exp.Column) and not tree.table:
        tree = trees.get(tree.name.lower())
    for name, value in outputs.items():
        if trees[name.lower()] == tree:
            return t.sorted(replace(value, sql=pg_name(fit(name))), bool(item.args.get("desc")))
    raise Untranslatable("DISTINCT rows are sorted by something that is not selected")
