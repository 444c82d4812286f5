"""ENUM and SET: labels in declaration order."""

from __future__ import annotations

from converge.model.catalog import Column
from converge.model.plan import Severity
from converge.model.quote import my_name, my_text, pg_array, pg_text
from converge.types.base import Family, Value
from converge.types.text import as_bytes, utf8
from converge.types.traps import Trap

_SPECIAL = frozenset("\t\n\r\\")
_MARKS = frozenset("|;~")
_LABEL_BYTES = 63
# Begins the canonical text of an array that its joined members do not tell, like {""}, {a,NULL} or {"a,b"}.
# No SET has two members '', so none begins like this.
_ODD = ",,"
_ONLY_EMPTY = '{""}'


def fits_enum(column: Column) -> bool:
    """Whether a native enum can hold all labels: PostgreSQL's limit is 63 bytes each."""
    return all(len(label.encode()) <= _LABEL_BYTES for label in column.labels)


class _Labels(Family):
    def whole(self, value: Value) -> str:
        return utf8(value)

    def adopted(self, expression: str, column: Column) -> str:
        return f"CONVERT({expression} USING utf8mb4)"

    def delimited(self, value: Value) -> bool:
        return bool(value.changed) or any(_MARKS & set(label) for label in value.column.labels)


def _printed(literal: str, column: Column) -> str:
    """A default as text: information_schema prints that of a binary column in hex digits."""
    return (
        bytes.fromhex(literal[2:]).decode()
        if column.charset in (None, "binary") and literal[:2] == "0x"
        else literal
    )


class Enum(_Labels):
    """A native type whose order is the declaration's, so that ORDER BY stays as it was."""

    types = frozenset({"enum"})
    targets = frozenset({"enum", "text"})

    def traps(self, value: Value) -> tuple[Trap, ...]:
        name = my_name(value.column.name)
        return (Trap("empty_label", f"{name}+0=0", {"keep": utf8(value)}, harm=self._harm(value)),)

    def delimited(self, value: Value) -> bool:
        # A text can hold more than the labels, once its CHECK is gone: ~ must not look like NULL.
        return super().delimited(value) or value.to == "text" or not fits_enum(value.column)

    @staticmethod
    def _harm(value: Value) -> Severity | None:
        # Where '' is a declared label, too, the error value arrives as that.
        return "note" if "" in value.column.labels else None

    def read(self, value: Value) -> str:
        return as_bytes(utf8(value))

    def special(self, value: Value) -> bool:
        return bool(value.changed) or any(_SPECIAL & set(label) for label in value.column.labels)

    def source_text(self, value: Value) -> str:
        return utf8(value)

    def default(self, literal: str, value: Value) -> str | None:
        return pg_text(_printed(literal, value.column))


class Set(_Labels):
    """An array of labels. A member can hold quotes and braces but never a comma."""

    types = frozenset({"set"})
    targets = frozenset({"text[]"})

    def read(self, value: Value) -> str:
        text = self._joined(value)
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

    @staticmethod
    def _joined(value: Value) -> str:
        return f"CONVERT(CAST({value.sql} AS CHAR) USING utf8mb4)"

    def source_text(self, value: Value) -> str:
        text = self._joined(value)
        if "" not in value.column.labels or value.changed:
            return text
        # The member '' alone and no member at all are the same text.
        return f"IF({value.sql}+0<>0 AND LENGTH({text})=0,{my_text(_ODD + _ONLY_EMPTY)},{text})"

    def target_text(self, reference: str, value: Value) -> str:
        text = f"array_to_string({reference},',')"
        plain = f"coalesce(string_to_array({text},','),'{{}}')"
        return f"CASE WHEN {reference}={plain} THEN {text} ELSE '{_ODD}'||{reference}::text END"

    def default(self, literal: str, value: Value) -> str | None:
        printed = _printed(literal, value.column)
        return pg_array(tuple(printed.split(",")) if printed else ())
