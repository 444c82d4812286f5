"""Shards of one schema merged into one target schema: each is migrated into a schema of its own first.

Then the target alone merges them, in one transaction: `plan` has the planner make the merged schema, `run`
fills it from the shards' tables, and proves that it holds their rows before it commits.
"""

from __future__ import annotations

from dataclasses import dataclass

from converge.model.arguments import Checked
from converge.model.endpoint import Endpoint
from converge.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Merge(Checked):
    """Shards that go into one schema, when each of them is migrated."""

    name: str
    source: str
    """The pattern's address: with the schema it is what the ledger calls the merge."""
    target: Endpoint
    schema: str
    shards: tuple[str, ...]
    """Names of their moves."""
    column: str = ""
    """Holds these names, in tables and keys; empty where the keys of the shards are disjoint."""
    expected: Plan | None = None
    """What was planned before: nothing is written where the merge would be another now."""
