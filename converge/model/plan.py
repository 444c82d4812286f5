"""What will be done, as values: the same for people, for JSON, for SQL and for the run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["block", "lossy", "note"]
State = Literal["translated", "translated with a note", "not migrated"]
Phase = Literal["create", "view", "index", "foreign key", "validate", "finish", "analyze"]


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    severity: Severity
    object: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one source object. Every object of the catalog has exactly one."""

    kind: str
    name: str
    state: State
    becomes: str
    why: str


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


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    source: str
    target: str
    source_type: str
    target_type: str
    nullable: bool
    rule: str
    why: str
    default: str | None = None
    identity: bool = False
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
    integer_key: bool
    """Whether the key begins with an integer."""
    rows_estimate: int
    data_bytes: int


@dataclass(frozen=True, slots=True)
class Identity:
    """The next value of an identity column: max(source's AUTO_INCREMENT, max(column) + 1)."""

    table: str
    column: str
    next_value: int


@dataclass(frozen=True, slots=True)
class Plan:
    source: str
    source_version: str
    target: str
    target_version: str
    schema: str
    schema_exists: bool
    """False when the run must create the target schema first."""
    tables: tuple[TablePlan, ...]
    statements: tuple[Statement, ...]
    identities: tuple[Identity, ...]
    findings: tuple[Finding, ...]
    outcomes: tuple[Outcome, ...]
    digest: str = field(default="")

    @property
    def blocks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == "block")

    def table(self, source: str) -> TablePlan:
        """The plan of this source table. Raises KeyError."""
        for table in self.tables:
            if table.source == source:
                return table
        raise KeyError(source)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values, its digest included."""
        return asdict(self)


# Estimates and next values move on a living source without changing what the plan says.
_VOLATILE = {"rows_estimate", "data_bytes", "digest", "identities", "source", "target", "schema_exists"}


def digest(plan: Plan) -> str:
    """SHA-256 over what the plan decides: schema and rules, not addresses or sizes."""
    content = {key: value for key, value in asdict(plan).items() if key not in _VOLATILE}
    content["tables"] = [
        {key: value for key, value in table.items() if key not in {"rows_estimate", "data_bytes"}}
        for table in content["tables"]
    ]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
