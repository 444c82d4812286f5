"""What came of a run, of one database or of several: what the closing table, the JSON and the ledger say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.check import CheckResult
from converge.model.documents import document, together
from converge.model.finding import Finding, count_losses
from converge.model.plan import Outcome
from converge.model.recorded import decode
from converge.model.rehearsal import Fingerprint
from converge.model.words import said, utc_now

Stand = Literal["still", "moved", "not known"]
Verdict = Literal["verified", "migrated", "differs", "blocked", "failed", "interrupted", "ready"]
EXIT_CODES: dict[Verdict, int] = {
    "verified": 0, "migrated": 0, "ready": 0, "differs": 1, "failed": 1, "blocked": 3,
    "interrupted": 130,
}  # fmt: skip

OF_CHECKS = frozenset({Code.C001, Code.C002})
"""Codes of checks that failed, which have a part of their own in reports."""
OF_THE_RUN = frozenset({
    Code.R003, Code.S034, Code.V001, Code.V002, Code.V004, Code.V005, Code.V110, Code.V113, Code.V114,
    Code.V116, Code.V117, Code.V118, Code.V119, Code.V120, Code.V121, Code.V122, Code.V124, Code.W014,
})  # fmt: skip
"""Codes of notes that say what happened in a run; the others are the plan's."""
OF_SCHEMA = frozenset({Code.V111, Code.V112, Code.V114, Code.V115, Code.V117, Code.V124, Code.V126})
"""Codes of what is no longer as the run has made it, or not yet: those of them that block."""
MOST_DIFFERENCES = 20
"""A table with more differing rows than this is not looked through to its end."""


@dataclass(frozen=True, slots=True)
class GoingBack:
    """Whether the source is still what was copied: what a rollback to it rests on."""

    stand: Stand
    """`still`: nothing was committed on the source's server since the snapshot, or in none of its tables."""
    how: str
    """How that is known."""
    tables: tuple[str, ...] = ()
    """The tables whose rows are no longer those of the snapshot."""
    named: bool = False
    """Whether all tables were compared with the snapshot, so that `tables` is complete."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value, or one row, that is not the same on both sides."""

    table: str
    key: str
    column: str | None
    """None when the whole row is on one side only."""
    source: str | None
    target: str | None

    def __str__(self) -> str:
        if self.column is None:
            side = "the source only" if self.target is None else "the target only"
            return f"{self.table} {self.key}: in {side}: {self.source or self.target}"
        values = f"source {_shown(self.source)}, target {_shown(self.target)}"
        return f"{self.table} {self.key} {self.column}: {values}"


@dataclass(frozen=True, slots=True)
class ViewResult:
    """What came of comparing a view, or the expressions of an index, on both servers."""

    kind: Literal["view", "index"]
    name: str
    target: str
    state: Literal["equal", "differs", "not compared"]
    why: str = ""
    """Why it was not compared, or what is to be known of an equal one."""
    rows_source: int | None = None
    rows_target: int | None = None
    seconds: float = 0.0


def rows_differ(source: int | None, target: int | None) -> str:
    """The words for a view that differs, with the numbers of rows where those do."""
    if source is None or target is None or source == target:
        return "its rows differ"
    return f"its rows differ ({source:,} in the source, {target:,} in the target)"


@dataclass(frozen=True, slots=True)
class Changed:
    """What a declared policy did to one column, counted in the run's own snapshot."""

    table: str
    column: str
    trap: str
    policy: str
    rows: int
    words: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}: {said(self.rows, self.words)}: {self.policy}"

    def is_told_by(self, finding: Finding) -> bool:
        """Whether the plan's loss says the same of as many rows."""
        same = finding.object == f"{self.table}.{self.column}"
        return same and finding.message.startswith(said(self.rows, self.words))


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that the target refused and a run left out, because it was told to."""

    table: str
    key: str
    """``id=17, lang=en``; empty when the table has no key."""
    column: str | None
    """The source's name; None when the refusal is about the whole row."""
    value: str
    """Hex of the column's text as COPY got it, of the whole row without a column; at most 64 kB of it."""
    value_bytes: int
    sqlstate: str
    message: str

    def __str__(self) -> str:
        place = ".".join(filter(None, (self.table, self.column)))
        return " ".join(filter(None, (place, self.key))) + f": {self.message} ({self.sqlstate})"


@dataclass(frozen=True, slots=True)
class NotCompared:
    """What a comparison did not look at, so that nobody takes the verdict to be about it."""

    kind: Literal["table", "column", "view", "index", "sequence", "schema"]
    name: str
    """The source's; the target's where only that has it."""
    why: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.why}"


@dataclass
class TableResult:
    source: str
    target: str
    rows_read: int | None = None
    """None when this command did not copy."""
    rows_written: int | None = None
    rows_rejected: int = 0
    """Left out because the target refused them: read = written + rejected."""
    bytes: int = 0
    seconds: float = 0.0
    """Worker seconds, summed over the table's chunks."""
    rows_source: int | None = None
    """Counted by the comparison."""
    rows_target: int | None = None
    verified: bool = False
    """Every row and every column was compared on both servers and is equal."""
    rows_missing: int = 0
    """Rows that only the source has, by a full comparison."""
    rows_extra: int = 0
    """Rows that only the target has."""
    rows_different: int = 0
    """Rows that both have, with other values."""
    digest: str = ""
    """Digest of the target's rows, by a full comparison: equal rows give equal digests on every server."""
    began: float | None = None
    """Seconds from the copy's beginning to the table's; None when this command copied nothing of it."""
    ended: float | None = None
    """The same, to its end."""

    @property
    def unequal(self) -> int:
        """Rows that a full comparison has found to differ."""
        return self.rows_missing + self.rows_extra + self.rows_different


@dataclass
class Pace:
    """What all workers together have sent, in equal stretches from the copy's beginning."""

    seconds: float = 0.125
    """The length of a stretch; twice that where there would be more than a chart can show."""
    rows: list[int] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)

    def add(self, at: float, rows: int, count: int) -> None:
        """Rows and bytes that were sent until `at`, in seconds from the beginning."""
        while at >= self.seconds * _MOST_STRETCHES:
            self.seconds *= 2
            self.rows, self.bytes = map(_pairs, (self.rows, self.bytes))
        place = int(at / self.seconds)
        for held, more in ((self.rows, rows), (self.bytes, count)):
            held += [0] * (place + 1 - len(held))
            held[place] += more


_MOST_STRETCHES = 120


def _pairs(counts: Sequence[int]) -> list[int]:
    return [sum(counts[place : place + 2]) for place in range(0, len(counts), 2)]


@dataclass
class Result:
    command: str
    source: str
    target: str
    source_version: str = ""
    target_version: str = ""
    started: str = field(default_factory=utc_now)
    """ISO 8601 in UTC."""
    verdict: Verdict = "failed"
    snapshot: str | None = None
    tables: list[TableResult] = field(default_factory=list)
    pace: Pace | None = None
    """Pace of the copy; None when this command did not copy."""
    findings: list[Finding] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    views: list[ViewResult] = field(default_factory=list)
    """Views and expressions of indexes, by a full comparison."""
    checks: list[CheckResult] = field(default_factory=list)
    """What came of the checks that the maps declare."""
    going_back: GoingBack | None = None
    """None where the command did not look, or the run did not come so far."""
    fingerprint: Fingerprint | None = None
    """What the next run's plan is compared with; None before the run has a plan."""
    not_migrated: list[Outcome] = field(default_factory=list)
    not_compared: list[NotCompared] = field(default_factory=list)
    phases: list[tuple[str, float]] = field(default_factory=list)
    next_command: str = ""
    cut_over: str = ""
    """When the target became the application's, ISO 8601 in UTC; empty before that."""

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def revisions_pending(self) -> bool:
        """Whether the run is finished but for its revisions."""
        return not self.exit_code and any(one.code == Code.A064 for one in self.findings)

    @property
    def losses(self) -> int:
        """Findings of values and objects that do not arrive as they were."""
        return count_losses(self.findings)

    @property
    def left_uncompared(self) -> list[NotCompared]:
        """What was not compared, but for what is not migrated and so is counted there."""
        absent = {(one.kind, one.name) for one in self.not_migrated}
        return [one for one in self.not_compared if (one.kind, one.name) not in absent]

    def begin_again(self, why: Finding) -> None:
        """For a new attempt of the same run: what it did stays on the time line, why it ended is a note."""
        earlier = [finding for finding in self.findings if finding.code == why.code]
        self.findings = [*earlier, why]
        self.tables, self.changes, self.differences, self.rejects = [], [], [], []
        self.views, self.checks, self.going_back, self.pace = [], [], None, None
        self.not_compared, self.next_command = [], ""

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        own = document(self.command, self, losses=self.losses)
        return own | {"next": own.pop("next_command")}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Result:
        """The result that `to_json` has written, also by a version that knew fewer keys."""
        source, target = written["source"], written["target"]
        fields = {
            "source": source["url"],
            "target": target["url"],
            "source_version": source.get("version", ""),
            "target_version": target.get("version", ""),
            "phases": [(phase["name"], phase["seconds"]) for phase in written["phases"]],
            "next_command": written.get("next", ""),
        }
        return decode(cls, {**written, **fields})


def _shown(value: str | None, limit: int = 120) -> str:
    if value is None:
        return "NULL"
    return repr(value if len(value) <= limit else value[:limit] + "…")


@dataclass(frozen=True, slots=True)
class Named:
    """One database's result; `error` ended it."""

    name: str
    """Empty where it is the only database."""
    result: Result
    error: ConvergeError | None = None

    @property
    def exit_code(self) -> int:
        return self.error.exit_code if self.error else self.result.exit_code

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **self.result.to_json(), "exit_code": self.exit_code}


@dataclass(frozen=True, slots=True)
class Results:
    """The results of a run over several databases, in their order."""

    command: str
    each: tuple[Named, ...]

    @property
    def verdict(self) -> str:
        return str(self.to_json()["verdict"])

    @property
    def exit_code(self) -> int:
        return int(self.to_json()["exit_code"])

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return together(self.command, [one.to_json() for one in self.each])
