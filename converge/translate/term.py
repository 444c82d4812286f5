"""A translated expression with what must be known of it to translate what stands around it.

MySQL converts by itself what PostgreSQL converts when told. A term's methods give its SQL as the kind that
its surroundings ask for; a conversion that could mean something else (a text as a number, a double as text)
raises Untranslatable. As an example, of `flag` (a boolean column) and `n` (DECIMAL(10,2)):

    flag + n                    number()    flag::int + n
    n AND flag                  truth()     ((n <> 0) AND flag)
    concat(flag, n / 3)         text()      flag::int::text || round(…, 6)::text
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

from converge.model.quote import pg_text
from converge.translate.context import Context, Untranslatable, refuse_if

Kind = Literal[
    "null", "bool", "int", "decimal", "double", "text", "date", "datetime", "instant", "time", "json",
    "clock", "bytes", "enum", "set", "uuid", "opaque",
]  # fmt: skip
"""What PostgreSQL has at hand. `instant` is a timestamp with time zone, `time` an interval, `clock` a time
of day, and `opaque` a value that can be shown and tested for NULL, but not calculated with."""

INTEGERS: Set[Kind] = frozenset({"bool", "int"})
NUMBERS: Set[Kind] = frozenset({"bool", "int", "decimal", "double"})
TEMPORAL: Set[Kind] = frozenset({"date", "datetime", "instant"})
TIMES: Set[Kind] = frozenset({"time", "clock"})
STRINGS: Set[Kind] = frozenset({"text", "enum", "set"})

BITS_AS_TEXT = {"zerofill": "ZEROFILL pads the text of a number", "bit": "BIT as a text is bytes"}
"""Why a column of these types is not printed as the number that it is."""
UNEVEN = "NULLIF of a date or time, and a shifted literal, are texts in MySQL"

_DAY = r"(?!0000)\d{4}-(?!00)\d\d-(?!00)\d\d"
_DATE = re.compile(_DAY)
_DATETIME = re.compile(rf"{_DAY}[ T]\d\d:\d\d:\d\d(?:\.\d{{1,6}})?")
_TIME = re.compile(r"-?\d{1,3}:\d\d:\d\d(?:\.\d{1,6})?")
_HALVES = {0: ("second", "0.5"), 3: ("milliseconds", "0.0005")}
_PATTERNS = {0: "YYYY-MM-DD HH24:MI:SS", 3: "YYYY-MM-DD HH24:MI:SS.MS", 6: "YYYY-MM-DD HH24:MI:SS.US"}


@dataclass(frozen=True, slots=True)
class Term:
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
        if self.most or self.kind not in INTEGERS:
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
    def natural(self) -> bool:
        """Whether it is a number that is never negative."""
        sure = self.kind == "bool" or self.unsigned or (self.literal or "-")[0].isdigit()
        return sure and self.kind in NUMBERS

    @property
    def quotient(self) -> bool:
        """Whether it calculates with more digits than it shows."""
        return self.kind == "decimal" and self.digits > self.scale

    @property
    def charset(self) -> str:
        return self.collation.partition("_")[0]

    @property
    def ascii(self) -> bool:
        """Whether all its characters are ASCII for sure."""
        text = "".join([self.literal or "", *self.labels])
        return text.isascii() and (bool(text) or self.kind not in STRINGS or self.charset == "ascii")

    @property
    def bytewise(self) -> str:
        """The value as SQL, a text as one that the target compares by its bytes."""
        return f'({self.sql}::text COLLATE "default")' if self.alike else self.sql

    @property
    def described(self) -> str:
        """The kind with its article."""
        article = "an" if self.kind[0] in "aeiou" else "a"
        special = {
            "null": "NULL", "json": "a JSON value", "opaque": "a value of this type", "uuid": "a UUID",
        }  # fmt: skip
        return special.get(self.kind, f"{article} {self.kind}")

    def expect(self, kinds: Set[Kind], role: str) -> None:
        """Raises Untranslatable for a term of another kind."""
        refuse_if(self.kind not in kinds, f"{self.described} is taken for {role}")

    # --- numbers ----------------------------------------------------------------------------------------

    def truth(self) -> str:
        """A condition: MySQL takes any number for one."""
        if self.kind in ("bool", "null"):
            return self.sql
        self.expect(NUMBERS, "a condition")
        return {"0": "false", "1": "true"}.get(self.literal or "", f"({self.sql} <> 0)")

    def number(self) -> str:
        """A number: a condition is 0 or 1. A `real` is widened, as MySQL calculates with doubles."""
        self.expect(NUMBERS | {"null"}, "a number")
        if self.kind == "bool":
            return f"{self.sql}::int"
        return f"{self.sql}::float8" if self.kind == "double" and self.source == "float" else self.sql

    def integer(self) -> str:
        """An integer of 64 bits, in which MySQL calculates; numeric where it may be too large for bigint."""
        self.expect(INTEGERS | {"null"}, "an integer")
        if self.wide:
            return f"{self.sql}::numeric"
        if self.literal is not None or self.sql.endswith("::bigint"):
            return self.sql
        return f"{self.number()}::bigint"

    def bigint(self) -> str:
        """An integer that fits PostgreSQL's bigint."""
        refuse_if(self.wide, "a number that may be larger than PostgreSQL's bigint")
        return self.integer()

    def exact(self) -> str:
        """A number without an exponent."""
        refuse_if(self.kind == "double", "a FLOAT or DOUBLE, where only exact numbers give the same result")
        return self.number()

    def double(self) -> str:
        """A number with one, in 64 bits."""
        return self.number() if self.source == "float" else f"{self.number()}::float8"

    def shown(self) -> str:
        """A number with the digits that MySQL shows: a quotient is cut only at the very end."""
        return f"round({self.sql}, {self.scale})" if self.quotient else self.sql

    # --- texts ------------------------------------------------------------------------------------------

    def text(self, context: Context) -> str:
        """The text that MySQL prints a value as."""
        if self.kind in ("text", "null"):
            return self.bytewise
        if self.source in BITS_AS_TEXT or self.uneven:
            raise Untranslatable(BITS_AS_TEXT.get(self.source, "its digits depend on the row"))
        if self.source == "year":
            return f"lpad({self.sql}::text, 4, '0')"
        if self.kind in TEMPORAL | {"enum", "set"}:
            context.depends(f"{self.described} is made a text")
        if self.kind in TEMPORAL and self.kind != "date" and self.scale in _PATTERNS:
            return f"to_char({self.moment(context)}, '{_PATTERNS[self.scale]}')"
        texts = {
            "bool": "{0}::int::text", "int": "{0}::text", "decimal": "{1}::text", "uuid": "{0}::text",
            "date": "to_char({0}, 'YYYY-MM-DD')", "enum": "{0}::text", "set": "array_to_string({0}, ',')",
        }  # fmt: skip
        if self.kind not in texts:
            raise Untranslatable(f"{self.described} is taken for a text, which the servers print differently")
        return texts[self.kind].format(self.sql, self.shown())

    # --- dates and times --------------------------------------------------------------------------------

    def temporal(self) -> Term:
        """A date or time, from a literal that is plainly one, too."""
        refuse_if(self.uneven, UNEVEN)
        if self.kind in TEMPORAL or self.kind == "null":
            return self
        if self.kind != "text" or self.literal is None:
            raise Untranslatable(f"{self.described} is taken for a date")
        if _DATE.fullmatch(self.literal):
            return Term(f"DATE {pg_text(self.literal)}", "date")
        refuse_if(not _DATETIME.fullmatch(self.literal), f"{self.literal!r} is taken for a date")
        digits = len(self.literal.partition(".")[2])
        return Term(f"TIMESTAMP {pg_text(self.literal)}", "datetime", scale=digits)

    def day(self, context: Context) -> str:
        """A date."""
        value = self.temporal()
        return value.sql if value.kind in ("date", "null") else f"{value.moment(context)}::date"

    def moment(self, context: Context) -> str:
        """A wall-clock time; an instant is shown in the session's zone on both servers."""
        value = self.temporal()
        if value.kind in ("datetime", "null"):
            return value.sql
        if value.kind == "instant":
            context.depends("a point in time is shown in the session's time zone", local_time=True)
        return f"{value.sql}::timestamp"

    def rounded(self, digits: int, context: Context) -> str:
        """A wall-clock time with fewer digits of seconds: MySQL rounds up from the half.

        PostgreSQL's timestamp(n) does so after the year 2000 only: before it counts backwards.
        """
        value = self.temporal()
        if value.scale <= digits:
            return value.moment(context)
        refuse_if(digits not in _HALVES, f"a time is rounded to {digits} digits")
        unit, half = _HALVES[digits]
        sql = value.moment(context)
        # Past the year 9999 MySQL gives NULL.
        return (
            f"CASE WHEN {sql} < TIMESTAMP '10000-01-01' - INTERVAL '{half} seconds' "
            f"THEN date_trunc('{unit}', {sql} + INTERVAL '{half} seconds') END"
        )

    def time(self) -> str:
        """A time of day or a span of time."""
        refuse_if(self.uneven, UNEVEN)
        if self.kind == "text" and self.literal is not None and _TIME.fullmatch(self.literal):
            return f"INTERVAL {pg_text(self.literal)}"
        self.expect(TIMES | {"null"}, "a time")
        return f"{self.sql}::interval" if self.kind == "clock" else self.sql


NULL = Term("NULL", "null")
ODDLY = "?"
"""For citext and collations that are no counterpart of the source's."""


def text_literal(text: str) -> Term:
    """A text as the query has it."""
    refuse_if("\0" in text, "PostgreSQL has no NUL in texts")
    return Term(pg_text(text), "text", literal=text)


def plain(value: Term) -> Term:
    """What a function makes of a column without changing it: MySQL sorts such an ENUM as a text."""
    return replace(value, source="") if value.source == "enum" else value


def refuse_volatile(*values: Term) -> None:
    """Raises Untranslatable where a term that is used several times would have several values."""
    if any(value.volatile for value in values):
        raise Untranslatable("a value that changes would be evaluated more than once")
