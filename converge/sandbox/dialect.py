"""Lines of other dialects that MySQL 8 refuses, and what to do about them: data, first match wins."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pymysql

from converge.codes import Code
from converge.sandbox.dump_split import Statement
from converge.sandbox.server import DumpError


@dataclass(frozen=True, slots=True)
class Refusal:
    """`error` is MySQL's number, `words` what its message or the statement holds."""

    error: int
    words: str
    what: str
    fix: str
    """With {0} for the file's name."""


_REMOVE = "look at that line; where it is not needed: sed -i '{line}d' {0}"
_LARGE = "a statement that is larger than the server takes"
_TAKE_LARGE = "SET GLOBAL max_allowed_packet = 1073741824;"
_REFUSALS = (
    Refusal(1231, "NO_AUTO_CREATE_USER", "an sql_mode of MySQL 5.7",
            "sed -i 's/,\\?NO_AUTO_CREATE_USER//g' {0}"),
    Refusal(1231, "sql_mode", "an sql_mode that MySQL 8 does not have", "remove that mode from the line"),
    Refusal(1273, "uca1400", "a collation of MariaDB 10.10 and newer",
            "sed -i 's/utf8mb4_uca1400_[a-z_]*/utf8mb4_0900_ai_ci/g' {0}"),
    Refusal(1273, "", "a collation that this MySQL does not have",
            "--mysql VERSION of a newer server, or another collation in that line"),
    Refusal(1286, "", "a storage engine that this MySQL does not have",
            "sed -i 's/ENGINE=\\(Aria\\|TokuDB\\|RocksDB\\|FEDERATED\\)/ENGINE=InnoDB/g' {0}"),
    Refusal(1178, "partition", "partitions of MyISAM, which MySQL 8 does not have",
            "sed -i 's/ENGINE *= *MyISAM/ENGINE=InnoDB/g' {0}"),
    Refusal(1193, "", "a setting that MySQL 8 does not have", "sed -i '{line}d' {0}"),
    Refusal(1064, r"PAGE_CHECKSUM|TRANSACTIONAL=", "a table option of MariaDB's Aria",
            "sed -i 's/ \\(PAGE_CHECKSUM\\|TRANSACTIONAL\\)=[01]//g' {0}"),
    Refusal(1064, r"SYSTEM VERSIONING", "a system-versioned table of MariaDB",
            "mysqldump of a copy after ALTER TABLE … DROP SYSTEM VERSIONING"),
    Refusal(1064, r"CREATE\s+SEQUENCE", "a sequence of MariaDB",
            "--ignore-table=DATABASE.SEQUENCE in mysqldump"),
    Refusal(1064, r"DEFAULT\s+uuid\(\)", "a default that MySQL wants in brackets",
            "sed -i 's/DEFAULT uuid()/DEFAULT (uuid())/g' {0}"),
    Refusal(1064, r"near '(?:uuid|inet[46])\b", "a type of MariaDB",
            "a copy of the table with char(36), or varbinary(16), in its place"),
    Refusal(1064, "near '\"", "a name in double quotes, as sql_mode=ANSI_QUOTES or PostgreSQL has them",
            "if it is of MySQL: sed -i \"1i SET sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES');\" {0}"),
    Refusal(1064, r"PERSISTENT", "MariaDB's word for a stored column",
            "sed -i 's/) PERSISTENT/) STORED/g' {0}"),
    Refusal(1153, "", _LARGE, _TAKE_LARGE),
    Refusal(1227, "", "a privilege of the whole server, which a dump does not get", _REMOVE),
    Refusal(1044, "", "another database, which a dump does not get", _REMOVE),
    Refusal(1142, "", "another database, which a dump does not get", _REMOVE),
    Refusal(1418, "", "a function that says nothing of replicas",
            "SET GLOBAL log_bin_trust_function_creators = ON; on the server that was given"),
    Refusal(1419, "", "a trigger or function that could change rows of replicas",
            "SET GLOBAL log_bin_trust_function_creators = ON; on the server that was given"),
    Refusal(1146, "", "rows of a table that no CREATE TABLE has made",
            "--source-dump SCHEMA.sql before --source-dump {0}"),
    Refusal(1049, "", "a database that no CREATE DATABASE has made", "--dump-database NAME"),
)  # fmt: skip


_MULTI_BYTE = re.compile(
    rb"(?:/\*!\d*\s*)?SET\s+(?:NAMES|CHARACTER\s+SET|CHARSET)\s+['\"]?(big5|gbk|gb18030|sjis|cp932)\b",
    re.IGNORECASE,
)
_SHOWN_BYTES = 60  # enough to recognize a statement; the rest may be somebody's data


def refused(error: pymysql.MySQLError, name: str, statement: Statement) -> DumpError:
    """MySQL's refusal with the line of the dump, and the fix where the dialect is known."""
    number, message = (error.args[0], str(error.args[1])) if len(error.args) > 1 else (0, str(error))
    text = statement.text.decode(errors="replace")
    said = f"{message}\n{text}"
    fitting = (one for one in _REFUSALS if one.error == number and re.search(one.words, said, re.IGNORECASE))
    known = next(fitting, None)
    return DumpError(
        f"{name}, line {statement.line}: {f'{known.what}: ' if known else ''}{message}",
        code=Code.X008 if known else Code.X007,
        details=[text[:_SHOWN_BYTES] + " …"],
        hint=known.fix.format(name, line=statement.line) if known else None,
    )


def require_loadable(name: str, statement: Statement, limit: int) -> None:
    """Raises DumpError for what the server would end the connection for, or misread.

    In some character sets a backslash or a quote may be a part of a character.
    """
    what = fix = ""
    if (size := len(statement.text)) >= limit:
        what, fix = f"{_LARGE}: {size:,} bytes, and max_allowed_packet is {limit:,}", _TAKE_LARGE
    elif found := _MULTI_BYTE.match(statement.text):
        what = f"the character set {found[1].decode()}, in which a byte of a character may be a backslash"
        fix = "mysqldump --default-character-set=utf8mb4 …"
    if what:
        raise DumpError(f"{name}, line {statement.line}: {what}", code=Code.X008, hint=fix)
