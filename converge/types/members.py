"""ENUM and SET: labels in declaration order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from converge.model.catalog import Column
from converge.model.plan import Severity
from converge.model.quote import my_name, my_text, pg_text
from converge.types.as_number import INTEGERS
from converge.types.base import Value
from converge.types.forms import ODD, AsArray, AsText, Written
from converge.types.parsed import AsShape
from converge.types.sql import as_bytes, one_of
from converge.types.text import utf8
from converge.types.traps import Trap

_SPECIAL = frozenset("\t\n\r\\")
_MARKS = frozenset("|;~")
_LABEL_BYTES = 63
_ONLY_EMPTY = '{""}'
_SHAPE = AsShape()


def fits_enum(labels: Iterable[str]) -> bool:
    """Whether a native enum can hold all labels: PostgreSQL's limit is 63 bytes each."""
    return all(len(label.encode()) <= _LABEL_BYTES for label in labels)


class _Labels(Written):
    def text(self, value: Value) -> str:
        return utf8(value)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CONVERT({expression} USING utf8mb4)"

    def delimited(self, value: Value) -> bool:
        return bool(value.changed) or any(_MARKS & set(label) for label in value.column.labels)


class Enum(_Labels):
    """A native type in the declaration's order, so that ORDER BY stays as it was; or one of the target's."""

    types = frozenset({"enum"})
    targets = AsText.targets | {"enum"}
    labelled = True

    def accepts(self, column: Column) -> frozenset[str]:
        """Also the type of which every label is the text."""
        shapes = (Value(column, to) for to in ("boolean", *INTEGERS))
        return self.targets | {
            value.to
            for value in shapes
            if all(_SHAPE.default(label, value) is not None for label in column.labels)
        }

    def traps(self, value: Value) -> tuple[Trap, ...]:
        name = my_name(value.column.name)
        empty = Trap("empty_label", f"{name}+0=0", {"keep": utf8(value)}, harm=self._harm(value))
        if value.to != "enum":
            return (empty, *super().traps(value))
        return (empty, *self._missing(value)) if value.labels or value.changed else (empty,)

    def _missing(self, value: Value) -> tuple[Trap, ...]:
        """Labels that the target lacks, where values have them; an error value is none."""
        if value.changed:
            return super().traps(replace(value, labels=value.labels or value.column.labels))
        lacking = tuple(label for label in value.column.labels if label not in value.labels)
        return (Trap("no_label", one_of(utf8(value), lacking)),) if lacking else ()

    def delimited(self, value: Value) -> bool:
        # A text can hold more than the labels, once its CHECK is gone: ~ must not look like NULL.
        return super().delimited(value) or value.to != "enum" or not fits_enum(value.column.labels)

    @staticmethod
    def _harm(value: Value) -> Severity | None:
        # Where '' is a label, too, the error value arrives as that.
        return "note" if "" in (value.labels or value.column.labels) else None

    def special(self, value: Value) -> bool:
        return bool(value.changed) or any(_SPECIAL & set(label) for label in value.column.labels)

    def default(self, literal: str, value: Value) -> str | None:
        if value.labels or value.to != "enum":
            return super().default(literal, value)
        # Nothing shows a label that no value has and that information_schema prints with a ?.
        return pg_text(literal) if literal in value.column.labels else None


class Set(_Labels):
    """An array of labels, or their text as MySQL prints it. A member can hold quotes and braces, no comma."""

    types = frozenset({"set"})
    targets = AsText.targets | AsArray.targets

    def text(self, value: Value) -> str:
        return f"CONVERT(CAST({value.sql} AS CHAR) USING utf8mb4)"

    def whole(self, value: Value) -> str:
        return utf8(value)

    def read(self, value: Value) -> str:
        text = self.text(value)
        if value.to not in AsArray.targets:
            return as_bytes(text)
        for char in "\\", '"':
            if any(char in label for label in value.column.labels):
                text = f"REPLACE({text},{my_text(char)},{my_text(chr(92) + char)})"
        members = f"""CONCAT('{{"',REPLACE({text},',','","'),'"}}')"""
        # By its number: a member of nothing but ignorable characters is equal to '' in its collation.
        empty = f"LENGTH({value.changed})=0" if value.changed else f"{value.sql}+0=0"
        return as_bytes(f"IF({empty},'{{}}',{members})")

    def special(self, value: Value) -> bool:
        return bool(value.changed) or any((_SPECIAL | {'"'}) & set(label) for label in value.column.labels)

    def delimited(self, value: Value) -> bool:
        return True

    def source_text(self, value: Value) -> str:
        text = self.text(value)
        if "" not in value.column.labels or value.changed or value.to not in AsArray.targets:
            return text
        # The member '' alone and no member at all are the same text.
        return f"IF({value.sql}+0<>0 AND LENGTH({text})=0,{my_text(ODD + _ONLY_EMPTY)},{text})"

    def source_value(self, value: Value) -> str:
        return self.source_text(value)
