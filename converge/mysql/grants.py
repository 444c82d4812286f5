"""Reads the lines of SHOW GRANTS, and sums them (MySQL 8.0 manual, "SHOW GRANTS Statement")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

# Names may hold anything, the words ON and TO too, so a line is read piece by piece.
_NAME = r"`(?:[^`]|``)*`"
_WORDS = r"[A-Z]+(?:[ _][A-Z0-9]+)*"
_COLUMNS = rf" \({_NAME}(?:, {_NAME})*\)"
_PRIVILEGE = rf"{_WORDS}(?:{_COLUMNS})?"
_ON = re.compile(
    rf"(?P<verb>GRANT|REVOKE) (?P<privileges>{_PRIVILEGE}(?:, ?{_PRIVILEGE})*) ON "
    rf"(?P<database>\*|{_NAME})\.(?P<table>\*|{_NAME}) (?:TO|FROM) "
)
_ROLE = rf"{_NAME}@{_NAME}"
_ROLES = re.compile(rf"GRANT ({_ROLE}(?:, ?{_ROLE})*) TO ")
_LONGER = 65
"""More than a name has characters."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Privileges on ``*.*``, on a database or on a table; routines and proxies are none of these."""

    privileges: frozenset[str]
    """As the server prints them, upper-case; those on single columns are not among them."""
    on_columns: frozenset[str]
    """Privileges on some columns of the table."""
    database: str
    """Empty for ``*.*``; else a pattern as in LIKE, when it is for all its tables."""
    table: str
    """Empty for all tables."""
    revoked: bool
    """A partial revoke: the privileges are taken from those on ``*.*`` (8.0.16)."""


def read_grant(line: str) -> Grant | None:
    """The grant of one line; None where the line gives a role, a proxy or a privilege on a routine."""
    match = _ON.match(line)
    if match is None:
        return None
    privileges = re.findall(rf"({_WORDS})({_COLUMNS})?", match["privileges"])
    return Grant(
        privileges=frozenset(name for name, columns in privileges if not columns),
        on_columns=frozenset(name for name, columns in privileges if columns),
        database=_name(match["database"]),
        table=_name(match["table"]),
        revoked=match["verb"] == "REVOKE",
    )


def read_roles(lines: Iterable[str]) -> tuple[str, ...]:
    """The roles that the lines give, quoted as in GRANT."""
    matches = filter(None, map(_ROLES.match, lines))
    return tuple(role for match in matches for role in re.findall(_ROLE, match[1]))


def on_server(grants: Sequence[Grant]) -> frozenset[str]:
    """Privileges on ``*.*``."""
    return _union(one for one in grants if not one.database and not one.revoked)


def on_database(grants: Sequence[Grant], database: str, *, literal: bool) -> frozenset[str]:
    """Privileges on all tables of the database; `literal` when names in grants are no patterns.

    Of several patterns that match, the most specific alone counts (tried on 8.0.15 and 8.0.33).
    """
    whole = [one for one in grants if one.database and not one.table]
    revoked = _union(one for one in whole if one.revoked and one.database == database)
    given = [one for one in whole if not one.revoked]
    if literal:
        matching = [one for one in given if one.database == database]
    else:
        matching = [one for one in given if covers(one.database, database)]
        best = max((_specificity(one.database) for one in matching), default=0)
        matching = [one for one in matching if _specificity(one.database) == best]
    return on_server(grants) - revoked | _union(matching)


def on_tables(grants: Iterable[Grant], database: str) -> tuple[frozenset[str], frozenset[str]]:
    """The tables that may be read by a grant of their own, and those of which some columns may be."""
    there = [one for one in grants if one.database == database and one.table]
    return (
        frozenset(one.table for one in there if one.privileges & {"SELECT", "ALL PRIVILEGES"}),
        frozenset(one.table for one in there if "SELECT" in one.on_columns),
    )


def granted_as(grants: Iterable[Grant], database: str) -> str:
    """``shop\\_a`` where a grant names the database so: the server takes it before ``shop_a``."""
    there = [one.database for one in grants if one.database and not one.table]
    return next((name for name in there if re.sub(r"\\([\\%_])", r"\1", name) == database), database)


def covers(pattern: str, database: str) -> bool:
    """A database name in a grant is a LIKE pattern: ``_`` and ``%`` match, a backslash escapes them."""
    return fnmatchcase(database, "".join(_shell(token) for token in _tokens(pattern)))


def _union(grants: Iterable[Grant]) -> frozenset[str]:
    return frozenset().union(*(one.privileges for one in grants))


def _specificity(pattern: str) -> int:
    """How many characters come before the first wildcard; more than any for a name without one."""
    return next((place for place, token in enumerate(_tokens(pattern)) if token in ("%", "_")), _LONGER)


def _tokens(pattern: str) -> list[str]:
    return re.findall(r"\\[\\%_]|.", pattern, re.DOTALL)


def _shell(token: str) -> str:
    if token in ("%", "_"):
        return "*" if token == "%" else "?"
    char = token[-1]
    return f"[{char}]" if char in "*?[" else char


def _name(text: str) -> str:
    return "" if text == "*" else text[1:-1].replace("``", "`")
