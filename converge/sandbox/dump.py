"""Loads a dump of MySQL, such as mysqldump writes it, without the mysql client."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pymysql

from converge.sandbox import connect
from converge.sandbox.errors import DumpError
from converge.sandbox.splitter import split

_SHOWN_BYTES = 60  # enough to recognize a statement; the rest may be somebody's data


def load_dump(url: str, path: str | Path) -> int:
    """Executes a dump, .sql or .sql.gz, in a MySQL database; returns the number of its statements.

    Reads one statement at a time, whatever the size of the file. As with `mysql DATABASE < FILE`, the
    first statement that fails ends it, and what was done before stays. Raises DumpError with the line
    of the dump for a file that is cut short and for a statement that MySQL refuses, OSError for a
    file that can't be read, pymysql.MySQLError when the server can't be reached.
    """
    path = Path(path)
    count = 0
    with closing(connect.mysql(url)) as connection, opened(path) as file:
        for statement in split(file):
            try:
                # COM_QUERY takes a whole CREATE TRIGGER with semicolons inside: no need for
                # CLIENT.MULTI_STATEMENTS, which would send some statements with another's errors.
                connection.query(statement.text)
            except pymysql.MySQLError as error:
                begin = statement.text[:_SHOWN_BYTES].decode(errors="replace")
                raise DumpError(
                    f"{path.name}, line {statement.line}: {error.args[-1]}",
                    code="X007",
                    details=[begin + " …"],
                ) from error
            count += 1
        connection.commit()  # for a dump that turned autocommit off and doesn't commit its last rows
    return count


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        zipped = raw.peek(2)[:2] == b"\x1f\x8b"
        with cast(BinaryIO, gzip.open(raw)) if zipped else raw as file:
            try:
                yield file
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise DumpError(f"{path.name} is cut short or damaged: {error}", code="X006") from error
