"""Loads a dump of MySQL, such as mysqldump writes it, without the mysql client."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql
from pymysql.constants import SERVER_STATUS

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
_EXISTS = 1396  # what CREATE USER says of an account that is there
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
    `databases` what the dumps spoke of, `made` and `accounts` the databases and accounts that were made.
    """

    def __init__(
        self,
        url: str,
        wanted: str = "",
        *,
        taken: Iterable[str] = (),
        own: bool = False,
        tell: Progress = lambda message: None,
    ) -> None:
        """`taken` are databases of others, if it is known that all others are left alone. On a server of our
        `own` nothing goes to the binary log.
        """
        self.count = 0
        self.databases = Databases(wanted)
        self.made: list[str] = []
        self.accounts: list[str] = []
        self._server = connect.with_database(url, "")
        self._taken = frozenset(taken)
        self._own = own
        self._tell = tell

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
                    if name and name == self.databases.meant and name != inside:
                        self._enter(connection, name)
                        inside = name
                    self._execute(connection, stream, statement)
                    splitter.escapes = not connection.server_status & _NO_ESCAPES  # type: ignore[attr-defined]
            connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows

    def drop_accounts(self) -> None:
        """Drops the accounts that were made, after the objects that are said to be of them."""
        with closing(connect.mysql(self._server)) as connection:
            while self.accounts:
                connection.query(f"DROP USER IF EXISTS {self.accounts.pop()}".encode())

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
                    raise DumpError(f'{message}, "-- Dump completed"', code="X006", hint=_AGAIN)
                splitter.finish()
        except DumpError as error:
            if stream.name not in error.message:
                error.message = f"{stream.name}: {error.message}"
            error.hint = error.hint or _AGAIN
            raise

    def _enter(self, connection: pymysql.Connection, name: str) -> None:
        if name in self._taken and name not in self.made:
            raise NotOurs(
                f"the server that was given has a database {name} already, and the dump would go there",
                code="X009",
                hint="leave the server to converge, or give another; where nobody needs what is there: "
                f"DROP DATABASE {my_name(name)};",
            )
        connection.query(f"CREATE DATABASE IF NOT EXISTS {my_name(name)} CHARACTER SET utf8mb4".encode())
        connection.select_db(name)
        if name not in self.made:
            self.made.append(name)

    def _execute(self, connection: pymysql.Connection, stream: Stream, statement: Statement) -> None:
        try:
            if _CREATE.match(statement.text):
                self._prepare(connection, statement.text[:_HEAD_BYTES])
            # COM_QUERY takes a whole CREATE TRIGGER with semicolons inside: no need for
            # CLIENT.MULTI_STATEMENTS, which would send some statements with another's errors.
            connection.query(statement.text)
        except pymysql.MySQLError as error:
            raise refused(error, stream.name, statement) from error
        self.count += 1

    def _prepare(self, connection: pymysql.Connection, head: bytes) -> None:
        """What a trigger, a view or an event needs, and what it must not do."""
        if self._own or self._taken:
            self._make_definer(connection, head)
        if self._taken and not self._own and _EVENT.search(head):
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@event_scheduler")
                if cursor.fetchone() == ("ON",):
                    raise NotOurs(
                        "the dump has events, and the server that was given would run them",
                        code="X011",
                        hint="SET GLOBAL event_scheduler = OFF;",
                    )

    def _make_definer(self, connection: pymysql.Connection, head: bytes) -> None:
        """A trigger or a view runs with its definer's rights, so it needs one; nobody can log in as it.

        One that is there already on a server that was given keeps the rights that it has.
        """
        if (found := definers.find(head)) is None:
            return
        account = "@".join(map(my_text, found))
        if account in self.accounts or found == ("root", "localhost") or found[0].startswith("mysql."):
            return
        # A password, although nobody can use it: a server may insist on one.
        password = my_text(f"aA1!{secrets.token_urlsafe()}")
        try:
            connection.query(f"CREATE USER {account} IDENTIFIED BY {password} ACCOUNT LOCK".encode())
            self.accounts.append(account)
        except pymysql.MySQLError as error:
            if error.args[0] != _EXISTS:
                raise
            if not self._own:
                return
        connection.query(f"GRANT ALL ON {my_name(self.databases.current)}.* TO {account}".encode())


def _limit(connection: pymysql.Connection) -> int:
    """The bytes of the longest statement that the server takes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        row = cursor.fetchone()
    assert row is not None
    return int(row[0])


_AGAIN = "copy the file again, or make it again; `tail -c 200 FILE` shows where it ends"
