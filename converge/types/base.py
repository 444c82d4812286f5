"""What every type family fills in: the form that each of its values takes in each target type.

A form is all of a value's way: the expression that reads it as the text that COPY gets, the canonical
text that both servers can make of it for the comparison, its traps, and its literal default. The
canonical texts are made from the stored values on each side, not from what the copy sent, so a wrong
`read` is found by the comparison instead of agreeing with itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from converge.model.catalog import Column
from converge.model.quote import pg_text
from converge.types.sql import as_bytes, escapes, refused, unequalled
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
    losses: tuple[Trap, ...] = ()
    """What a map's expression loses: no value where the map does not mean NULL, NULL where it does, and a
    value from which the column's own cannot be made again."""

    @property
    def sql(self) -> str:
        """MySQL expression of the value; NULL stays NULL."""
        return self.changed or self.column.sql

    @property
    def is_null(self) -> str:
        """MySQL condition: the value is NULL in the source, or by a map; empty where it never is.

        The text of a value does not tell: the server gives NULL for one that it cannot make, too.
        """
        return self.declared_null or (f"{self.column.sql} IS NULL" if self.column.nullable else "")


@dataclass(frozen=True, slots=True)
class Length:
    """How long a value's COPY text is, as MySQL expressions that do not make the text."""

    bytes: str
    """Before COPY's escapes."""
    escapes: str = ""
    """How many bytes get a backslash before them; empty where none can."""


Target = Callable[[str], str]
"""PostgreSQL expression of the column that a reference names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a value becomes in its target type. NULL stays NULL in all expressions."""

    read: str
    """MySQL expression of the COPY text, before COPY's own escapes."""
    source_text: str
    """MySQL expression of the canonical text."""
    target_text: Target = str
    """PostgreSQL expression, of any type, that prints as the same."""
    source_value: str = ""
    """MySQL expression of the value as the drill-down compares and shows it; empty: the canonical text."""
    target_value: Target | None = None
    """PostgreSQL expression of the same."""
    traps: tuple[Trap, ...] = ()
    """What the target type cannot hold."""
    default: Callable[[str], str | None] = pg_text
    """A literal default as PostgreSQL SQL; None when there is no faithful one."""
    judge: str = "text"
    """How the drill-down judges two canonical texts: text or json."""
    special: bool = False
    """Whether `read` can hold a tab, a line end or a backslash; also one that no scan has looked at."""
    delimited: bool = False
    """Whether canonical texts can hold the digest's marks, so that their length must go first."""
    whole: str = ""
    """MySQL expression of the value in the form that `Value.changed` has; empty: the value itself."""
    length: Length | None = None
    """How long the COPY text is; None: by the text itself."""


def of_text(text: str, **facts: Any) -> Form:
    """A text in UTF-8 that COPY gets as it stands, so that the target's own input decides."""
    length = Length(f"LENGTH({text})", escapes(text))
    plain = {"read": as_bytes(text), "source_text": text, "whole": text, "length": length}
    return Form(**{**plain, "special": True, "delimited": True, **facts})


def only_where(fine: str, stored: str, form: Form) -> Form:
    """The form of a value that becomes a text only where this is true of what is stored.

    Of others the copy gives a text that the target refuses, and the comparison one that it cannot hold.
    """
    fine = f"{stored} IS NULL OR {fine}"
    return replace(
        form,
        read=f"IF({fine},{form.read},{refused(stored)})",
        source_text=f"IF({fine},{form.source_text},{unequalled(stored)})",
        source_value=f"IF({fine},{form.source_value or form.source_text},{unequalled(stored)})",
    )


BYTEA: dict[str, Any] = {
    # The digest of a digest keeps long values out of the concatenated row.
    "target_text": "md5({})".format,
    "target_value": "encode({},'hex')".format,
    # The x of the hex digits has a backslash.
    "special": True,
}
"""What all forms in bytea have in common."""


class Family(ABC):
    """One kind of MySQL value. `targets` are the base names of types that it can become."""

    types: ClassVar[frozenset[str]]
    targets: ClassVar[frozenset[str]]
    labelled: ClassVar[bool] = False
    """Whether the values can become labels of an ``enum`` that is there already."""

    @abstractmethod
    def form(self, value: Value) -> Form:
        """What the value becomes in `value.to`."""

    def accepts(self, column: Column) -> frozenset[str]:
        """Base names of the types that this column can become."""
        return self.targets

    def suggestions(self, column: Column) -> tuple[str, ...]:
        """Types that may suit better when every value fits: said in the plan, chosen only by a map."""
        return ()

    def adopted(self, expression: str, column: Column) -> str:
        """A map's MySQL expression in the form that `Value.changed` has."""
        return expression

    def most(self, column: Column) -> int:
        """Bytes that the COPY text of a value can have at most, before escapes; 0 where that is little."""
        return 0


def seen_or(other: Callable[[str], str], text: str, value: Value) -> str:
    """`text`, or what `other` makes of a value that a map's expression has made nothing of.

    NULL in its place would be a loss that nobody has seen, unless the scan or a policy has.
    """
    lost = next((one.where for one in value.losses if one.name == "no_result"), "")
    if not lost or "no_result" in value.handled:
        return text
    return f"IF({lost},{other(value.column.sql)},{text})"
