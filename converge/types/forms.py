"""Every form that a text can take in PostgreSQL, whichever MySQL type it was read from.

`text` is everywhere a MySQL expression in UTF-8. COPY gets it as it stands, so the target's own input
decides, and what it would read as something else is a trap before that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from converge.model.quote import my_text, pg_array, pg_text
from converge.types.base import BYTEA, Form, Length, Value, of_text
from converge.types.parsed import PRINTED, address_form, json_form, jsonb_form, printed_form
from converge.types.sql import as_bytes, base_name, one_of, sizes
from converge.types.traps import Trap

TEXTS = frozenset({"text", "varchar", "citext"})
"""Base names of the types that compare by a collation and keep every character."""
PADDED = frozenset({"character", "bpchar"})
"""Those that do not tell spaces at the end from their padding; MySQL's CHAR never ends in one."""
ANY_TEXT = TEXTS | PADDED
# Begins the canonical text of an array that its joined members do not tell, like {""}, {a,NULL} or {"a,b"}.
# No SET has two members '', so none begins like this.
ODD = ",,"
_VARIANT = "'8','9','A','B'"
_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


def text_form(text: str, value: Value) -> Form:
    """The form of a text in `value.to`. Raises KeyError for a type that no text can become."""
    return _FORMS[base_name(value.to)](text, value)


def as_digits(form: Form, value: Value) -> Form:
    """The form of a number, which COPY reads as one, in a type of texts."""
    text = text_form(f"CAST({form.read} AS CHAR)", value)
    return replace(
        form, source_text=text.source_text, target_text=text.target_text, traps=text.traps, delimited=True
    )


def _plain(text: str, value: Value) -> Form:
    """varchar, text, citext and the padded character(n)."""
    padded, found = base_name(value.to) in PADDED, []
    limit = 1 if value.to == "character" else next(iter(sizes(value.to)), None)
    longest = None if value.changed else value.column.length
    if limit is not None and (longest is None or longest > limit):
        found.append(Trap("too_long", f"CHAR_LENGTH({text})>{limit}", {"cut": f"LEFT({text},{limit})"}))
    if padded and (value.column.type != "char" or value.changed):
        # As bytes: many collations take '' and ' ' for equal.
        last = as_bytes(f"RIGHT({text},1)")
        found.append(Trap("trailing_space", f"{last}=' '", {"trim": f"TRIM(TRAILING ' ' FROM {text})"}))

    def default(literal: str) -> str | None:
        # The target cuts spaces beyond the limit without a word.
        return pg_text(literal) if limit is None or len(literal) <= limit else None

    # The cast leaves the padding out.
    target_text = "{}::text".format if padded else str
    return of_text(text, traps=(*found, nul(text)), target_text=target_text, default=default)


def nul(text: str) -> Trap:
    """NUL inside a UTF-8 expression. As bytes, because most collations ignore a NUL."""

    def without(substitute: str) -> str:
        return f"CONVERT(REPLACE({as_bytes(text)},0x00,{as_bytes(substitute)}) USING utf8mb4)"

    return Trap(
        "nul",
        f"INSTR({as_bytes(text)},0x00)>0",
        {"strip": without("''")},
        lambda wanted: without(my_text(wanted)),
    )


def _bytes(text: str, value: Value) -> Form:
    """Bytes as bytea: those of a text in UTF-8, or any."""
    return Form(
        read=f"CONCAT('\\\\x',HEX({text}))",
        source_text=f"MD5({text})",
        source_value=f"LOWER(HEX({text}))",
        default=lambda literal: f"'\\x{literal.encode().hex()}'::bytea",
        whole=text,
        length=Length(f"(2*LENGTH({text})+3)"),
        **BYTEA,
    )


def _uuid(text: str, value: Value) -> Form:
    """With or without hyphens, in either case."""
    digits = f"REPLACE({text},'-','')"
    groups = ",'-',".join(f"SUBSTRING({digits},{start},{length})" for start, length in _GROUPS)
    # No collation tells '' from ' ' as surely as the length.
    empty = Trap("empty_uuid", f"LENGTH({text})=0")
    # IS_UUID takes one in braces, too, of 38 characters; a regular expression takes three times as long.
    other = Trap("not_uuid", f"LENGTH({text})>0 AND NOT (LENGTH({text})<38 AND IS_UUID({text}))")
    return of_text(
        text,
        source_text=f"LOWER(CONCAT({groups}))",
        traps=(empty, other),
        default=lambda literal: pg_text(literal) if len(literal.replace("-", "")) == 32 else None,
        delimited=False,
        special=False,
    )


def swapped(value: str) -> Trap:
    """16 bytes without a version or variant (RFC 9562) where they belong.

    UUID_TO_BIN(x, 1) puts the time's high bytes first (MySQL 8.0 manual, "Miscellaneous Functions").
    """
    digits = f"HEX({value})"
    pieces = ((9, 8), (5, 4), (1, 4), (17, 16))
    ordered = ",".join(f"SUBSTRING({digits},{start},{length})" for start, length in pieces)
    version = f"SUBSTRING({digits},13,1) BETWEEN '1' AND '8'"
    where = f"NOT ({version} AND SUBSTRING({digits},17,1) IN ({_VARIANT}))"
    return Trap("swapped_uuid", where, {"swap": f"UNHEX(CONCAT({ordered}))"}, whole=True)


def _label(text: str, value: Value) -> Form:
    """A label of an ENUM type that the target has already."""
    other = Trap("no_label", f"{text} IS NOT NULL AND NOT {one_of(text, value.labels)}")
    return of_text(
        text, traps=(other,), default=lambda literal: pg_text(literal) if literal in value.labels else None
    )


def array_text(reference: str) -> str:
    """PostgreSQL expression of a text[] as MySQL prints a SET of the same members."""
    text = f"array_to_string({reference},',')"
    # No text of a nondeterministic collation can be searched (before version 18).
    plain = f"coalesce(string_to_array({text} COLLATE \"C\",','),'{{}}')"
    return f"CASE WHEN {reference}={plain} THEN {text} ELSE '{ODD}'||{reference}::text END"


def _array(text: str, value: Value) -> Form:
    """The members of a SET as text[]."""
    return of_text(
        text,
        target_text=array_text,
        default=lambda literal: pg_array(tuple(literal.split(",")) if literal else ()),
    )


_OF_ANY: Mapping[str, Callable[[str, Value], Form]] = {
    **dict.fromkeys(ANY_TEXT, _plain),
    **dict.fromkeys(PRINTED, printed_form),
    **dict.fromkeys(("inet", "cidr"), address_form),
    "bytea": _bytes,
    "uuid": _uuid,
    "json": json_form,
    "jsonb": jsonb_form,
}
MADE = frozenset(_OF_ANY)
"""Base names of the types that any text can become."""
_FORMS = {**_OF_ANY, "enum": _label, "text[]": _array}
