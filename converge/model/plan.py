"""What will be done, as values: the same for people, for JSON, for SQL and for the run."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from converge.model.check import Check
from converge.model.documents import plain
from converge.model.finding import Finding
from converge.model.port import Port
from converge.model.rehearsal import Drift, Forecast
from converge.model.table_plan import ColumnPlan, Computed, Counter, Identity, TablePlan

State = Literal["translated", "translated with a note", "not migrated"]
Compression = Literal["lz4", "default"]
Mode = Literal["create", "load"]
"""Whether the run makes the target's tables, or fills those that the application has made."""
Phase = Literal[
    "shared",
    "create",
    "view",
    "after create",
    "after copy",
    "index",
    "merge",
    "foreign key",
    "validate",
    "finish",
    "trigger",
    "refresh",
    "analyze",
    "after finish",
]
"""In their order. What is ``shared`` is made for several objects: collations, extensions. A ``trigger`` would
change rows that are copied after it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one source object. Every object of the catalog has exactly one."""

    kind: str
    name: str
    state: State
    becomes: str
    why: str
    part: bool = False
    """It goes with its table, which is not migrated either: the table alone is counted."""


@dataclass(frozen=True, slots=True)
class Converted:
    """How much of one kind of object is migrated."""

    kind: str
    objects: int
    migrated: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement of the target, with its phase, its object and why it exists."""

    phase: Phase
    object: str
    sql: str
    why: str
    makes: str = ""
    """What it makes, as DROP names it: ``TABLE "public"."film"``. Indexes go with their table."""
    optional: bool = False
    """Tried on the target; when the server refuses it, that is a finding and not a failure."""


def made_names(statements: Iterable[Statement]) -> frozenset[str]:
    """Quoted names of what the statements make and DROP could remove again."""
    return frozenset(one.makes.partition(" ")[2] for one in statements)


@dataclass(frozen=True, slots=True)
class Trial:
    """A translation that the target should try before it is believed."""

    object: str
    """``kind name`` of the source's object."""
    sql: str
    """SQL with `TARGET_SCHEMA` for the target's schema where a table's alias may have the schema's name."""
    tables: tuple[str, ...] = ()
    """Source tables and views that must be there for it."""


TARGET_SCHEMA = '"\0"'
"""In a trial: the target's schema, where relations are named; no name of PostgreSQL has a NUL."""


@dataclass(frozen=True)
class Plan:
    source: str
    source_version: str
    target: str
    target_version: str
    schema: str
    schema_exists: bool
    """False when the run must create the target schema first."""
    mode: Mode
    tables: tuple[TablePlan, ...]
    statements: tuple[Statement, ...]
    identities: tuple[Identity, ...]
    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]
    counters: tuple[Counter, ...] = ()
    computed: tuple[Computed, ...] = ()
    """Views and expressions of indexes that arrive; what is compared of them is not in the digest."""
    ports: tuple[Port, ...] = ()
    """What is left to port by hand: routines, triggers and events."""
    snapshot: str = ""
    """How all readers will see the source at one instant, in words."""
    scan: str = ""
    """What was looked at in the data, in words."""
    forecast: Forecast | None = None
    compression: Compression = "default"
    """How the target compresses long values that the run writes: by lz4, or by its own default."""
    checks: tuple[Check, ...] = ()
    """What the maps want to see when the rows are there; they decide nothing and are not in the digest."""
    since: Drift | None = None
    """What has changed since the last run; None where there was none, or nobody asked."""
    digest: str = field(default="")

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "block")

    @property
    def not_migrated(self) -> tuple[Outcome, ...]:
        """What the target will not have; a table that is left out stands for all that belongs to it."""
        return tuple(one for one in self.outcomes if one.state == "not migrated" and not one.part)

    @property
    def own_views(self) -> list[str]:
        """Views of the source that the target has as its own, in load mode: they are not compared."""
        views = [one.name for one in self.outcomes if one.kind == "view" and one.becomes]
        return views if self.mode == "load" else []

    @property
    def conversion(self) -> tuple[Converted, ...]:
        """How much of each kind of object is migrated; a table that is left out counts as one object."""
        counted = [one for one in self.outcomes if not one.part]
        every = collections.Counter(one.kind for one in counted)
        migrated = collections.Counter(one.kind for one in counted if one.state != "not migrated")
        return tuple(Converted(kind, number, migrated[kind]) for kind, number in every.items())

    @property
    def targets(self) -> dict[str, str]:
        """What the target calls each source table that is filled, or read for a next value."""
        tables = {table.source: table.target for table in self.tables}
        return tables | {counter.table: counter.target for counter in self.counters}

    def table(self, source: str) -> TablePlan:
        """The plan of this source table. Raises KeyError."""
        return self._by_source[source]

    @cached_property
    def _by_source(self) -> dict[str, TablePlan]:
        return {table.source: table for table in self.tables}

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values, its digest included."""
        return dict(plain(self))


def digest(plan: Plan) -> str:
    """SHA-256 over what the plan decides: not over addresses, sizes, counts or words, nor notes of tables.

    Nor over tables that are left out, which may come, change and go while a run is on its way; nor over the
    patch releases of the servers, which a managed service changes by itself.
    """
    content = {
        "versions": (
            plan.source_version.split(".")[:2],  # 8.0, 8.4
            plan.target_version.split(".")[:1],
            plan.schema,
        ),
        "tables": [
            (table.source, table.target, table.key, [_decided(column) for column in table.columns])
            for table in plan.tables
        ],
        "statements": [_decided(statement) for statement in plan.statements],
        "outcomes": [
            # A column's note is about its values: a plan of which more are lost is another one.
            (
                one.kind,
                one.name,
                one.state if one.kind == "column" else one.state == "not migrated",
                one.becomes,
            )
            for one in plan.outcomes
            if not (one.part or (one.kind == "table" and one.state == "not migrated"))
        ],
    }
    text = json.dumps(content, ensure_ascii=False, default=asdict)
    return hashlib.sha256(text.encode()).hexdigest()


_DECIDING: dict[type, tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind) if one.name not in ("rule", "why", "evidence"))
    for kind in (ColumnPlan, Statement)
}


def _decided(part: ColumnPlan | Statement) -> dict[str, Any]:
    # Not asdict, which would copy every text of a large plan; what is nested becomes JSON by itself.
    return {name: getattr(part, name) for name in _DECIDING[type(part)]}
