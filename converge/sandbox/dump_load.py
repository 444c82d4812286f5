"""Loads the statements of dumps, those of one database, into a MySQL server."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pymysql
from pymysql.constants import SERVER_STATUS

from converge.codes import Code
from converge.model.quote import my_name, my_text
from converge.sandbox.dialect import refused, require_single_bytes, too_large
from converge.sandbox.dump_files import Stream, streams_of
from converge.sandbox.dump_text import ROWS, Joined, Splitter, Statement, decompressed
from converge.sandbox.errors import DumpError, NotOurs
from converge.sandbox.server import Progress, connect_mysql, with_database

_TELL_SECONDS = 10.0
_HEAD_BYTES = 1000
_NO_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
# Of a session alone, such as sql_log_bin, which mysqldump sets where the source has GTIDs.
_OF_LOADING = "SESSION_VARIABLES_ADMIN"
# What a consistent snapshot takes.
_OF_READING = "RELOAD, PROCESS, REPLICATION CLIENT"
_EVENT = re.compile(rb"\bEVENT\b.*?\bON\s+SCHEDULE\b", re.IGNORECASE | re.DOTALL)
_CREATE = re.compile(rb"(?:/\*!\d*\s*)?CREATE\b", re.IGNORECASE)
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
_PART = rb"(?:`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|[\w$.\x80-\xff]+)"
_DEFINER = re.compile(
    rb"((?:/\*!\d*\s*)?CREATE\b(?:\s|/\*!\d*|\*/|OR\s+REPLACE|ALGORITHM\s*=\s*\w+)*"
    rb"\bDEFINER\s*=\s*)" + _PART + rb"(?:\s*@\s*" + _PART + rb")?(?:\s*\(\s*\))?",
    re.IGNORECASE,
)


def load_dump(url: str, path: str | Path) -> int:
    """Executes a dump, compressed or not, in a MySQL database; returns the number of its statements.

    As with `mysql DATABASE < FILE`, the first statement that fails ends it, and what was done before
    stays. Raises as `Loader.load` does.
    """
    loader = Loader(url)
    for stream in streams_of([path]):
        loader.load(stream, unquote(urlsplit(url).path.lstrip("/")))
    return loader.count


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


def as_own(statement: bytes) -> bytes:
    """The statement with its object as that of whoever executes it; one that names nobody stays as it is."""
    return _DEFINER.sub(rb"\1CURRENT_USER", statement, count=1) if _DEFINER.match(statement) else statement


class Loader:
    """Executes the statements of dumps on one server, those of one database.

    Reads a piece at a time, whatever the size of files and statements. `count` is the number of statements,
    `databases` what the dumps spoke of, `made` the databases that were made.
    """

    def __init__(
        self,
        url: str,
        wanted: str = "",
        *,
        taken: Iterable[str] = (),
        own: bool = False,
        confined: str = "",
        tell: Progress = lambda message: None,
    ) -> None:
        """`taken` are databases of others, if it is known that all others are left alone. On a server of our
        `own` nothing goes to the binary log. `confined`: by an account that has the dump's database alone, so
        that no statement of a dump reaches files, settings, accounts or other databases. The account's name
        comes from this text: plans name it, and the same dump has to have the same plan.
        """
        self.count = 0
        self.databases = Databases(wanted)
        self.made: list[str] = []
        self._admin = self._server = with_database(url, "")
        self._account = self._admitted = ""
        self._taken = frozenset(taken)
        self._own = own
        self._tell = tell
        if confined:
            self._confine(f"converge_{hashlib.sha256(confined.encode()).hexdigest()[:16]}")

    def _confine(self, user: str) -> None:
        password = f"aA1!{secrets.token_urlsafe()}"
        self._account = f"{my_text(user)}@'%'"
        self._as_admin(
            f"DROP USER IF EXISTS {self._account}",
            f"CREATE USER {self._account} IDENTIFIED BY {my_text(password)}",
            f"GRANT {_OF_LOADING} ON *.* TO {self._account}",
        )
        host = urlsplit(self._admin).netloc.rpartition("@")[2]
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        self._server = urlsplit(self._admin)._replace(netloc=f"{login}@{host}").geturl()

    def _as_admin(self, *statements: str) -> None:
        with closing(connect_mysql(self._admin)) as connection:
            for statement in statements:
                connection.query(statement.encode())

    def url_of(self, database: str) -> str:
        """The address by which the database is read: code of the dump gets no privileges by being read."""
        if self._account and self._own:
            self._as_admin(f"GRANT {_OF_READING} ON *.* TO {self._account}")
        return with_database(self._server, database)

    def load(self, stream: Stream, default: str) -> None:
        """Executes one text, which is about the database `default` until it says another.

        Raises DumpError with the line for a file that is cut short and for a statement that MySQL refuses,
        NotOurs for a database that is somebody else's, UsageError for a file that cannot be read as SQL,
        OSError for one that can't be read, pymysql.MySQLError when the server can't be reached.
        """
        self.databases.begin(default)
        raw, size = Joined(stream.paths), sum(path.stat().st_size for path in stream.paths)
        told = time.monotonic()
        try:
            with closing(connect_mysql(self._server)) as connection, decompressed(stream.name, raw) as file:
                if self._own:
                    connection.query(b"SET SESSION sql_log_bin = 0")
                limit = _limit(connection)
                splitter = Splitter(file, min(ROWS, limit // 4))
                inside = ""
                for statement in splitter:
                    if time.monotonic() - told > _TELL_SECONDS:
                        told = time.monotonic()
                        self._tell(f"{stream.name}: {raw.done / max(size, 1):.0%}, line {splitter.line:,}")
                    require_single_bytes(stream.name, statement)
                    if len(statement.text) >= limit:
                        raise too_large(stream.name, statement, limit)
                    if self.databases.admits(statement.text):
                        name = self.databases.current
                        self._admit(self.databases.meant)
                        if name and name == self.databases.meant and name != inside:
                            self._enter(connection, name)
                            inside = name
                        self._execute(connection, stream, statement)
                        status: int = connection.server_status  # type: ignore[attr-defined]
                        splitter.escapes = not status & _NO_ESCAPES
                connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows
        except DumpError as error:
            if stream.name not in error.message:
                error.message = f"{stream.name}: {error.message}"
            raise

    def drop_account(self) -> None:
        """Drops the account of the dump, after the objects that are its own."""
        if self._account:
            self._as_admin(f"DROP USER IF EXISTS {self._account}")

    def _admit(self, name: str) -> None:
        """Lets the account into the database that is meant, which may not be there yet. Raises NotOurs."""
        if not name or name == self._admitted:
            return
        if name in self._taken:
            raise NotOurs(
                f"the server that was given has a database {name} already, and the dump would go there",
                code=Code.X009,
                hint="leave the server to converge, or give another; where nobody needs what is there: "
                f"DROP DATABASE {my_name(name)};",
            )
        self._admitted = name
        if self._account:
            # A pattern: without the backslashes `a_b` would be axb, too.
            pattern = re.sub(r"([\\%_])", r"\\\1", name)
            self._as_admin(f"GRANT ALL ON {my_name(pattern)}.* TO {self._account}")

    def _enter(self, connection: pymysql.Connection, name: str) -> None:
        connection.query(f"CREATE DATABASE IF NOT EXISTS {my_name(name)} CHARACTER SET utf8mb4".encode())
        connection.select_db(name)
        if name not in self.made:
            self.made.append(name)

    def _execute(self, connection: pymysql.Connection, stream: Stream, statement: Statement) -> None:
        try:
            text = statement.text
            if _CREATE.match(text):
                self._require_quiet_events(connection, text[:_HEAD_BYTES])
                # As the objects of others they would have others' privileges.
                text = as_own(text) if self._account else text
            # COM_QUERY takes a whole CREATE TRIGGER with semicolons inside: no need for
            # CLIENT.MULTI_STATEMENTS, which would send some statements with another's errors.
            connection.query(text)
        except pymysql.MySQLError as error:
            raise refused(error, stream.name, statement) from error
        self.count += 1

    def _require_quiet_events(self, connection: pymysql.Connection, head: bytes) -> None:
        """Raises NotOurs for an event on a server that would run it."""
        if self._taken and not self._own and _EVENT.search(head):
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@event_scheduler")
                if cursor.fetchone() == ("ON",):
                    raise NotOurs(
                        "the dump has events, and the server that was given would run them",
                        code=Code.X011,
                        hint="SET GLOBAL event_scheduler = OFF;",
                    )


def _limit(connection: pymysql.Connection) -> int:
    """The bytes of the longest statement that the server takes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])
