"""Names and texts in SQL: quoted for each server, and fitted into PostgreSQL's 63 bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import chain, count

from converge.codes import Code
from converge.errors import UsageError

_MYSQL_ESCAPES = {"\\": "\\\\", "'": "''", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}


def my_name(*parts: str) -> str:
    """A MySQL identifier, dotted when qualified."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in parts)


def my_text(value: str) -> str:
    """A MySQL string literal."""
    return "'" + "".join(_MYSQL_ESCAPES.get(char, char) for char in value) + "'"


def pg_name(*parts: str) -> str:
    """A PostgreSQL identifier, dotted when qualified."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def pg_text(value: str) -> str:
    """A PostgreSQL string literal; a backslash needs the E form in no setting that we use."""
    return "'" + value.replace("'", "''") + "'"


def pg_array(values: tuple[str, ...]) -> str:
    """A PostgreSQL text[] constructor."""
    return "ARRAY[" + ", ".join(pg_text(value) for value in values) + "]::text[]"


def toml_text(value: str) -> str:
    """A basic string of TOML, for hints and written maps."""
    escaped = (_toml_char(char) for char in value)
    return f'"{"".join(escaped)}"'


def _toml_char(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return f"\\u{ord(char):04x}" if ord(char) < 32 or char == "\x7f" else char


_PRINTED = {"\\\\": "\\", "\\n": "\n", "\\r": "\r", "\\0": "\0", "''": "'"}


def mysql_members(raw_type: str) -> tuple[str, ...]:
    """The members of ``enum('a','it''s')`` or ``set(…)`` in declaration order.

    COLUMN_TYPE doubles quotes, and writes a backslash, LF, CR and NUL with a backslash (tried on 8.0.15).
    """
    inner = raw_type[raw_type.index("(") + 1 : raw_type.rindex(")")]
    members = re.findall(r"'((?:[^']|'')*)'", inner)
    return tuple(re.sub(r"\\[\\nr0]|''", lambda found: _PRINTED[found[0]], member) for member in members)


LIMIT = 63
# PostgreSQL manual, "System Columns".
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def fit(name: str) -> str:
    """The name, or its beginning and a hash of the whole when it is longer than 63 bytes."""
    encoded = name.encode()
    if len(encoded) <= LIMIT:
        return name
    digest = sha256(encoded).hexdigest()[:8]
    return encoded[: LIMIT - 9].decode(errors="ignore") + "_" + digest


def require_schema(name: str, origin: str) -> str:
    """The name of a target schema. Raises UsageError for one that cannot be the target's."""
    wrong = ""
    if not name or "\0" in name or len(name.encode()) > LIMIT:
        wrong = f"a schema's name has 1 to {LIMIT} bytes"
    elif name in ("converge", "information_schema") or name.startswith("pg_"):
        wrong = "the schema is not for tables of an application"
    if wrong:
        raise UsageError(f"{origin} {name!r}: {wrong}", code=Code.U182, hint="--schema public")
    return name


class Namespace:
    """Names that must differ: of a schema's relations and types, of its functions, of a table's constraints.

    Names that applications use, those of tables and views, are held for them.
    """

    def __init__(self, taken: Iterable[str] = (), held: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._held = {fit(name) for name in held}

    def take(self, *wishes: str, held: bool = False, also: Namespace | None = None) -> str:
        """The first wish that is free, else the last with a number.

        `held`: it may be a held one. In the namespace `also` the name must be free, too.
        """
        spaces = (self, also) if also else (self,)
        numbered = (f"{wishes[-1]}_{number}" for number in count(2))
        for name in map(fit, chain(wishes, numbered)):
            if not any(space._used(name, held) for space in spaces):
                break
        for space in spaces:
            space._taken.add(name)
        return name

    def _used(self, name: str, held: bool) -> bool:
        return name in self._taken or (name in self._held and not held)
