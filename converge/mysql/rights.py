"""What the source user may do, from SHOW GRANTS (MySQL 8.0 manual, "SHOW GRANTS Statement")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, cast

from pymysql.connections import Connection

from converge.errors import SourceError
from converge.model.endpoint import Endpoint
from converge.model.quote import my_name
from converge.mysql.connect import grant

_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?P<object>.+?) TO ", re.DOTALL)
# Without the right, information_schema hides these objects instead of refusing them.
_HIDDEN = {"SHOW VIEW": "views", "TRIGGER": "triggers", "EVENT": "events"}
# Of procedures and functions it shows those that the user may run or change, or all with these rights
# (MySQL 8.0 manual, "The INFORMATION_SCHEMA ROUTINES Table").
_ROUTINES = ("SELECT", "SHOW_ROUTINE")
_OF_ROUTINES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")


@dataclass(frozen=True, slots=True)
class Rights:
    server: frozenset[str]
    """Privileges on ``*.*``."""
    database: frozenset[str]
    """Privileges on the whole source database, the server-wide ones included."""

    def may(self, right: str) -> bool:
        return right in self.database or "ALL PRIVILEGES" in self.database

    def may_on_server(self, right: str) -> bool:
        return right in self.server or "ALL PRIVILEGES" in self.server

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Kinds of object whose inventory would be incomplete."""
        hidden = tuple(kind for right, kind in _HIDDEN.items() if not self.may(right))
        seen = any(map(self.may_on_server, _ROUTINES)) or any(map(self.may, _OF_ROUTINES))
        return hidden if seen else (*hidden, "routines")


def read_rights(connection: Connection[Any], database: str) -> Rights:
    """The rights of the current user with its active roles."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT CURRENT_ROLE()")
        (roles,) = cast(tuple[str], cursor.fetchone())
        using = "" if roles == "NONE" else f" USING {roles}"
        cursor.execute("SHOW GRANTS FOR CURRENT_USER()" + using)
        lines = [cast(str, row[0]) for row in cursor.fetchall()]
    server: set[str] = set()
    whole: set[str] = set()
    for line in lines:
        if match := _GRANT.match(line):
            rights = {right.strip().upper() for right in match["rights"].split(",")}
            if match["object"] == "*.*":
                server |= rights
            elif match["object"].endswith(".*") and _covers(match["object"][:-2], database):
                whole |= rights
    return Rights(frozenset(server), frozenset(server | whole))


def require_select(rights: Rights, endpoint: Endpoint) -> None:
    """Raises SourceError when the user may not read every table.

    Tables without a right are invisible in information_schema, so a user with rights on some tables
    only would migrate a part of the database without a word.
    """
    if not rights.may("SELECT"):
        raise SourceError(
            f"{endpoint.user} may not read the whole database {my_name(endpoint.database)}; tables without "
            "the right would be missing in silence",
            code="S004",
            hint=grant(endpoint, "SELECT, SHOW VIEW, TRIGGER"),
        )


def _covers(pattern: str, database: str) -> bool:
    """A database name in a grant is a LIKE pattern: ``_`` and ``%`` match, a backslash escapes them."""
    text = pattern.strip("`").replace("``", "`")
    shell = ""
    escaped = False
    for char in text:
        if escaped or char not in "\\%_":
            shell += f"[{char}]" if char in "*?[" else char
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            shell += "*" if char == "%" else "?"
    return fnmatchcase(database, shell)
