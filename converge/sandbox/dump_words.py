"""What the statements of a dump are about: a database, an object, and whose it is to be."""

from __future__ import annotations

import re

from converge.codes import Code
from converge.errors import UsageError

_COMMENT = rb"(?:/\*!\d*\s*)?"
CREATE = re.compile(_COMMENT + rb"CREATE\b", re.IGNORECASE)
INSERT = re.compile(_COMMENT + rb"(?:INSERT|REPLACE)\b", re.IGNORECASE)
_IF = rb"(?:(?:/\*!\d*\s*)?IF\s+(?:NOT\s+)?EXISTS\s*(?:\*/\s*)?)?"
_WORD = rb"(?:`(?:[^`]|``)+`|\"(?:[^\"]|\"\")+\"|[^\s;`\"/*.,(]+)"
# The database that is named before an object is the only one that the dump may write to.
_NAME = rb"(?:" + _WORD + rb"\s*\.\s*)?(?P<name>" + _WORD + rb")"
NAMES = re.compile(_NAME)
INTO = re.compile(
    _COMMENT + rb"(?:INSERT|REPLACE)(?:\s+(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|INTO)\b)*\s*" + _NAME,
    re.IGNORECASE,
)
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
_PART = rb"(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|[\w$.\x80-\xff]+)"
_ACCOUNT = _PART + rb"(?:\s*@\s*" + _PART + rb")?(?:\s*\(\s*\))?"
_DEFINER = re.compile(
    rb"((?:/\*!\d*\s*)?CREATE\b(?:\s|/\*!\d*|\*/|OR\s+REPLACE|ALGORITHM\s*=\s*\w+)*"
    rb"\bDEFINER\s*=\s*)" + _ACCOUNT,
    re.IGNORECASE,
)
TRIGGER = re.compile(
    _COMMENT
    + rb"(?P<verb>CREATE|DROP)\b(?:\s|/\*!\d*|\*/|OR\s+REPLACE|DEFINER\s*=\s*"
    + _ACCOUNT
    + rb")*TRIGGER\s+"
    + _IF
    + _NAME,
    re.IGNORECASE,
)
ON_TABLE = re.compile(rb"\s+(?:BEFORE|AFTER)\s+(?:INSERT|UPDATE|DELETE)\s+ON\s+" + _NAME, re.IGNORECASE)
DROP_TABLES = re.compile(_COMMENT + rb"DROP\s+TABLES?\s+" + _IF, re.IGNORECASE)


def is_system(name: str) -> bool:
    """Whether a database is the server's own."""
    return name.lower() in _SYSTEM


class Databases:
    """What a dump has spoken of until now: `wanted` is meant, or the only one.

    `current` is the database that statements are about now; empty before there is one. `names` are all in the
    order in which they came, without the server's own.
    """

    def __init__(self, wanted: str = "") -> None:
        self.names: list[str] = []
        self.current = ""
        self._wanted = wanted
        self._default = ""
        self._used = False  # whether a USE has come in this text

    @property
    def meant(self) -> str:
        """The database that is loaded; empty before there is one."""
        return self._wanted or next(iter(self.names), "")

    def begin(self, default: str) -> None:
        """A new text: until its first USE it is about this database."""
        self.current, self._default, self._used = "", default, False

    def admits(self, statement: bytes) -> bool:
        """Whether the statement is to be executed; what it says of databases is remembered.

        Raises UsageError where nobody has said which of several databases is meant.
        """
        if _OF_ANOTHER_SERVER.match(statement):
            return False
        if used := _USE.match(statement):
            self.current, self._used = object_name(used), True
            return self._is_meant(self.current)
        if made := _DATABASE.match(statement):
            name = object_name(made)
            if made["verb"].upper() != b"CREATE":
                return name == self.meant
            if not self._used:  # mysqlpump never writes one: what follows is about this database
                self.current, self._default = "", name
            return self._is_meant(name)
        if _SETTING.match(statement):
            return True
        self.current = self.current or self._default
        return self._is_meant(self.current)

    def require_meant(self) -> None:
        """Raises UsageError for a dump that has other databases than the one that is meant."""
        several = not self._wanted and len(self.names) > 1
        if several or (self.names and self.meant not in self.names):
            what = (
                "the dump has several databases:"
                if several
                else f"the dump has no database {self.meant}; it has"
            )
            hint = f"--dump-database {self.names[0]}"
            raise UsageError(f"{what} {', '.join(self.names)}", code=Code.U018, hint=hint)

    def _is_meant(self, name: str) -> bool:
        if is_system(name):
            return False
        if name not in self.names:
            self.names.append(name)
            if not self._wanted:
                self.require_meant()
        return name == self.meant


def object_name(match: re.Match[bytes]) -> str:
    """The name that one of the patterns has found, without its database and quotes."""
    name: bytes = match["name"]
    mark = name[:1]
    return (name[1:-1].replace(mark * 2, mark) if mark in b'`"' else name).decode()


def as_own(statement: bytes) -> bytes:
    """The statement with its object as that of whoever executes it; one that names nobody stays as it is."""
    return _DEFINER.sub(rb"\1CURRENT_USER", statement, count=1) if _DEFINER.match(statement) else statement
