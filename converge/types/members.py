"""ENUM and SET: labels in declaration order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from converge.model.catalog import Column
from converge.model.quote import my_name, my_text
from converge.types.as_number import INTEGERS
from converge.types.base import Family, Form, Value
from converge.types.forms import ANY_TEXT, ODD, text_form
from converge.types.parsed import printed_default
from converge.types.sql import as_bytes, one_of
from converge.types.text import utf8
from converge.types.traps import Trap

_SPECIAL = frozenset("\t\n\r\\")
_MARKS = frozenset("|;~")
_LABEL_BYTES = 63
_ONLY_EMPTY = '{""}'


def fits_enum(labels: Iterable[str]) -> bool:
    """Whether a native enum can hold all labels: PostgreSQL's limit is 63 bytes each."""
    return all(len(label.encode()) <= _LABEL_BYTES for label in labels)


def _any_has(chars: frozenset[str], value: Value) -> bool:
    """Whether a value can have one of these characters."""
    return bool(value.changed) or any(chars & set(label) for label in value.column.labels)


class _Labels(Family):
    def adopted(self, expression: str, column: Column) -> str:
        return f"CONVERT({expression} USING utf8mb4)"


class Enum(_Labels):
    """A native type in the declaration's order, so that ORDER BY stays as it was; or one of the target's."""

    types = frozenset({"enum"})
    targets = ANY_TEXT | {"enum"}
    labelled = True

    def accepts(self, column: Column) -> frozenset[str]:
        """Also the type of which every label is the text."""
        printed = ("boolean", *INTEGERS)
        return self.targets | {to for to in printed if all(printed_default(to, one) for one in column.labels)}

    def form(self, value: Value) -> Form:
        own, text = value.column.labels, utf8(value)
        labels = value.labels or own
        form = text_form(text, replace(value, labels=labels))
        traps, native = form.traps, value.to == "enum"
        if native and not value.changed:
            # Labels that the target lacks, where values have them; an error value is none.
            lacking = tuple(label for label in own if label not in labels)
            traps = (Trap("no_label", one_of(text, lacking)),) if lacking else ()
        empty = Trap(
            "empty_label",
            f"{my_name(value.column.name)}+0=0",
            # '' is a label of the target alone: nothing else arrives as that.
            harm="note" if "" in labels else None,
            merged="hold the error value (index 0), which arrives as the label ''"
            if "" in labels and "" in own
            else "",
        )
        return replace(
            form,
            traps=(empty, *traps),
            special=_any_has(_SPECIAL, value),
            # A text can hold more than the labels, once its CHECK is gone: ~ must not look like NULL.
            delimited=_any_has(_MARKS, value) or not native or not fits_enum(own),
        )


class Set(_Labels):
    """An array of labels, or their text as MySQL prints it. A member can hold quotes and braces, no comma."""

    types = frozenset({"set"})
    targets = ANY_TEXT | {"text[]"}

    def form(self, value: Value) -> Form:
        labels, text = value.column.labels, f"CONVERT(CAST({value.sql} AS CHAR) USING utf8mb4)"
        form = replace(text_form(text, value), whole=utf8(value), special=_any_has(_SPECIAL | {'"'}, value))
        # The member '' alone and no member at all are the same text.
        odd = f"{value.sql}+0<>0 AND LENGTH({text})=0" if "" in labels and not value.changed else ""
        if value.to != "text[]":
            merged = "hold only the member '', which arrives as no member"
            traps = (Trap("empty_label", odd, merged=merged),) if odd else ()
            return replace(form, traps=(*traps, *form.traps))
        escaped = text
        for char in "\\", '"':
            if any(char in label for label in labels):
                escaped = f"REPLACE({escaped},{my_text(char)},{my_text(chr(92) + char)})"
        members = f"""CONCAT('{{"',REPLACE({escaped},',','","'),'"}}')"""
        # By its number: a member of nothing but ignorable characters is equal to '' in its collation.
        empty = f"LENGTH({value.changed})=0" if value.changed else f"{value.sql}+0=0"
        form = replace(form, read=as_bytes(f"IF({empty},'{{}}',{members})"))
        return replace(form, source_text=f"IF({odd},{my_text(ODD + _ONLY_EMPTY)},{text})") if odd else form
