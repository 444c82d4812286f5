"""Names: what a column in an expression stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlglot import exp

from converge.model.catalog import Table
from converge.model.plan import ColumnPlan
from converge.model.quote import pg_name
from converge.translate.errors import Untranslatable
from converge.translate.values import Value, column_value


class Columns(Protocol):
    """Where a translation looks up columns."""

    def find(self, node: exp.Column) -> Value:
        """The value of a column. Raises Untranslatable when it is not there."""


class TableColumns:
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

    def find(self, node: exp.Column) -> Value:
        """The value of a column. Raises Untranslatable when it is not there."""
        plan = self.plan(node.name)
        return column_value(self.table.column(plan.source), plan, pg_name(plan.target))


class NoColumns:
    """For expressions that are translated without knowledge of a table."""

    def find(self, node: exp.Column) -> Value:
        raise Untranslatable(f"the type of {node.name} is not known here")
