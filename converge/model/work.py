"""Units of work that the coordinator gives to its workers, and what comes back."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import zip_longest

from converge.model.check import Check
from converge.model.result import Difference
from converge.model.table_plan import Computed, TablePlan


@dataclass(frozen=True, slots=True)
class CopyTask:
    """One chunk of one table: copied and entered in the ledger in one transaction."""

    run: int
    table: str
    number: int
    query: str
    copy: str
    marked: bool
    """The rows carry marks and must be escaped by the client."""
    columns: tuple[tuple[str, str], ...] = ()
    """Source and target names of the columns, in COPY's order."""
    key: tuple[str, ...] = ()
    """Source names of the key's columns."""
    most_rejects: int = 0
    """Rows that the target may refuse; with 0 the first one stops the run."""
    rate: float = 0.0
    """Bytes a second at most; 0 is without limit."""
    attempt: str = ""
    """The attempt that must still be at work when a worker on another machine claims the chunk."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a chunk came to; the ledger holds the same."""

    table: str
    number: int
    rows: int
    """Rows written."""
    bytes: int
    seconds: float
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class DigestTask:
    """One digest query for each side; either may be empty."""

    table: str
    source: str
    target: str
    chunk: int = 0
    """The source's chunk, for those who ask chunk by chunk."""
    uncut: bool = False
    """A map's expression is in it, which gives NULL for a text beyond max_allowed_packet, too."""
    counts: bool = False
    """Only the source's rows are counted, and not by ranges."""
    half: bool = False
    """The target's query of a task whose other half has the source's."""


@dataclass(frozen=True, slots=True)
class WrittenTask:
    """Rows and digests of a target table by the transaction that wrote them."""

    table: str
    target: str


@dataclass(frozen=True, slots=True)
class Written:
    """Rows and the sum of their digests, by transaction id."""

    table: str
    sums: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Digest:
    """Rows and the sum of their 60-bit digests, both sides."""

    table: str
    source_rows: int = 0
    source_sum: int = 0
    target_rows: int = 0
    target_sum: int = 0
    changes: tuple[int, ...] = ()
    """Rows that each declared policy changes, in the order of the plan's columns."""
    chunk: int = 0
    counted: int | None = None
    """The source's rows, not by ranges of the key; None where they were not counted so."""
    half: bool = False
    """Its other half comes apart."""

    def __add__(self, other: Digest) -> Digest:
        return Digest(
            self.table,
            self.source_rows + other.source_rows,
            self.source_sum + other.source_sum,
            self.target_rows + other.target_rows,
            self.target_sum + other.target_sum,
            tuple(map(sum, zip_longest(self.changes, other.changes, fillvalue=0))),
            self.chunk,
            self.counted if other.counted is None else other.counted,
        )

    @property
    def all_read(self) -> bool:
        """Whether the ranges have as many rows as were counted."""
        return self.counted in (None, self.source_rows)

    @property
    def equal(self) -> bool:
        same = (self.source_rows, self.source_sum) == (self.target_rows, self.target_sum)
        return same and self.all_read


@dataclass(frozen=True, slots=True)
class DrillTask:
    """A table whose digests differ: find the rows and the values."""

    schema: str
    table: TablePlan
    every: bool = False
    """Whether each difference is told, and not only the first."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows that only the source has, that only the target has, and that both have with other values."""

    missing: int = 0
    extra: int = 0
    different: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Drilled:
    """What the drill-down of a table came to."""

    table: str
    counts: Counts
    first: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class RecordsTask:
    """The digests of a range of rows of one side, to be added to the table's files."""

    schema: str
    table: TablePlan
    folder: str
    parts: int
    part: str | None = None
    """The WHERE clause of the source's range; None for the target's side."""
    pages: tuple[str, ...] = ()
    """The WHERE clauses of the target's."""


@dataclass(frozen=True, slots=True)
class Differing:
    """Rows of one key that differ; without a key, equal rows whose number differs."""

    digest: str
    """Digest of the key, or of the whole row."""
    rows: int
    """Their number in the source."""
    places: tuple[str, ...]
    """The target's rows: where they are (ctid)."""


@dataclass(frozen=True, slots=True)
class FindTask:
    """A table of which all rows are compared one by one."""

    schema: str
    table: TablePlan
    file: str
    """Gets a line for each row that is to go, or to come: see `RepairTable.keys`."""
    writers: tuple[str, ...]
    """Transactions that have written the run's rows."""
    any_writer: bool
    """Rows that only the target has go whoever has written them."""
    keeps_changed: bool
    """Rows of both sides stay as they are in the target where others have written them."""
    folder: str = ""
    """Where its `RecordsTask`s have put the digests; empty where there were none."""
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Repaired:
    """What the repair of a table comes to, in rows of the target."""

    table: str
    inserted: int = 0
    replaced: int = 0
    deleted: int = 0
    kept: int = 0
    """Rows that stay because others have written them."""
    overwritten: int = 0
    """Replaced rows that others had written."""
    gone: int = 0
    """All that are deleted, as the next one."""
    come: int = 0
    """All that are copied."""
    gone_sum: int = 0
    """Sum of the digests of the rows that are deleted."""

    def __str__(self) -> str:
        words = ("inserted", "replaced", "deleted", "kept", "overwritten")
        counts = ((word, getattr(self, word)) for word in words)
        return f"{self.table}: {', '.join(f'{rows:,} {word}' for word, rows in counts if rows)}"


@dataclass(frozen=True, slots=True)
class FetchTask:
    """A range of the source's rows that are to come."""

    schema: str
    table: TablePlan
    keys: str
    """The file of `RepairTable.keys`."""
    part: str
    """The range's WHERE clause."""
    file: str
    """Gets their text for COPY."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """How many they were."""

    table: str
    rows: int


@dataclass(frozen=True, slots=True)
class RepairTable:
    """A table whose rows differ, to be repaired."""

    plan: TablePlan
    keys: str
    """A file of COPY text: the digest of a key (of the whole row without a key), the source's rows of it, and
    one row of the target that goes by ctid and xmin; both are NULL where it has none."""
    gone: int
    """Rows of the target that go."""
    rows: tuple[str, ...]
    """Files of COPY text: the source's rows that come."""
    own: tuple[str, ...]
    """Quoted names of the columns that only the target has, and fills itself."""


@dataclass(frozen=True, slots=True)
class RepairTask:
    """All tables that differ: their rows are replaced in one transaction."""

    schema: str
    """The target's."""
    tables: tuple[RepairTable, ...]
    before: tuple[str, ...]
    """Statements that set aside what must not act meanwhile."""
    after: tuple[str, ...]
    """Statements that restore it."""
    as_script: bool = False
    """Nothing is done: the statements are told, in pieces, as a script for psql."""


@dataclass(frozen=True, slots=True)
class ViewTask:
    """A view, or the expressions of an index, to be compared under the worker's snapshot."""

    schema: str
    """The target's."""
    computed: Computed
    table: TablePlan | None = None
    """The table of an index."""
    seconds: int = 60
    """The most that each query may take."""


@dataclass(frozen=True, slots=True)
class CheckTask:
    """A map's check: the source is asked under the worker's snapshot."""

    check: Check
    schema: str
    """The target's."""
