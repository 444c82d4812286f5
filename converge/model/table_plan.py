"""The plan of one table: its columns, its numbers, and what is computed from its rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from converge.model.extent import Extent

Rows = Literal["", "source", "target", "merge"]
"""Whose rows stay where the target's own table has some; empty where it has none."""


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

    @property
    def marked(self) -> bool:
        """Whether the fields of its rows end in marks: a value may have a character that COPY escapes."""
        return any(column.special for column in self.copied)


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
    """Expressions of an index: places, from 1, with their MySQL expressions."""
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
    """Next value as it was when the plan was made; a run reads it again after its snapshot."""
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
