"""UUIDs in texts and in 16 bytes: PostgreSQL's uuid where a map asks for it."""

from __future__ import annotations

from converge.types.traps import Trap

_HEX = "[0-9A-Fa-f]"
_PATTERN = f"^({_HEX}{{8}}-({_HEX}{{4}}-){{3}}{_HEX}{{12}}|{_HEX}{{32}})$"
_VARIANT = "'8','9','A','B'"
_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))


def not_uuid(text: str) -> Trap:
    """A UTF-8 expression that is no UUID, with or without hyphens, in either case."""
    return Trap("not_uuid", f"{text} NOT REGEXP '{_PATTERN}'")


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
