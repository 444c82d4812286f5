"""Every form that a text can take in PostgreSQL, and the families that give their values as texts."""

from __future__ import annotations

from abc import abstractmethod

from converge.model.quote import my_text, pg_array, pg_text
from converge.types.base import Family, Form, Value
from converge.types.parsed import AsAddress, AsJson, AsJsonb, AsShape
from converge.types.sql import as_bytes, base_name, one_of, sizes
from converge.types.traps import Trap

TEXTS = frozenset({"text", "varchar", "citext"})
"""Base names of the types that compare by a collation and keep every character."""
PADDED = frozenset({"character", "bpchar"})
"""Those that do not tell spaces at the end from their padding; MySQL's CHAR never ends in one."""
# Begins the canonical text of an array that its joined members do not tell, like {""}, {a,NULL} or {"a,b"}.
# No SET has two members '', so none begins like this.
ODD = ",,"
_HEX = "[0-9A-Fa-f]"
_PATTERN = f"^({_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{32}})\\z"
_VARIANT = "'8','9','A','B'"
_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


class AsText(Form):
    """varchar, text, citext and the padded character(n)."""

    targets = TEXTS | PADDED

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (*_too_long(text, value), *_trailing_space(text, value), nul(text))

    def target_text(self, reference: str, value: Value) -> str:
        # The cast leaves the padding out.
        return f"{reference}::text" if base_name(value.to) in PADDED else reference


def _too_long(text: str, value: Value) -> tuple[Trap, ...]:
    limit = 1 if value.to == "character" else next(iter(sizes(value.to)), None)
    longest = None if value.changed else value.column.length
    if limit is None or (longest is not None and longest <= limit):
        return ()
    return (Trap("too_long", f"CHAR_LENGTH({text})>{limit}", {"cut": f"LEFT({text},{limit})"}),)


def _trailing_space(text: str, value: Value) -> tuple[Trap, ...]:
    if base_name(value.to) not in PADDED or (value.column.type == "char" and not value.changed):
        return ()
    # As bytes: many collations take '' and ' ' for equal.
    last = as_bytes(f"RIGHT({text},1)")
    return (Trap("trailing_space", f"{last}=' '", {"trim": f"TRIM(TRAILING ' ' FROM {text})"}),)


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


class AsBytes(Form):
    """Bytes as bytea: those of a text in UTF-8, or any."""

    targets = frozenset({"bytea"})
    delimited = False

    def read(self, text: str) -> str:
        return f"CONCAT('\\\\x',HEX({text}))"

    def source_text(self, text: str) -> str:
        return f"MD5({text})"

    def target_text(self, reference: str, value: Value) -> str:
        # The digest of a digest keeps long values out of the concatenated row.
        return f"md5({reference})"

    def source_value(self, text: str) -> str:
        return f"LOWER(HEX({text}))"

    def target_value(self, reference: str, value: Value) -> str:
        return f"encode({reference},'hex')"

    def default(self, literal: str, value: Value) -> str | None:
        return f"'\\x{literal.encode().hex()}'::bytea"


class AsUuid(Form):
    """With or without hyphens, in either case."""

    targets = frozenset({"uuid"})
    delimited = False
    special = False

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        # No collation tells '' from ' ' as surely as the length.
        empty = Trap("empty_uuid", f"LENGTH({text})=0")
        other = f"LENGTH({text})>0 AND {text} NOT REGEXP {my_text(_PATTERN)}"
        return empty, Trap("not_uuid", other)

    def source_text(self, text: str) -> str:
        return canonical(text)

    def default(self, literal: str, value: Value) -> str | None:
        return super().default(literal, value) if len(literal.replace("-", "")) == 32 else None


def canonical(text: str) -> str:
    """MySQL expression of a UUID as PostgreSQL prints it, from hex digits with or without hyphens."""
    digits = f"REPLACE({text},'-','')"
    groups = ",'-',".join(f"SUBSTRING({digits},{start},{length})" for start, length in _GROUPS)
    return f"LOWER(CONCAT({groups}))"


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


class AsLabel(Form):
    """A label of an ENUM type that the target has already."""

    targets = frozenset({"enum"})

    def traps(self, text: str, value: Value) -> tuple[Trap, ...]:
        return (Trap("no_label", f"{text} IS NOT NULL AND NOT {one_of(text, value.labels)}"),)

    def default(self, literal: str, value: Value) -> str | None:
        return pg_text(literal) if literal in value.labels else None


class AsArray(Form):
    """The members of a SET as text[]."""

    targets = frozenset({"text[]"})

    def target_text(self, reference: str, value: Value) -> str:
        text = f"array_to_string({reference},',')"
        plain = f"coalesce(string_to_array({text},','),'{{}}')"
        return f"CASE WHEN {reference}={plain} THEN {text} ELSE '{ODD}'||{reference}::text END"

    def default(self, literal: str, value: Value) -> str | None:
        return pg_array(tuple(literal.split(",")) if literal else ())


_FORMS: tuple[Form, ...] = (
    AsText(), AsBytes(), AsUuid(), AsJson(), AsJsonb(), AsShape(), AsAddress(), AsLabel(), AsArray(),
)  # fmt: skip
_BY_TARGET = {target: form for form in _FORMS for target in form.targets}

MADE = frozenset(_BY_TARGET) - AsLabel.targets - AsArray.targets
"""Base names of the types that any text can become."""


def form_of(to: str) -> Form:
    """The form of a target type. Raises KeyError for one that no text can become."""
    return _BY_TARGET[base_name(to)]


class Written(Family):
    """A family that gives its values as one expression: the target type's form does the rest."""

    @abstractmethod
    def text(self, value: Value) -> str:
        """MySQL expression of the value, in UTF-8 unless the target takes bytes."""

    def traps(self, value: Value) -> tuple[Trap, ...]:
        return form_of(value.to).traps(self.text(value), value)

    def judge(self, value: Value) -> str:
        return form_of(value.to).judge

    def whole(self, value: Value) -> str:
        return self.text(value)

    def read(self, value: Value) -> str:
        return form_of(value.to).read(self.text(value))

    def special(self, value: Value) -> bool:
        return form_of(value.to).special

    def delimited(self, value: Value) -> bool:
        return form_of(value.to).delimited

    def source_text(self, value: Value) -> str:
        return form_of(value.to).source_text(self.text(value))

    def target_text(self, reference: str, value: Value) -> str:
        return form_of(value.to).target_text(reference, value)

    def source_value(self, value: Value) -> str:
        return form_of(value.to).source_value(self.text(value))

    def target_value(self, reference: str, value: Value) -> str:
        return form_of(value.to).target_value(reference, value)

    def default(self, literal: str, value: Value) -> str | None:
        return form_of(value.to).default(literal, value)
