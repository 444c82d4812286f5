"""UUIDs in texts and in 16 bytes: PostgreSQL's uuid where a map asks for it or a table has it."""

from __future__ import annotations

from converge.model.quote import my_text
from converge.types.base import Value
from converge.types.form import Form
from converge.types.traps import Trap

_HEX = "[0-9A-Fa-f]"
_PATTERN = f"^({_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{32}})\\z"
_VARIANT = "'8','9','A','B'"
_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


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
