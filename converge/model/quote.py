"""Identifiers and literals of both servers, always quoted, never pasted.

Literals assume the sessions that converge makes: MySQL with an sql_mode in which the backslash
escapes, PostgreSQL with standard_conforming_strings on.
"""

from __future__ import annotations

import re

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
