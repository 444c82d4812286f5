"""The interface that every type family fills in.

A family knows one kind of MySQL value on its whole way: the expression that reads it as the text
that COPY gets, the canonical text that both servers can make of it for the comparison, and its
literal default. `to` is always the target type that a map's rule chose, as PostgreSQL prints it.
The canonical texts are made from the stored values on each side, not from what the copy sent, so
a wrong `read` is found by the comparison instead of agreeing with itself.
"""

from __future__ import annotations

from typing import ClassVar

from converge.model.catalog import Column
from converge.model.quote import my_name, pg_text


class Family:
    """One kind of MySQL value. `targets` are the base names of types that it can become."""

    types: ClassVar[frozenset[str]]
    targets: ClassVar[frozenset[str]]
    judge: ClassVar[str] = "text"

    def read(self, column: Column, to: str) -> str:
        """MySQL expression of the value as COPY text, before COPY's own escapes; NULL stays NULL."""
        return my_name(column.name)

    def special(self, column: Column, to: str) -> bool:
        """Whether `read` can hold a tab, a line end or a backslash."""
        return False

    def delimited(self, column: Column) -> bool:
        """Whether canonical texts can hold the digest's marks, so that their length must go first."""
        return False

    def source_text(self, column: Column, to: str) -> str:
        """MySQL expression of the canonical text."""
        return my_name(column.name)

    def target_text(self, reference: str, column: Column, to: str) -> str:
        """PostgreSQL expression, of any type, that prints as the canonical text of `reference`."""
        return reference

    def source_value(self, column: Column, to: str) -> str:
        """MySQL expression of the value as the drill-down compares and shows it."""
        return self.source_text(column, to)

    def target_value(self, reference: str, column: Column, to: str) -> str:
        """PostgreSQL expression of the same."""
        return self.target_text(reference, column, to)

    def default(self, value: str, column: Column, to: str) -> str | None:
        """The literal default `value` as PostgreSQL SQL; None when there is no faithful one."""
        return pg_text(value)


def base_name(to: str) -> str:
    """``numeric(10,2)`` → ``numeric``, ``timestamp(6) with time zone`` → the same without (6)."""
    head, _, rest = to.partition("(")
    return (head + rest.partition(")")[2]).strip() if rest else to
