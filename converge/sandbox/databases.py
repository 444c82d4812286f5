"""Follows a dump through the databases that it speaks of, and says which of its statements are meant."""

from __future__ import annotations

import re

_COMMENT = rb"(?:/\*!\d*\s*)?"
_IF = rb"(?:(?:/\*!\d*\s*)?IF\s+(?:NOT\s+)?EXISTS\s*(?:\*/\s*)?)?"
_NAME = rb"(?:`(?P<quoted>(?:[^`]|``)+)`|(?P<plain>[^\s;`/*]+))"
_USE = re.compile(_COMMENT + rb"USE\s+" + _NAME, re.IGNORECASE)
_DATABASE = re.compile(
    _COMMENT + rb"(?P<verb>CREATE|DROP|ALTER)\s+(?:DATABASE|SCHEMA)\s+" + _IF + _NAME, re.IGNORECASE
)
_SETTING = re.compile(_COMMENT + rb"SET\b", re.IGNORECASE)
# They are about the server that the dump came from.
_OF_ANOTHER_SERVER = re.compile(
    _COMMENT + rb"(?:SET\s+(?:@@GLOBAL\.|GLOBAL\s)|CHANGE\s+(?:MASTER|REPLICATION)\s|FLUSH\s)", re.IGNORECASE
)
_SYSTEM = frozenset({"mysql", "sys", "information_schema", "performance_schema"})


def is_system(name: str) -> bool:
    """Whether a database is the server's own."""
    return name.lower() in _SYSTEM


class Databases:
    """What a dump has spoken of until now. Without `wanted` the first database is meant."""

    def __init__(self, wanted: str = "") -> None:
        self._wanted = wanted
        self._names: dict[str, None] = {}
        self._current = ""
        self._default = ""
        self._used = False  # whether a USE has come in this text

    @property
    def names(self) -> tuple[str, ...]:
        """The databases, without the server's own, in the order in which they came."""
        return tuple(self._names)

    @property
    def current(self) -> str:
        """The database that statements are about now; empty before there is one."""
        return self._current

    @property
    def meant(self) -> str:
        """The database that is loaded; empty before there is one."""
        return self._wanted or next(iter(self._names), "")

    @property
    def ambiguous(self) -> bool:
        """Whether nobody has said which of several databases is meant."""
        return not self._wanted and len(self._names) > 1

    def begin(self, default: str) -> None:
        """A new text: until its first USE it is about this database."""
        self._current, self._default, self._used = "", default, False

    def admits(self, statement: bytes) -> bool:
        """Whether the statement is to be executed; what it says of databases is remembered."""
        if _OF_ANOTHER_SERVER.match(statement):
            return False
        if used := _USE.match(statement):
            self._current, self._used = self._note(used), True
            return self._is_meant(self._current)
        if made := _DATABASE.match(statement):
            if made["verb"].upper() != b"CREATE":
                return self._is_meant(_name(made))
            name = self._note(made)
            if not self._used:  # mysqlpump never writes one: what follows is about this database
                self._current, self._default = "", name
            return self._is_meant(name)
        if _SETTING.match(statement):
            return True
        if not self._current:
            self._current = self._default
            self._names[self._default] = None
        return self._is_meant(self._current)

    def _note(self, match: re.Match[bytes]) -> str:
        name = _name(match)
        if not is_system(name):
            self._names[name] = None
        return name

    def _is_meant(self, name: str) -> bool:
        return name == self.meant and not self.ambiguous and not is_system(name)


def _name(match: re.Match[bytes]) -> str:
    quoted: bytes | None = match["quoted"]
    return (match["plain"] if quoted is None else quoted.replace(b"``", b"`")).decode()
