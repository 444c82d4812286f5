"""What a query reads: tables, views and derived tables with the values of their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from converge.model.names import fit
from converge.model.quote import pg_name
from converge.translate.errors import Untranslatable
from converge.translate.values import Value


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the target, or a query in FROM."""

    sql: str
    """Its qualified name in the target."""
    columns: Mapping[str, Value]
    """Its columns by their source names in lower case; their `sql` is the quoted name in the target."""


Find = Callable[[str, str], Relation]
"""The relation of a database and a name in the source. Raises Untranslatable."""


@dataclass(slots=True)
class Scope:
    """The names that one SELECT sees; what it does not know is looked for around it."""

    outer: Scope | None = None
    relations: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    """Select items by their alias, in HAVING, GROUP BY and ORDER BY."""

    def add(self, alias: str, relation: Relation) -> None:
        if alias.lower() in self.relations:
            raise Untranslatable(f"two tables are called {alias}")
        self.relations[alias.lower()] = {
            name: replace(value, sql=f"{pg_name(fit(alias))}.{value.sql}")
            for name, value in relation.columns.items()
        }

    def find(self, node: exp.Column) -> Value:
        """The value of a column. Raises Untranslatable."""
        table, name = node.table.lower(), node.name.lower()
        scope: Scope | None = self
        while scope is not None:
            found = [
                columns[name]
                for alias, columns in scope.relations.items()
                if name in columns and table in ("", alias)
            ]
            if len(found) > 1:
                raise Untranslatable(f"{node.name} is ambiguous")
            if found:
                return found[0]
            if table in scope.relations:
                break
            scope = scope.outer
        where = f"{node.table}." if table else ""
        raise Untranslatable(f"it reads {where}{node.name}, which is not migrated")
