"""The source as it is: frozen values, read once, never changed.

Names keep the source's case. Sizes are bytes, counts are rows; both are the server's estimates
(MySQL 8.0 manual, "The INFORMATION_SCHEMA TABLES Table") and never used as proof.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from converge.model.extent import Extent
from converge.model.quote import my_name

RoutineKind = Literal["trigger", "procedure", "function", "event"]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    raw_type: str
    """COLUMN_TYPE as the server prints it, e.g. ``bigint(20) unsigned``."""
    type: str
    """DATA_TYPE, e.g. ``bigint``."""
    nullable: bool
    length: int | None = None
    """Characters for text, bytes for binary."""
    precision: int | None = None
    """Digits of a number; bits of a BIT."""
    scale: int | None = None
    fsp: int = 0
    """Fractional-second digits of a time."""
    labels: tuple[str, ...] = ()
    """Members of an ENUM or SET in declaration order."""
    unsigned: bool = False
    zerofill: bool = False
    default: str | None = None
    default_is_expression: bool = False
    auto_increment: bool = False
    on_update_now: bool = False
    generated: str | None = None
    generated_stored: bool = False
    zoned: str = ""
    """MySQL expression in the server's time zone of a VIRTUAL column whose values depend on the session's;
    empty for UTC."""
    invisible: bool = False
    charset: str | None = None
    collation: str | None = None
    srid: int | None = None
    comment: str = ""

    @property
    def sql(self) -> str:
        """MySQL expression of its value, of a VIRTUAL column in the server's time zone."""
        return f"({self.zoned})" if self.zoned else my_name(self.name)

    @property
    def initial(self) -> str | None:
        """Its literal default, declared or not: of an ENUM NOT NULL without one, MySQL takes the first label,
        also in strict mode (MySQL 8.0 manual, "The ENUM Type")."""
        declared = self.default is not None or self.default_is_expression or self.generated
        return self.default if declared or self.nullable or self.type != "enum" else self.labels[0]


@dataclass(frozen=True, slots=True)
class IndexPart:
    column: str | None
    expression: str | None = None
    prefix: int | None = None
    descending: bool = False

    def __str__(self) -> str:
        return f"{self.column or self.expression}{f'({self.prefix})' if self.prefix else ''}"


@dataclass(frozen=True, slots=True)
class Index:
    name: str
    unique: bool
    kind: str
    """BTREE, HASH, FULLTEXT or SPATIAL."""
    parts: tuple[IndexPart, ...]
    visible: bool = True
    comment: str = ""

    @property
    def primary(self) -> bool:
        return self.name == "PRIMARY"

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.parts if part.column is not None)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    parent_database: str
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str
    on_update: str

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each column with the parent's."""
        return tuple(zip(self.columns, self.parent_columns, strict=True))


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    expression: str
    enforced: bool


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    engine: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    partitions: tuple[str, ...] = ()
    """One ``name METHOD(expression) description`` a partition; empty when not partitioned."""
    rows_estimate: int = 0
    data_bytes: int = 0
    index_bytes: int = 0
    next_value: int | None = None
    """AUTO_INCREMENT: the number that the next row would get."""
    collation: str = ""
    comment: str = ""

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.primary), None)

    @property
    def indexed_whole(self) -> tuple[tuple[str, str], ...]:
        """The leading columns of the primary key that are not indexed by a prefix, with their types.

        MySQL reads `name > 'x'` by an index of name(4) as if prefixes sorted as the names do. Where a
        collation has contractions (Czech ch) or ignores characters (U+FE0F of emoji), they do not, and rows
        are missing from what is read.
        """
        parts = takewhile(lambda part: not part.prefix, self.primary_key.parts if self.primary_key else ())
        return tuple((part.column, self.column(part.column).type) for part in parts if part.column)

    @property
    def extent(self) -> Extent:
        """What its rows are cut into ranges by."""
        return Extent(self.name, self.indexed_whole, self.rows_estimate, self.data_bytes)

    def column(self, name: str) -> Column:
        """The column of this name. Raises KeyError."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def objects(self) -> Iterator[tuple[str, str]]:
        """The table and all that belongs to it, as (kind, name)."""
        yield "table", self.name
        for column in self.columns:
            yield "column", f"{self.name}.{column.name}"
        for index in self.indexes:
            yield "index", f"{self.name}.{index.name}"
        for key in self.foreign_keys:
            yield "foreign key", f"{self.name}.{key.name}"
        for check in self.checks:
            yield "check", f"{self.name}.{check.name}"


@dataclass(frozen=True, slots=True)
class View:
    name: str
    definition: str
    """Its SELECT as SHOW CREATE VIEW prints it; empty when the user may not see it."""
    columns: tuple[str, ...]
    security: str
    check_option: str
    full_group_by: bool | None = None
    """Whether MySQL accepts the SELECT under ONLY_FULL_GROUP_BY; None when it was not asked."""
    updatable: bool = False
    """Whether rows can be changed through it, as the server says (of a derived table it is wrong)."""
    merge: bool = False
    """Whether it is a MERGE table, which is a view of other tables by another name."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a routine; without a mode and a name it is what a function returns."""

    mode: str
    """IN, OUT or INOUT."""
    type: Column
    """Its type, as a column of this name would have it."""


@dataclass(frozen=True, slots=True)
class Routine:
    """A trigger, procedure, function or event: inventoried with its text, never run."""

    kind: RoutineKind
    name: str
    table: str | None
    definer: str
    source: str
    """Its CREATE statement; where the server does not show that, about what follows its head."""
    when: str = ""
    """``BEFORE INSERT`` of a trigger, ``EVERY 1 DAY STARTS …`` of an event."""
    order: int = 1
    """Which of the triggers of the same table, time and event it is."""
    characteristics: str = ""
    """``DETERMINISTIC, READS SQL DATA, SQL SECURITY DEFINER``; of an event its state."""
    sql_mode: str = ""
    """Under which it was made, and runs."""
    every: str = ""
    """An event's interval, ``2 HOUR``."""
    starts: str = ""
    """When an event's first interval begins, in the event's time zone."""
    zone: str = ""
    """That time zone; of SYSTEM what the source's machine calls its own."""
    ends: str = ""
    """When its last interval ends; empty where none does."""
    idle: str = ""
    """Why an event does not run now: ``is DISABLED``, ``STARTS …``."""
    parameters: tuple[Parameter, ...] = ()

    @property
    def signature(self) -> str:
        """All but its statements: ``pay(IN n int, OUT id int)``, ``made BEFORE INSERT ON film``."""
        on = f" ON {self.table}" + (f", number {self.order} of these" if self.order > 1 else "")
        if self.kind in ("trigger", "event"):
            return f"{self.name} {self.when}{on if self.table else ''}"
        given = (f"{one.mode} {one.type.name} {one.type.raw_type}" for one in self.parameters if one.mode)
        if self.kind == "function":
            given = (words.removeprefix("IN ") for words in given)
        returns = [one.type.raw_type for one in self.parameters if not one.mode]
        return f"{self.name}({', '.join(given)})" + "".join(f" RETURNS {type_}" for type_ in returns)


@dataclass(frozen=True, slots=True)
class Catalog:
    database: str
    version: str
    charset: str
    tables: tuple[Table, ...]
    views: tuple[View, ...] = ()
    routines: tuple[Routine, ...] = ()
    user: str = ""
    """The account that has read this, quoted as in GRANT."""
    unreadable: tuple[str, ...] = ()
    """Kinds of object that the user may not see, e.g. ``triggers``: a finding each."""
    max_packet: int = 0
    """max_allowed_packet in bytes: a longer text that the server makes is NULL. 0 when it is not known."""
    used_connections: int = 0
    """The most that were in use at a time since the server has started. 0 when it is not known."""
    settings: tuple[str, ...] = ()
    """Settings of the server that change what expressions give, as ``name = value``; not MySQL's defaults."""
    strict: bool = True
    """Whether sessions begin with a strict SQL mode, in which an INSERT must have a value for each NOT NULL
    column without a default."""
    time_zone: str = ""
    """Time zone of sessions that set none; empty for UTC."""
    utc_offsets: tuple[int, ...] = (0, 0)
    """Minutes by which its clock is ahead of UTC in January and in July of this year."""

    def objects(self) -> Iterator[tuple[str, str]]:
        """Every object as (kind, name): what a plan must account for, each exactly once."""
        for table in self.tables:
            yield from table.objects()
        for view in self.views:
            yield "view", view.name
        for routine in self.routines:
            yield routine.kind, routine.name


def changed(before: Catalog, after: Catalog, names: Container[str]) -> list[str]:
    """The tables of these names that are not what they were: other columns, keys or options, or gone."""
    now = {table.name: _definition(table) for table in after.tables}
    wanted = (table for table in before.tables if table.name in names)
    return [table.name for table in wanted if now.get(table.name) != _definition(table)]


def _definition(table: Table) -> Table:
    """The table without what rows change."""
    return replace(table, rows_estimate=0, data_bytes=0, index_bytes=0, next_value=None)
