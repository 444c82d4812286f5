"""The kinds of objects: one query ``define_<kind>.sql``, and one class here that knows its statements."""

from __future__ import annotations

from collections.abc import Mapping

from converge.model.definitions import Definition
from converge.planner.difference.kinds.column import Column, Default
from converge.planner.difference.kinds.constraint import Constraint, ForeignKey, Index
from converge.planner.difference.kinds.function import Aggregate, Function
from converge.planner.difference.kinds.hanging import Policy, Rule, Statistics, Trigger
from converge.planner.difference.kinds.kind import Change, Kind
from converge.planner.difference.kinds.schema import Extension, Schema
from converge.planner.difference.kinds.sequence import Ownership, OwnSequence
from converge.planner.difference.kinds.table import Table
from converge.planner.difference.kinds.types import Collation, Composite, Domain, Enum, Range
from converge.planner.difference.kinds.view import MaterializedView, View

KINDS: Mapping[str, Kind] = {
    "schema": Schema(),
    "extension": Extension(),
    "collation": Collation(),
    "enum": Enum(),
    "domain": Domain(),
    "composite": Composite(),
    "range": Range(),
    "sequence": OwnSequence(),
    "function": Function(),
    "aggregate": Aggregate(),
    "table": Table(),
    "column": Column(),
    "default": Default(),
    "ownership": Ownership(),
    "constraint": Constraint(),
    "foreign key": ForeignKey(),
    "index": Index(),
    "statistics": Statistics(),
    "view": View(),
    "materialized view": MaterializedView(),
    "rule": Rule(),
    "trigger": Trigger(),
    "policy": Policy(),
}


def kind_of(it: Definition) -> Kind:
    return KINDS[it.kind]


__all__ = ["KINDS", "Change", "Kind", "kind_of"]
