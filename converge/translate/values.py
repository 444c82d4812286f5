"""A translated expression with what must be known of it to translate what stands around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from converge.model.catalog import Column
from converge.model.plan import ColumnPlan
from converge.model.quote import pg_name, pg_text
from converge.types import base_name
from converge.types.binary import Binary
from converge.types.forms import PADDED
from converge.types.text import Text

Kind = Literal[
    "null", "bool", "int", "decimal", "double", "text", "date", "datetime", "instant", "time", "json",
    "clock", "bytes", "enum", "set", "uuid", "opaque",
]  # fmt: skip
"""What PostgreSQL has at hand. `instant` is a timestamp with time zone, `time` an interval, `clock` a time
of day, and `opaque` a value that can be shown and tested for NULL, but not calculated with."""

NUMBERS = frozenset({"bool", "int", "decimal", "double"})
TEMPORAL = frozenset({"date", "datetime", "instant"})
TIMES = frozenset({"time", "clock"})

_KINDS: dict[str, Kind] = {
    "boolean": "bool",
    "smallint": "int",
    "integer": "int",
    "bigint": "int",
    "numeric": "decimal",
    "real": "double",
    "double precision": "double",
    "varchar": "text",
    "character varying": "text",
    "text": "text",
    "citext": "text",
    "date": "date",
    "timestamp": "datetime",
    "timestamp without time zone": "datetime",
    "timestamp with time zone": "instant",
    "interval": "time",
    "time": "clock",
    "time without time zone": "clock",
    "json": "json",
    "jsonb": "json",
    "bytea": "bytes",
    "text[]": "set",
    "uuid": "uuid",
}
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64, "year": 16}
_INTEGERS = frozenset(_BITS)
_NATURAL: dict[Kind, frozenset[str]] = {
    "bool": _INTEGERS | {"bit"},
    "int": _INTEGERS,
    "decimal": _INTEGERS | {"decimal"},
    "double": frozenset({"float", "double"}),
    "text": Text.types | Binary.types,
    "date": frozenset({"date"}),
    "datetime": frozenset({"datetime", "timestamp"}),
    "instant": frozenset({"datetime", "timestamp"}),
    "time": frozenset({"time"}),
    "clock": frozenset({"time"}),
    "json": frozenset({"json"}),
    "bytes": Binary.types,
    "set": frozenset({"set"}),
    "uuid": Text.types | Binary.types,
}
"""The MySQL types of which PostgreSQL has the same kind of value; of any other the target has another one."""


@dataclass(frozen=True, slots=True)
class Value:
    """One translated expression; `sql` can stand anywhere without parentheses of its own."""

    sql: str
    kind: Kind
    scale: int = 0
    """Digits behind the point that MySQL shows, of a number or of seconds."""
    digits: int = 0
    """Digits that it calculates with: a quotient has more than it shows."""
    uneven: bool = False
    """Whether its rows are shown in ways of their own: digits of IF(…, 1, 2.50), NULLIF(date, …) as text."""
    most: int = 0
    """No value is farther from 0; 0 when that is not known."""
    collation: str = ""
    """MySQL collation of a text that comes from a column; empty for literals."""
    explicit: bool = False
    """Whether the collation was asked for with COLLATE."""
    alike: str = ""
    """How the target compares this text by a map: the MySQL collation of which it has a counterpart, or
    `ODDLY`; empty where it compares bytes."""
    unpadded: bool = False
    """Whether this text never ends in a space (CHAR)."""
    one_spelling: bool = False
    """Whether no two texts of it differ only in what a collation ignores."""
    literal: str | None = None
    labels: tuple[str, ...] = ()
    """Members of an ENUM or SET."""
    unsigned: bool = False
    source: str = ""
    """MySQL's type of a plain column; empty for anything that is computed."""
    volatile: bool = False
    """Whether each evaluation gives another value."""

    @property
    def bound(self) -> int:
        """The greatest distance from 0, of a number that is not approximate."""
        if self.most or self.kind not in ("bool", "int"):
            return self.most or 10**65
        return 1 if self.kind == "bool" else 2**64 - 1 if self.unsigned else 2**63

    @property
    def computed(self) -> bool:
        """Whether it is neither a column nor a literal: as MySQL stores a decimal, its digits may vary."""
        return self.literal is None and not self.source

    @property
    def wide(self) -> bool:
        """Whether it may be an integer that only BIGINT UNSIGNED holds: PostgreSQL calculates in numeric."""
        return self.kind == "int" and self.bound > 2**63

    @property
    def charset(self) -> str:
        return self.collation.partition("_")[0]


NULL = Value("NULL", "null")
ODDLY = "?"
"""For citext and collations that are no counterpart of the source's."""


def column_value(column: Column, plan: ColumnPlan, reference: str) -> Value:
    """The value of a column that `reference` names in PostgreSQL."""
    kind = _KINDS.get(base_name(plan.target_type), "opaque")
    if column.type == "enum":
        # A native type is none of PostgreSQL's own.
        native = kind == "opaque" and base_name(plan.target_type) not in PADDED
        kind = "enum" if native else "text" if kind == "text" else "opaque"
    elif column.type not in _NATURAL.get(kind, ()) or (kind == "text" and column.type == "binary"):
        # BINARY(n) as a text lacks the zero bytes that fill it up.
        kind = "opaque"
    elif kind == "decimal" and column.type in _INTEGERS:
        kind = "int"
    scale = column.scale or 0 if kind == "decimal" else column.fsp
    most = 10 ** (column.precision - scale) if kind == "decimal" and column.precision else 0
    if kind == "int":
        most = 2 ** (_BITS[column.type] - (not column.unsigned))
    return Value(
        reference,
        kind,
        scale=scale,
        digits=scale,
        most=most,
        collation="binary" if kind == "text" and column.type in Binary.types else column.collation or "",
        alike=_alike(column, plan),
        unpadded=column.type == "char",
        # MySQL takes no two labels that its collation takes for the same.
        one_spelling=column.type == "enum",
        labels=column.labels,
        unsigned=column.unsigned,
        source="zerofill" if column.zerofill else column.type,
    )


def _alike(column: Column, plan: ColumnPlan) -> str:
    if plan.collation and plan.collation.endswith(f".{pg_name(column.collation or '')}"):
        return column.collation or ""
    return ODDLY if plan.collation or base_name(plan.target_type) == "citext" else ""


def bytewise(value: Value) -> str:
    """The value as SQL, a text as one that the target compares by its bytes."""
    return f'({value.sql}::text COLLATE "default")' if value.alike else value.sql


def computed(value: Value) -> Value:
    """What a function makes of a column without changing it: MySQL sorts such an ENUM as a text."""
    return replace(value, source="") if value.source == "enum" else value


def text_literal(text: str) -> Value:
    return Value(pg_text(text), "text", literal=text)
