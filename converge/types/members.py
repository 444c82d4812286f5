"""ENUM and SET: labels in declaration order."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.quote import my_name, my_text, pg_array
from converge.types.base import Family
from converge.types.text import as_bytes, utf8

_SPECIAL = frozenset("\t\n\r\\")
_MARKS = frozenset("|;~")


class _Labels(Family):
    def delimited(self, column: Column) -> bool:
        return any(_MARKS & set(label) for label in column.labels)


class Enum(_Labels):
    """A native type whose order is the declaration's, so that ORDER BY stays as it was."""

    types = frozenset({"enum"})
    targets = frozenset({"enum", "text"})

    def read(self, column: Column, to: str) -> str:
        return as_bytes(utf8(column))

    def special(self, column: Column, to: str) -> bool:
        return any(_SPECIAL & set(label) for label in column.labels)

    def source_text(self, column: Column, to: str) -> str:
        return utf8(column)


class Set(_Labels):
    """An array of labels. A member can hold quotes and braces but never a comma."""

    types = frozenset({"set"})
    targets = frozenset({"text[]"})

    def read(self, column: Column, to: str) -> str:
        text = self.source_text(column, to)
        for char in "\\", '"':
            if any(char in label for label in column.labels):
                text = f"REPLACE({text},{my_text(char)},{my_text(chr(92) + char)})"
        members = f"""CONCAT('{{"',REPLACE({text},',','","'),'"}}')"""
        # By its number: a member of nothing but ignorable characters is equal to '' in its collation.
        return as_bytes(f"IF({my_name(column.name)}+0=0,'{{}}',{members})")

    def special(self, column: Column, to: str) -> bool:
        return any((_SPECIAL | {'"'}) & set(label) for label in column.labels)

    def source_text(self, column: Column, to: str) -> str:
        return f"CONVERT(CAST({my_name(column.name)} AS CHAR) USING utf8mb4)"

    def target_text(self, reference: str, column: Column, to: str) -> str:
        return f"array_to_string({reference},',')"

    def default(self, value: str, column: Column, to: str) -> str | None:
        return pg_array(tuple(value.split(",")) if value else ())
