"""Loads a dump of MySQL, such as mysqldump writes it, without the mysql client."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pymysql

from converge.model.quote import my_name, my_text
from converge.sandbox import connect
from converge.sandbox.databases import Databases
from converge.sandbox.dialect import refused
from converge.sandbox.dump_files import Stream, streams_of
from converge.sandbox.errors import DumpError, NotOurs
from converge.sandbox.header import Header
from converge.sandbox.spec import Progress
from converge.sandbox.splitter import Splitter, Statement, pieces
from converge.sandbox.unpack import Joined, unpacked

_TELL_SECONDS = 10.0
_HEAD_BYTES = 1000
_DEFINER = re.compile(rb"\bDEFINER\s*=\s*`((?:[^`]|``)*)`@`((?:[^`]|``)*)`", re.IGNORECASE)
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
    `databases` what the dumps spoke of, `made` what was made for them.
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
        """`taken` are databases of others. On a server of our `own` the accounts that objects are said to be
        of are made, and nothing goes to the binary log.
        """
        self.count = 0
        self.databases = Databases(wanted)
        self.made: list[str] = []
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
            for statement in self._statements(stream):
                if self.databases.admits(statement.text):
                    name = self.databases.current
                    if name and name == self.databases.meant and name != inside:
                        self._enter(connection, name)
                        inside = name
                    self._execute(connection, stream, statement)
            connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows

    def _statements(self, stream: Stream) -> Iterable[Statement]:
        """Tells of the progress meanwhile. Raises DumpError for a text that is cut short."""
        raw, size = Joined(stream.paths), sum(path.stat().st_size for path in stream.paths)
        header, splitter = Header(), Splitter()
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
                yield from splitter.finish()
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
                hint=f"DROP DATABASE {my_name(name)}; or leave the server to converge",
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
        if self._own:
            self._make_definer(connection, head)
        elif self._taken and _EVENT.search(head):
            with connection.cursor() as cursor:
                cursor.execute("SELECT @@event_scheduler")
                if cursor.fetchone() == ("ON",):
                    raise NotOurs(
                        "the dump has events, and the server that was given would run them",
                        code="X011",
                        hint="SET GLOBAL event_scheduler = OFF;",
                    )

    def _make_definer(self, connection: pymysql.Connection, head: bytes) -> None:
        """A trigger or a view runs with its definer's rights, so it needs one; nobody can log in as it."""
        if (found := _DEFINER.search(head)) is None:
            return
        user, host = (part.decode().replace("``", "`") for part in found.groups())
        if (user, host) == ("root", "localhost") or user.startswith("mysql."):
            return
        account = f"{my_text(user)}@{my_text(host)}"
        connection.query(f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK".encode())
        connection.query(f"GRANT ALL ON {my_name(self.databases.current)}.* TO {account}".encode())


_AGAIN = "copy the file again, or make it again; `tail -c 200 FILE` shows where it ends"
