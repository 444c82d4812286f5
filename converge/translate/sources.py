"""FROM: tables, joins and derived tables, each under the name that the query calls it by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.names import fit
from converge.model.quote import pg_name
from converge.translate.errors import unlisted
from converge.translate.parse import check_parts

if TYPE_CHECKING:
    from converge.translate.query import QueryTranslator


def from_clause(t: QueryTranslator, node: exp.Select) -> str:
    """The FROM clause; makes its tables known to the translator's scope."""
    from_ = node.args.get("from_")
    if from_ is None or (isinstance(from_.this, exp.Table) and from_.this.name.lower() == "dual"):
        return ""
    sql = _source(t, from_.this)
    return f" FROM {sql}" + "".join(_join(t, join) for join in node.args.get("joins") or [])


def _source(t: QueryTranslator, node: exp.Expr) -> str:
    if isinstance(node, exp.Table):
        # Index hints say nothing about the result.
        check_parts(node, frozenset({"this", "db", "alias", "hints", "joins"}))
        sql = _table(t, node)
    elif _is_join(node):
        check_parts(node, frozenset({"this", "joins"}))
        sql = _source(t, node.this)
    elif isinstance(node, exp.Subquery):
        check_parts(node, frozenset({"this", "alias", "joins"}))
        sql = _derived(t, node)
    else:
        raise unlisted(f"{type(node).__name__} in FROM")
    if node.args.get("joins"):
        return f"({sql}{''.join(_join(t, join) for join in node.args['joins'])})"
    return sql


def _table(t: QueryTranslator, node: exp.Table) -> str:
    name = node.name
    if not node.db and name.lower() in t.queries:
        relation = t.queries[name.lower()]
    else:
        relation = t.find(node.db, name)
    t.scope.add(node.alias or name, relation)
    return f"{relation.sql} AS {pg_name(fit(node.alias or name))}"


def _derived(t: QueryTranslator, node: exp.Subquery) -> str:
    inner = t.inside(t.scope.outer).query(node.this)
    names = [column.name for column in node.args["alias"].columns] if node.args.get("alias") else []
    t.scope.add(node.alias, inner.relation("", names))
    columns = f" ({', '.join(pg_name(fit(name)) for name in names)})" if names else ""
    return f"({inner.sql}) AS {pg_name(fit(node.alias))}{columns}"


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


def _is_join(node: exp.Expr) -> bool:
    """Whether this is a join in parentheses."""
    return (
        isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery) and not node.alias
    )
