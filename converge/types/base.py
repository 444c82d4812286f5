"""The interfaces that every type family, and every form of a text, fills in.

A family knows one kind of MySQL value on its whole way: the expression that reads it as the text
that COPY gets, the canonical text that both servers can make of it for the comparison, its traps,
and its literal default. The canonical texts are made from the stored values on each side, not from
what the copy sent, so a wrong `read` is found by the comparison instead of agreeing with itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from converge.model.catalog import Column
from converge.model.quote import my_name, pg_text
from converge.types.sql import as_bytes
from converge.types.traps import Trap


@dataclass(frozen=True, slots=True)
class Value:
    """A column's value on its way."""

    column: Column
    to: str
    """The target type by its `normal` name; ``enum`` for a type of labels."""
    changed: str = ""
    """MySQL expression that takes the column's place where a map says so; text is UTF-8 then."""
    declared_null: str = ""
    """MySQL condition: a map makes NULL of the value, or leaves a NULL; empty where no map decides."""
    handled: frozenset[str] = frozenset()
    """Traps that have a policy."""
    labels: tuple[str, ...] = ()
    """The labels of an ``enum`` that is there already; empty where it is made from the column's own."""
    made: bool = False
    """A map's expression makes `changed`, a value of another kind: `column` says which."""
    lost: str = ""
    """MySQL condition: a map's expression makes no value, and the map does not mean NULL."""
    emptied: str = ""
    """MySQL condition: a map's expression itself is NULL, where the column's value is not."""
    cut: str = ""
    """MySQL condition: a map's expression that cuts or rounds makes another value."""

    @property
    def sql(self) -> str:
        """MySQL expression of the value; NULL stays NULL."""
        return self.changed or my_name(self.column.name)

    @property
    def is_null(self) -> str:
        """MySQL condition: the value is NULL in the source, or by a map; empty where it never is.

        The text of a value does not tell: the server gives NULL for one that it cannot make, too.
        """
        stored = f"{my_name(self.column.name)} IS NULL" if self.column.nullable else ""
        return self.declared_null or stored


@dataclass(frozen=True, slots=True)
class Length:
    """How long a value's COPY text is, as MySQL expressions that do not make the text."""

    bytes: str
    """Before COPY's escapes."""
    escapes: str = ""
    """How many bytes get a backslash before them; empty where none can."""


class Family:
    """One kind of MySQL value. `targets` are the base names of types that it can become."""

    types: ClassVar[frozenset[str]]
    targets: ClassVar[frozenset[str]]
    labelled: ClassVar[bool] = False
    """Whether the values can become labels of an ``enum`` that is there already."""

    def accepts(self, column: Column) -> frozenset[str]:
        """Base names of the types that this column can become."""
        return self.targets

    def suggestions(self, column: Column) -> tuple[str, ...]:
        """Types that may suit better when every value fits: said in the plan, chosen only by a map."""
        return ()

    def every_trap(self, value: Value) -> tuple[Trap, ...]:
        """What a map's expression loses, then what `value.to` cannot hold."""
        lost = (Trap("no_result", value.lost),) if value.lost else ()
        emptied = (Trap("made_null", value.emptied),) if value.emptied else ()
        cut = (Trap("cut_value", value.cut),) if value.cut else ()
        return (*lost, *emptied, *cut, *self.traps(value))

    def traps(self, value: Value) -> tuple[Trap, ...]:
        """What `value.to` cannot hold of it."""
        return ()

    def judge(self, value: Value) -> str:
        """How the drill-down judges two canonical texts: text or json."""
        return "text"

    def whole(self, value: Value) -> str:
        """MySQL expression of the value in the form that `Value.changed` has."""
        return value.sql

    def adopted(self, expression: str, column: Column) -> str:
        """A map's MySQL expression in the form that `Value.changed` has."""
        return expression

    def read(self, value: Value) -> str:
        """MySQL expression of the value as COPY text, before COPY's own escapes; NULL stays NULL."""
        return value.sql

    def most(self, column: Column) -> int:
        """Bytes that the COPY text of a value can have at most, before escapes; 0 where that is little."""
        return 0

    def length(self, value: Value) -> Length:
        """The bytes that one value's COPY text has, for columns that `most` says can be long."""
        return Length(f"LENGTH({self.read(value)})")

    def special(self, value: Value) -> bool:
        """Whether `read` can hold a tab, a line end or a backslash."""
        return False

    def delimited(self, value: Value) -> bool:
        """Whether canonical texts can hold the digest's marks, so that their length must go first."""
        return False

    def source_text(self, value: Value) -> str:
        """MySQL expression of the canonical text."""
        return value.sql

    def target_text(self, reference: str, value: Value) -> str:
        """PostgreSQL expression, of any type, that prints as the canonical text of `reference`."""
        # The digest of a digest keeps long values out of the concatenated row.
        return f"md5({reference})" if value.to == "bytea" else reference

    def source_value(self, value: Value) -> str:
        """MySQL expression of the value as the drill-down compares and shows it."""
        return self.source_text(value)

    def target_value(self, reference: str, value: Value) -> str:
        """PostgreSQL expression of the same."""
        return f"encode({reference},'hex')" if value.to == "bytea" else self.target_text(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        """The literal default as PostgreSQL SQL; None when there is no faithful one."""
        return pg_text(literal)


class Form:
    """What a text becomes in PostgreSQL, whichever MySQL type it was read from.

    Families that can give their values as text share these: a form knows what the target type takes of it and
    how both servers tell it. `text` is everywhere a MySQL expression in UTF-8; COPY gets it as it stands, so
    the target's own input decides, and what it would read as something else is a trap before that.
    """

    targets: ClassVar[frozenset[str]]
    """Base names of the types that are written like this."""
    judge: ClassVar[str] = "text"
    delimited: ClassVar[bool] = True
    special: ClassVar[bool] = True
    """Whether a text can hold what COPY needs escaped; also one that no scan has looked at."""

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        """What `value.to` cannot hold of the text."""
        return ()

    def read(self, text: str) -> str:
        """MySQL expression of the COPY text."""
        return as_bytes(text)

    def source_text(self, text: str) -> str:
        """MySQL expression of the canonical text."""
        return text

    def target_text(self, reference: str, value: Value) -> str:
        """PostgreSQL expression that prints as the same."""
        return reference

    def source_value(self, text: str) -> str:
        """MySQL expression of the value for the drill-down."""
        return self.source_text(text)

    def target_value(self, reference: str, value: Value) -> str:
        """PostgreSQL expression of the same."""
        return self.target_text(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        """The literal default as PostgreSQL SQL; None when there is no faithful one."""
        return pg_text(literal)


def seen_or(other: Callable[[str], str], text: str, value: Value) -> str:
    """`text`, or what `other` makes of a value that a map's expression has made nothing of.

    NULL in its place would be a loss that nobody has seen, unless the scan or a policy has.
    """
    if not value.lost or "no_result" in value.handled:
        return text
    return f"IF({value.lost},{other(my_name(value.column.name))},{text})"
