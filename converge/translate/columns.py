"""Names: what a column in an expression stands for, in one table or in a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from sqlglot import exp

from converge.model.catalog import Column, Table
from converge.model.quote import fit, pg_name
from converge.model.table_plan import ColumnPlan
from converge.translate.context import Untranslatable, refuse_if
from converge.translate.parse import bare
from converge.translate.term import ODDLY, Kind, Term
from converge.types import base_name
from converge.types.binary import Binary
from converge.types.forms import PADDED
from converge.types.text import Text

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64, "year": 16}
_INTEGERS = frozenset(_BITS)
_STRINGS = Text.types | Binary.types
_MOMENTS = frozenset({"datetime", "timestamp"})
_KINDS: tuple[tuple[Kind, tuple[str, ...], frozenset[str]], ...] = (
    ("bool", ("boolean",), _INTEGERS | {"bit"}),
    ("int", ("smallint", "integer", "bigint"), _INTEGERS),
    ("decimal", ("numeric",), _INTEGERS | {"decimal"}),
    ("double", ("real", "double precision"), frozenset({"float", "double"})),
    ("text", ("varchar", "character varying", "text", "citext"), _STRINGS),
    ("date", ("date",), frozenset({"date"})),
    ("datetime", ("timestamp", "timestamp without time zone"), _MOMENTS),
    ("instant", ("timestamp with time zone",), _MOMENTS),
    ("time", ("interval",), frozenset({"time"})),
    ("clock", ("time", "time without time zone"), frozenset({"time"})),
    ("json", ("json", "jsonb"), frozenset({"json"})),
    ("bytes", ("bytea",), Binary.types),
    ("set", ("text[]",), frozenset({"set"})),
    ("uuid", ("uuid",), _STRINGS),
)
"""The kinds that PostgreSQL's types have, and the MySQL types of which each is the same kind of value; of any
other type the target has another value, as of a DATE that a map makes a text."""
_OF_TYPE = {type_: (kind, natural) for kind, types, natural in _KINDS for type_ in types}


def column_term(column: Column, plan: ColumnPlan, reference: str) -> Term:
    """The value of a column that `reference` names in PostgreSQL."""
    base = base_name(plan.target_type)
    kind, natural = _OF_TYPE.get(base, ("opaque", frozenset[str]()))
    if column.type == "enum":
        # A native type is none of PostgreSQL's own.
        native = kind == "opaque" and base not in PADDED
        kind = "enum" if native else "text" if kind == "text" else "opaque"
    elif column.type not in natural or (kind == "text" and column.type == "binary"):
        # BINARY(n) as a text lacks the zero bytes that fill it up.
        kind = "opaque"
    elif kind == "decimal" and column.type in _INTEGERS:
        kind = "int"
    scale = column.scale or 0 if kind == "decimal" else column.fsp
    most = 10 ** (column.precision - scale) if kind == "decimal" and column.precision else 0
    if kind == "int":
        most = 2 ** (_BITS[column.type] - (not column.unsigned))
    return Term(
        reference,
        kind,
        scale=scale,
        digits=scale,
        most=most,
        collation="binary" if kind == "text" and column.type in Binary.types else column.collation or "",
        alike=_alike(column, plan),
        unpadded=column.type == "char",
        # MySQL takes no two labels that its collation takes for the same.
        one_spelling=column.type == "enum",
        labels=column.labels,
        unsigned=column.unsigned,
        source="zerofill" if column.zerofill else column.type,
    )


def _alike(column: Column, plan: ColumnPlan) -> str:
    if plan.collation and plan.collation.endswith(f".{pg_name(column.collation or '')}"):
        return column.collation or ""
    return ODDLY if plan.collation or base_name(plan.target_type) == "citext" else ""


class Columns:
    """Where a translation looks up columns: nowhere, for expressions of no table."""

    def find(self, node: exp.Column) -> Term:
        """The value of a column. Raises Untranslatable when it is not there."""
        raise Untranslatable(f"the type of {node.name} is not known here")


class TableColumns(Columns):
    """The columns of one table, as its CHECKs, indexes and generated columns see them."""

    def __init__(self, table: Table, plans: Mapping[str, ColumnPlan]) -> None:
        self.table = table
        self._plans = {plan.source.lower(): plan for plan in plans.values()}

    def plan(self, name: str) -> ColumnPlan:
        """The plan of a column. Raises Untranslatable when there is none."""
        plan = self._plans.get(name.lower())
        if plan is None:
            raise Untranslatable(f"it reads {name}, which is not migrated")
        return plan

    def find(self, node: exp.Column) -> Term:
        plan = self.plan(node.name)
        return column_term(self.table.column(plan.source), plan, pg_name(plan.target))


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the target, or a query in FROM."""

    sql: str
    """Its qualified name in the target."""
    columns: Mapping[str, Term]
    """Its columns by their source names in lower case; their `sql` is the quoted name in the target."""
    keys: Sequence[Set[str]] = ()
    """Columns of each that tell its rows apart, by the same names."""


Find = Callable[[str, str], Relation]
"""The relation of a database and a name in the source. Raises Untranslatable."""


@dataclass(frozen=True, slots=True)
class Query:
    """A translated query with the names and values of its columns."""

    sql: str
    outputs: tuple[tuple[str, Term], ...]
    keys: Sequence[Set[int]] = ()
    """Places of columns, those of each tell its rows apart."""

    def relation(self, sql: str, names: Sequence[str] = ()) -> Relation:
        """The query as something to read from, under other column names if they are given."""
        shown = names or [name for name, _ in self.outputs]
        columns = {
            name.lower(): replace(value, sql=pg_name(fit(name)), literal=None, volatile=False)
            for name, (_, value) in zip(shown, self.outputs, strict=True)
        }
        keys = [{shown[place].lower() for place in key} for key in self.keys]
        return Relation(sql, columns, keys)


@dataclass(slots=True)
class Scope(Columns):
    """The names that one SELECT sees; what it does not know is looked for around it."""

    outer: Scope | None = None
    relations: dict[str, Mapping[str, Term]] = field(default_factory=dict)
    keys: dict[str, Sequence[Set[str]]] = field(default_factory=dict)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    """Select items by their alias, in HAVING, GROUP BY and ORDER BY."""

    def add(self, alias: str, relation: Relation) -> None:
        refuse_if(alias.lower() in self.relations, f"two tables are called {alias}")
        self.relations[alias.lower()] = {
            name: replace(value, sql=f"{pg_name(fit(alias))}.{value.sql}")
            for name, value in relation.columns.items()
        }
        self.keys[alias.lower()] = relation.keys

    def is_one_row(self, column: exp.Column, named: Sequence[exp.Expr]) -> bool:
        """Whether these trees have a key of the column's table."""
        table = column.table.lower()
        names = {
            tree.name.lower()
            for tree in named
            if isinstance(tree, exp.Column) and tree.table.lower() == table
        }
        return any(key <= names for key in self.keys.get(table, ()))

    def resolved(self, tree: exp.Expr) -> exp.Expr:
        """The tree without parentheses, of an alias what it stands for."""
        tree = bare(tree)
        if isinstance(tree, exp.Column) and not tree.table:
            return bare(self.aliases.get(tree.name.lower(), tree))
        return tree

    def find(self, node: exp.Column) -> Term:
        table, name = node.table.lower(), node.name.lower()
        found = [
            columns[name]
            for alias, columns in self.relations.items()
            if name in columns and table in ("", alias)
        ]
        refuse_if(len(found) > 1, f"{node.name} is ambiguous")
        if found:
            return found[0]
        if self.outer is not None and table not in self.relations:
            return self.outer.find(node)
        where = f"{node.table}." if table else ""
        raise Untranslatable(f"it reads {where}{node.name}, which is not migrated")
