"""Lines of other dialects that MySQL 8 refuses, and what to do about them: `dialect.toml`."""

from __future__ import annotations

import re
from typing import Any

import pymysql

from converge.codes import Code
from converge.resources import toml
from converge.sandbox.dump_split import Statement
from converge.sandbox.server import DumpError

_LARGE = 1153
_MULTI_BYTE = re.compile(
    rb"(?:/\*!\d*\s*)?SET\s+(?:NAMES|CHARACTER\s+SET|CHARSET)\s+['\"]?(big5|gbk|gb18030|sjis|cp932)\b",
    re.IGNORECASE,
)
_SHOWN_BYTES = 60  # enough to recognize a statement; the rest may be somebody's data


def refused(error: pymysql.MySQLError, name: str, statement: Statement) -> DumpError:
    """MySQL's refusal with the line of the dump, and the fix where the dialect is known."""
    number, message = (error.args[0], str(error.args[1])) if len(error.args) > 1 else (0, str(error))
    text = statement.text.decode(errors="replace")
    known = _known(number, f"{message}\n{text}")
    return DumpError(
        f"{name}, line {statement.line}: {known['what'] + ': ' if known else ''}{message}",
        code=Code.X008 if known else Code.X007,
        details=[text[:_SHOWN_BYTES] + " …"],
        hint=known["fix"].format(name, line=statement.line) if known else None,
    )


def _known(number: int, said: str) -> dict[str, Any] | None:
    fitting = (one for one in toml("converge.sandbox", "dialect")["refusal"] if one["error"] == number)
    return next((one for one in fitting if re.search(one.get("words", ""), said, re.IGNORECASE)), None)


def require_loadable(name: str, statement: Statement, limit: int) -> None:
    """Raises DumpError for what the server would end the connection for, or misread.

    In some character sets a backslash or a quote may be a part of a character.
    """
    what = fix = ""
    if (size := len(statement.text)) >= limit:
        (large,) = (one for one in toml("converge.sandbox", "dialect")["refusal"] if one["error"] == _LARGE)
        what, fix = f"{large['what']}: {size:,} bytes, and max_allowed_packet is {limit:,}", large["fix"]
    elif found := _MULTI_BYTE.match(statement.text):
        what = f"the character set {found[1].decode()}, in which a byte of a character may be a backslash"
        fix = "mysqldump --default-character-set=utf8mb4 …"
    if what:
        raise DumpError(f"{name}, line {statement.line}: {what}", code=Code.X008, hint=fix)
