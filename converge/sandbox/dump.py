"""Loads a dump of MySQL, such as mysqldump writes it, without the mysql client."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.constants import SERVER_STATUS

from converge.codes import Code
from converge.model.quote import my_name, my_text
from converge.sandbox import connect, definers
from converge.sandbox.databases import Databases
from converge.sandbox.dialect import refused, require_single_bytes, too_large
from converge.sandbox.dump_files import Stream, streams_of
from converge.sandbox.errors import DumpError, NotOurs
from converge.sandbox.header import Header
from converge.sandbox.spec import Progress
from converge.sandbox.splitter import ROWS, Splitter, Statement, pieces
from converge.sandbox.unpack import Joined, unpacked

_TELL_SECONDS = 10.0
_HEAD_BYTES = 1000
_NO_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
# Of a session alone, such as sql_log_bin, which mysqldump sets where the source has GTIDs.
_OF_LOADING = "SESSION_VARIABLES_ADMIN"
# What a consistent snapshot takes.
_OF_READING = "RELOAD, PROCESS, REPLICATION CLIENT"
_EVENT = re.compile(rb"\bEVENT\b.*?\bON\s+SCHEDULE\b", re.IGNORECASE | re.DOTALL)
_CREATE = re.compile(rb"(?:/\*!\d*\s*)?CREATE\b", re.IGNORECASE)


def load_dump(url: str, path: str | Path) -> int:
    """Executes a dump, packed or not, in a MySQL database; returns the number of its statements.

    As with `mysql DATABASE < FILE`, the first statement that fails ends it, and what was done before
    stays. Raises as `Loader.load` does.
    """
    loader = Loader(url)
    for stream in streams_of([path]):
        loader.load(stream, unquote(urlsplit(url).path.lstrip("/")))
    return loader.count


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
        self._admin = self._server = connect.with_database(url, "")
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
        self._server = connect.with_account(self._admin, user, password)

    def _as_admin(self, *statements: str) -> None:
        with closing(connect.mysql(self._admin)) as connection:
            for statement in statements:
                connection.query(statement.encode())

    def url_of(self, database: str) -> str:
        """The address by which the database is read: code of the dump gets no privileges by being read."""
        if self._account and self._own:
            self._as_admin(f"GRANT {_OF_READING} ON *.* TO {self._account}")
        return connect.with_database(self._server, database)

    def load(self, stream: Stream, default: str) -> None:
        """Executes one text, which is about the database `default` until it says another.

        Raises DumpError with the line for a file that is cut short and for a statement that MySQL refuses,
        NotOurs for a database that is somebody else's, UsageError for a file that cannot be unpacked,
        OSError for one that can't be read, pymysql.MySQLError when the server can't be reached.
        """
        self.databases.begin(default)
        with closing(connect.mysql(self._server)) as connection:
            inside = ""
            if self._own:
                connection.query(b"SET SESSION sql_log_bin = 0")
            splitter, limit = Splitter(), _limit(connection)
            splitter.rows = min(ROWS, limit // 4)
            for statement in self._statements(stream, splitter):
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
                    splitter.escapes = not connection.server_status & _NO_ESCAPES  # type: ignore[attr-defined]
            connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows

    def drop_account(self) -> None:
        """Drops the account of the dump, after the objects that are its own."""
        if self._account:
            self._as_admin(f"DROP USER IF EXISTS {self._account}")

    def _statements(self, stream: Stream, splitter: Splitter) -> Iterable[Statement]:
        """Tells of the progress meanwhile. Raises DumpError for a text that is cut short."""
        raw, size = Joined(stream.paths), sum(path.stat().st_size for path in stream.paths)
        header = Header()
        told = time.monotonic()
        try:
            with unpacked(stream.name, raw) as file:
                for piece in pieces(file):
                    header.look(piece)
                    yield from splitter.feed(piece)
                    if time.monotonic() - told > _TELL_SECONDS:
                        told = time.monotonic()
                        self._tell(f"{stream.name}: {raw.done / max(size, 1):.0%}, line {splitter.line:,}")
                if header.unfinished:
                    message = f"the file ends in line {splitter.line} without mysqldump's last line"
                    raise DumpError(f'{message}, "-- Dump completed"', code=Code.X006, hint=_AGAIN)
                splitter.finish()
        except DumpError as error:
            if stream.name not in error.message:
                error.message = f"{stream.name}: {error.message}"
            error.hint = error.hint or _AGAIN
            raise

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
                text = definers.as_own(text) if self._account else text
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


_AGAIN = "copy the file again, or make it again; `tail -c 200 FILE` shows where it ends"
