"""What will be done, as values: the same for people, for JSON, for SQL and for the run."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from itertools import takewhile
from typing import Any, Literal

from converge.codes import Code
from converge.model.check import Check
from converge.model.documents import plain
from converge.model.extent import Extent
from converge.model.port import Port
from converge.model.rehearsal import Drift, Forecast

Severity = Literal["block", "lossy", "note"]
State = Literal["translated", "translated with a note", "not migrated"]
Compression = Literal["lz4", "default"]
Mode = Literal["create", "load"]
"""Whether the run makes the target's tables, or fills those that the application has made."""
Rows = Literal["", "source", "target", "merge"]
"""Whose rows stay where the target's own table has some; empty where it has none."""
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
class Finding:
    code: Code
    severity: Severity
    object: str
    message: str
    hint: str = ""
    """The fix, to be pasted."""
    evidence: str = ""
    """What the data shows: counts, keys."""
    not_migrated: bool = False
    """Whether an object that is not migrated is all that it is about: that is no loss of another one."""

    @property
    def level(self) -> Literal[Severity, "absent", "after"]:
        """The severity, with what is not migrated at all and what is for after the cutover apart."""
        if self.code.startswith("F"):
            return "after"
        return "absent" if self.severity == "lossy" and self.not_migrated else self.severity


OCCUPIED = Code.T005
"""The code of the finding that planned tables exist already: it is about this target, not about the plan."""


def count_losses(findings: Iterable[Finding]) -> int:
    """How many of the findings are losses of what is migrated."""
    return sum(finding.level == "lossy" for finding in findings)


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
    """With `TARGET_SCHEMA` for the target's schema where a table's alias may have the schema's name."""
    tables: tuple[str, ...] = ()
    """Source tables and views that must be there for it."""


TARGET_SCHEMA = '"\0"'
"""In a trial: the target's schema, where relations are named; no name of PostgreSQL has a NUL."""


@dataclass(frozen=True, slots=True)
class Change:
    """Values that a map's policy changes on their way: declared, counted, and mirrored in the comparison."""

    trap: str
    """The policy's key in a map, e.g. ``zero_date``."""
    policy: str
    """What becomes of such a value, e.g. ``null`` or ``replace 1970-01-01``."""
    where: str
    """MySQL condition that is true for such a value."""
    words: str
    """What is odd about the value, after "rows"."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    source: str
    target: str
    source_type: str
    target_type: str
    nullable: bool
    rule: str
    why: str
    evidence: str = ""
    """What the scan saw that decided, in words."""
    default: str | None = None
    identity: bool = False
    sequence: str = ""
    """Quoted name of an identity's sequence: PostgreSQL's own choice could be a later table's name."""
    generated: str | None = None
    """PostgreSQL expression of a stored generated column: the target computes it, COPY leaves it out."""
    collation: str | None = None
    """A collation of the target, quoted; None for the database's own."""
    changes: tuple[Change, ...] = ()
    uncompared: str = ""
    """Why the comparison leaves out the values; empty where it does not."""
    is_null: str = ""
    """MySQL condition: the value is NULL, as stored or by a map; empty where it never is.

    The expressions below decide nothing of it: they are NULL, too, where the server cannot make the text.
    """
    read: str = ""
    """MySQL expression of the text that COPY gets."""
    special: bool = False
    """`read` can hold tabs, line ends or backslashes, which COPY needs escaped."""
    source_text: str = ""
    """MySQL expression of the canonical text that the comparison digests."""
    target_text: str = ""
    """PostgreSQL expression of the same text."""
    source_value: str = ""
    target_value: str = ""
    """The same for the drill-down: the value itself where the canonical text is only its digest."""
    delimited: bool = False
    """The canonical text can hold anything, so its length must go before it."""
    judge: str = "text"
    """How two canonical texts are judged equal in the drill-down: text or json."""


@dataclass(frozen=True, slots=True)
class TablePlan:
    source: str
    target: str
    columns: tuple[ColumnPlan, ...]
    key: tuple[str, ...]
    """Source columns of the primary key, in its order; empty when there is none."""
    rows_estimate: int
    data_bytes: int
    rows: Rows = ""
    key_types: tuple[str, ...] = ()
    """The MySQL types of the key's columns, empty from the first on that is indexed by a prefix; not in the
    plan of an earlier version."""

    @property
    def extent(self) -> Extent:
        """What its rows are cut into ranges by."""
        known = {column.source: column.source_type.partition("(")[0].split()[0] for column in self.columns}
        types = self.key_types or [known.get(name, "") for name in self.key]
        key = tuple(takewhile(lambda one: one[1], zip(self.key, types, strict=True)))
        return Extent(self.source, key, self.rows_estimate, self.data_bytes)

    @property
    def by_prefix(self) -> bool:
        """Whether the index of the key may miss a row that is asked for (`Table.indexed_whole`)."""
        return "" in self.key_types

    @property
    def keys(self) -> tuple[ColumnPlan, ...]:
        """The primary key's columns in its order; none where one of them does not arrive: the others may have
        the same values in several rows."""
        by_source = {column.source: column for column in self.columns}
        found = tuple(by_source[name] for name in self.key if name in by_source)
        return found if len(found) == len(self.key) else ()

    @property
    def identifying(self) -> tuple[ColumnPlan, ...]:
        """The columns that tell one row from another: the key's, or all where there is none."""
        return self.keys or self.columns

    @property
    def copied(self) -> tuple[ColumnPlan, ...]:
        """The columns that COPY fills; the target computes the others."""
        return tuple(column for column in self.columns if column.generated is None)


WHOLE = -1
"""All columns, among `Computed.undefined`."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What the target computes from its rows, and the comparison reads on both servers as it reads rows."""

    kind: Literal["view", "index"]
    source: str
    """The view's name; ``table.index`` of an index."""
    target: str
    """The view's or the index's name in the target."""
    table: str = ""
    """The source table of an index."""
    expressions: tuple[tuple[int, str], ...] = ()
    """Of an index: places, from 1, with their MySQL expressions."""
    reads: tuple[str, ...] = ()
    """Source tables behind it, also through other views."""
    order: tuple[int, ...] = ()
    """Columns that a view's rows are sorted by, up to the first that it does not show."""
    hidden: bool = False
    """Whether there is one that it does not show."""
    limited: Literal["", "limit", "offset"] = ""
    """How a view's LIMIT cuts its sorted rows: at the end, or at both ends."""
    unsorted: tuple[tuple[int, str], ...] = ()
    """Columns of GROUP_CONCAT whose parts come in any order, with the separator."""
    undefined: tuple[tuple[int, str], ...] = ()
    """Columns that need not be equal, with the reason, e.g. ``RAND()``; `WHOLE` stands for all."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A column whose next value becomes max(source's AUTO_INCREMENT, max(column) + 1)."""

    table: str
    column: str
    next_value: int
    """As it was when the plan was made; a run reads it again after its snapshot."""
    auto_increment: bool = True
    """False for a column of the target's own that the source does not number."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A table of the source whose row has the next value of what is a sequence in the target."""

    table: str
    target: str
    """The sequence's name, without the schema."""
    next_value: str
    """MySQL expression."""

    @property
    def why(self) -> str:
        """What is migrated of the table, and compared."""
        return f"of the table only the next value counts: the sequence continues at {self.next_value}"


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
    """By what the target compresses long values that the run writes: lz4, or what is its own default."""
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
    """SHA-256 over what the plan decides: not over addresses, sizes, counts or words.

    Nor over tables that are left out, which may come, change and go while a run is on its way.
    """
    content = {
        "versions": (plan.source_version, plan.target_version, plan.schema),
        "tables": [
            (table.source, table.target, table.key, [_decided(column) for column in table.columns])
            for table in plan.tables
        ],
        "statements": [_decided(statement) for statement in plan.statements],
        "outcomes": [
            (one.kind, one.name, one.state, one.becomes)
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
