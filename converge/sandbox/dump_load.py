"""Loads the statements of dumps, those of one database, into a MySQL server."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from contextlib import closing
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import pymysql
from pymysql.constants import SERVER_STATUS

from converge.codes import Code
from converge.model.quote import my_name, my_text
from converge.sandbox.dialect import refused, require_loadable
from converge.sandbox.dump_files import Stream
from converge.sandbox.dump_split import Splitter, Statement
from converge.sandbox.dump_text import Joined, decompressed
from converge.sandbox.dump_words import (
    CREATE,
    DROP_TABLES,
    INSERT,
    INTO,
    NAMES,
    ON_TABLE,
    TRIGGER,
    Databases,
    as_own,
    object_name,
)
from converge.sandbox.server import DumpError, Progress, SandboxError, Server, connect_mysql, with_database

_TELL_SECONDS = 10.0
_HEAD_BYTES = 1000
_NO_ESCAPES = SERVER_STATUS.SERVER_STATUS_NO_BACKSLASH_ESCAPES
# Of a session alone, such as sql_log_bin, which mysqldump sets where the source has GTIDs.
_OF_LOADING = "SESSION_VARIABLES_ADMIN"
# For files that set neither, such as those of mydumper before 0.14 and of mysqldump --compact: rows are as
# they were stored (also an id of 0, 0000-00-00, and the '' of an ENUM), and timestamps are in UTC, as both
# programs write them. What a mode that is not strict changes is a warning: see _unlike.
_OF_SESSION = (
    "SET SESSION time_zone = '+00:00', max_error_count = 65535, sql_mode = "
    "'NO_AUTO_VALUE_ON_ZERO,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
)
# Warnings of an INSERT whose rows are as the dump has them: deprecated words (1287, 1681, 3005, 3719, 3778),
# and bytes that are no text, in a binary column (1300; in a text they are 1366, too).
_LIKE_STORED = frozenset({1287, 1300, 1681, 3005, 3719, 3778})
# Where they name no column: texts that are read as numbers or dates (1292, 1411), division by 0 (1365), and
# what an index over an expression keeps (3751, 3752). The dump has values alone, so the expression is that of
# a generated column, an index, or a CHECK.
_OF_EXPRESSIONS = frozenset({1292, 1365, 1411, 3751, 3752})
# Of a CREATE TABLE: an index that was cut, a VARCHAR that became a TEXT.
_UNLIKE_MADE = frozenset({1071, 1246})
_TRUNCATED = 1265
_OF_COLUMN = re.compile(r"for column '(.*)' at row")
# What a consistent snapshot takes.
_OF_READING = "RELOAD, PROCESS, REPLICATION CLIENT"
_EVENT = re.compile(rb"\bEVENT\b.*?\bON\s+SCHEDULE\b", re.IGNORECASE | re.DOTALL)


class _Trigger(NamedTuple):
    """A trigger that is made after all rows."""

    table: str
    settings: str
    file: str
    statement: Statement


class Loader:
    """Executes the statements of dumps on one server, those of one database.

    By an account that has the dump's database alone, so that no statement of a dump reaches files, settings,
    accounts or other databases. The account's name comes from the text `called`: plans name it, and the same
    dump has to have the same plan. `made` is the database that is loaded, empty before there is one.

    `keep_triggers` is for several texts: a schema's triggers must not fire for the rows of a later file,
    which are as they were stored. In one text all is executed as it stands there.
    """

    def __init__(
        self, server: Server, wanted: str, called: str, tell: Progress, *, keep_triggers: bool = False
    ) -> None:
        self._keep_triggers = keep_triggers
        self._kept: dict[str, _Trigger] = {}
        self.databases = Databases(wanted)
        self.made = ""
        self.ours = server.provider != "url"
        self._server = server
        self._tell = tell
        # A server may take `Shop` and `shop` for one (lower_case_table_names).
        self._taken = {name.lower() for name in databases_of(server)}
        password = f"aA1!{secrets.token_urlsafe()}"
        user = f"converge_{hashlib.sha256(called.encode()).hexdigest()[:16]}"
        self._account = f"{my_text(user)}@'%'"
        self._as_admin(
            f"DROP USER IF EXISTS {self._account}",
            f"CREATE USER {self._account} IDENTIFIED BY {my_text(password)}",
            f"GRANT {_OF_LOADING} ON *.* TO {self._account}",
        )
        at = urlsplit(server.url)
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@{at.netloc.rpartition('@')[2]}"
        self._url = at._replace(netloc=login).geturl()

    def _as_admin(self, *statements: str) -> None:
        with closing(connect_mysql(self._server.url)) as connection:
            for statement in statements:
                connection.query(statement.encode())

    def url(self) -> str:
        """The address by which the database is read: code of the dump gets no privileges by being read."""
        if self.ours:
            self._as_admin(f"GRANT {_OF_READING} ON *.* TO {self._account}")
        return with_database(self._url, self.made)

    def load(self, stream: Stream, default: str) -> None:
        """Executes one text, which is about the database `default` until it says another.

        Reads a piece at a time, whatever the size of the files.

        Raises DumpError with the line for a file that is cut short and for a statement that MySQL refuses,
        SandboxError for a database that is somebody else's, UsageError for a file that cannot be read as SQL,
        OSError for one that can't be read, pymysql.MySQLError when the server can't be reached.
        """
        self.databases.begin(default)
        raw, size = Joined(stream.paths), sum(path.stat().st_size for path in stream.paths)
        told = time.monotonic()
        with closing(self._session()) as connection, decompressed(stream.name, raw) as file:
            limit = int(_value(connection, "SELECT @@max_allowed_packet"))
            splitter, inside = Splitter(file), ""
            for statement in splitter:
                if time.monotonic() - told > _TELL_SECONDS:
                    told = time.monotonic()
                    self._tell(f"{stream.name}: {raw.done / max(size, 1):.0%}, line {splitter.line:,}")
                require_loadable(stream.name, statement, limit)
                if not self.databases.admits(statement.text):
                    continue
                self._admit()
                if self.made and inside != self.databases.current == self.made:
                    inside = self._enter(connection)
                if not (self._keep_triggers and self._keep(connection, stream.name, statement)):
                    self._execute(connection, stream.name, statement)
                status: int = connection.server_status  # type: ignore[attr-defined]
                splitter.escapes = not status & _NO_ESCAPES
            connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows

    def _keep(self, connection: pymysql.Connection, file: str, statement: Statement) -> bool:
        """Whether the statement makes or drops a trigger, and is not to be executed.

        mysqldump writes a table's triggers with its definition, and again with its rows: the last counts.
        """
        text = statement.text
        if dropped := DROP_TABLES.match(text):
            tables = {object_name(name) for name in NAMES.finditer(text, dropped.end())}
            self._kept = {name: one for name, one in self._kept.items() if one.table not in tables}
        if (trigger := TRIGGER.match(text)) is None:
            return False
        self._kept.pop(object_name(trigger), None)
        if trigger["verb"].upper() == b"CREATE":
            on = ON_TABLE.match(text, trigger.end())
            kept = _Trigger(object_name(on) if on else "", _settings(connection), file, statement)
            self._kept[object_name(trigger)] = kept
        return True

    def make_triggers(self) -> None:
        """Makes those that were kept, each with the settings with which it was written. Raises as `load`."""
        if self._kept:
            with closing(self._session()) as connection:
                connection.select_db(self.made)
                for one in self._kept.values():
                    connection.query(one.settings.encode())
                    self._execute(connection, one.file, one.statement)

    def _session(self) -> pymysql.Connection:
        connection = connect_mysql(self._url)
        connection.query(_OF_SESSION.encode())
        if self.ours:  # a dump's rows need no binary log
            connection.query(b"SET SESSION sql_log_bin = 0")
        return connection

    def close(self) -> None:
        """Drops the account of the dump, and on a server of others the database that was made."""
        if self.made and not self.ours:
            self._server.drop_database(self.made)
        self._as_admin(f"DROP USER IF EXISTS {self._account}")

    def _admit(self) -> None:
        """Lets the account into the database that is meant, which may not be there yet.

        Raises SandboxError for one of others.
        """
        name = self.databases.meant
        if not name or self.made:
            return
        if name.lower() in self._taken:
            raise SandboxError(
                f"the server that was given has a database {name} already, and the dump would go there",
                code=Code.X009,
                hint="leave the server to converge, or give another; where nobody needs what is there: "
                f"DROP DATABASE {my_name(name)};",
            )
        # A pattern: without the backslashes `a_b` would be axb, too.
        pattern = re.sub(r"([\\%_])", r"\\\1", name)
        self._as_admin(f"GRANT ALL ON {my_name(pattern)}.* TO {self._account}")
        self.made = name

    def _enter(self, connection: pymysql.Connection) -> str:
        connection.query(f"CREATE DATABASE IF NOT EXISTS {my_name(self.made)} CHARACTER SET utf8mb4".encode())
        connection.select_db(self.made)
        return self.made

    def _execute(self, connection: pymysql.Connection, name: str, statement: Statement) -> None:
        text = statement.text
        if CREATE.match(text):
            event = not self.ours and _EVENT.search(text[:_HEAD_BYTES])
            if event and _value(connection, "SELECT @@event_scheduler") == "ON":
                what = "the dump has events, and the server that was given would run them"
                raise SandboxError(what, code=Code.X011, hint="SET GLOBAL event_scheduler = OFF;")
            text = as_own(text)  # as the objects of others they would have others' privileges
        try:
            # COM_QUERY takes a whole CREATE TRIGGER with semicolons inside: no need for
            # CLIENT.MULTI_STATEMENTS, which would send some statements with another's errors.
            connection.query(text)
        except pymysql.MySQLError as error:
            raise refused(error, name, statement) from error
        if words := _unlike(connection, text):
            raise DumpError(
                f"{name}, line {statement.line}: MySQL would not store what the dump has: {words}",
                code=Code.X007,
                hint="make the dump again, by a mysqldump of the source's version and "
                "--default-character-set=utf8mb4; or correct the statement",
            )


def _unlike(connection: pymysql.Connection, text: bytes) -> str:
    """The server's warning of a value, row, or index that is not as the statement has it; empty without one.

    The SQL mode that mysqldump sets is not strict: 'Müller' in latin1, sent as utf8mb4, would be 'M'.
    """
    insert = INSERT.match(text)
    if not (insert or CREATE.match(text)) or not connection._result.warning_count:  # type: ignore[attr-defined]
        return ""
    with connection.cursor() as cursor:
        cursor.execute("SHOW WARNINGS")
        found = [(level, number, str(words)) for level, number, words in cursor.fetchall()]
    if not insert:
        return next((words for _, number, words in found if number in _UNLIKE_MADE), "")
    # Thousands of rows may have the same one.
    different = {(level, number, words.partition(" at row ")[0]): words for level, number, words in found}
    lost = (
        words
        for (level, number, _), words in different.items()
        if number not in _LIKE_STORED
        and not (number in _OF_EXPRESSIONS and " for column " not in words)
        and not _is_stored(connection, text, words, level == "Warning" and number == _TRUNCATED)
    )
    return next(lost, "")


def _is_stored(connection: pymysql.Connection, insert: bytes, words: str, truncated: bool) -> bool:
    """Whether the warning is about a generated column, whose values the server makes as the source has made
    them, or a truncated one about an ENUM: its '' of index 0, which is not a label, is truncated to itself.

    So is another text that is not a label, and the plan counts both (V022).
    """
    table, column = INTO.match(insert), _OF_COLUMN.search(words)
    if not (table and column):
        return False
    query = (
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = database() AND "
        f"table_name = {my_text(object_name(table))} AND column_name = {my_text(column[1])} AND "
        f"(generation_expression <> '' OR data_type = 'enum' AND {truncated})"
    )
    return _value(connection, query) == "1"


def databases_of(server: Server) -> frozenset[str]:
    """All that are there, the server's own too."""
    with closing(connect_mysql(server.url)) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        return frozenset(str(name) for (name,) in cursor.fetchall())


def _settings(connection: pymysql.Connection) -> str:
    """The statement by which another session makes the same trigger as this one would."""
    names = ("sql_mode", "character_set_client", "collation_connection")
    return "SET " + ", ".join(f"{name} = {my_text(_value(connection, f'SELECT @@{name}'))}" for name in names)


def _value(connection: pymysql.Connection, query: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query)
        ((found,),) = cursor.fetchall()
    return str(found)
