"""What the driver and the server say, in the words of the person who has to act."""

from __future__ import annotations

import re

import pymysql

from converge.codes import Code
from converge.errors import START_AGAIN, ConvergeError, Known, SourceError, known_error
from converge.model.endpoint import Endpoint
from converge.model.quote import my_name, my_text
from converge.mysql import tls

# The server shuts down, or has killed or timed out the connection; the client lost it (MySQL 8.0 Error
# Reference).
_LOST = frozenset({1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2055, 4031})


_KNOWN = (
    Known("1045 ", Code.S002, "{where} refused {account}: wrong user name or password",
          "the password of a URL must be percent-encoded; it came from {origin}\n{wanted}"),
    Known("1049 ", Code.S003, "MySQL at {host} has no database {database!r}",
          "the database is the last part of the URL: mysql://user@host:port/DATABASE"),
    Known("3159 ", Code.S006, "{where} takes only encrypted connections",
          "add ?ssl-mode=REQUIRED to the source URL, or VERIFY_CA with &ssl-ca=FILE"),
    # 1698: an account without a password, such as auth_socket's, which only a socket lets in.
    Known("(1698|2059|1251|1524) ", Code.S005, "{where} asks for a login that is not available: {text}",
          "encrypt the connection, if it is not: ?ssl-mode=VERIFY_CA&ssl-ca=FILE; or "
          "ALTER USER {account} IDENTIFIED WITH caching_sha2_password BY '…';\n"
          "SELECT user, host, plugin FROM mysql.user WHERE user = {user}; shows the account's own host"),
    Known("(1044|1142|1143) ", Code.S004, "{where} gives {account} no privilege for this: {text}",
          "GRANT SELECT, SHOW VIEW, TRIGGER ON {database_name}.* TO {user}@'%';"),
    Known("(1040|1203|1226) ", Code.S012, "{where} has too many connections: {text}",
          "fewer --jobs, or a larger max_connections or max_user_connections", lost=True),
    # A new attempt lets go of all locks first: the one that we wait for may wait for one of ours.
    Known("1205 ", Code.S180, "{where}: another session holds a table for more than a minute: {text}",
          "end its LOCK TABLES or ALTER; performance_schema.metadata_locks shows which it is", lost=True),
    # 1054 is of a table, too: a map's expression names no column, and checks tell of their own errors.
    Known("(1054|1146|1412) ", Code.S011, "{where}: a table was changed while it was read: {text}",
          f"keep schema changes away from the run, then {START_AGAIN}"),
)  # fmt: skip


def is_lost(error: pymysql.err.Error) -> bool:
    """Whether the connection is gone, and its snapshot with it."""
    return isinstance(error, pymysql.err.InterfaceError) or _number_and_text(error)[0] in _LOST


def explain(error: Exception, endpoint: Endpoint) -> ConvergeError:
    """The driver's error in the words of the person who has to act."""
    number, text = _number_and_text(error)
    if (untrusted := tls.distrusted(error, endpoint, text)) is not None:
        return untrusted
    if number in _LOST or isinstance(error, pymysql.err.InterfaceError):
        return SourceError(
            f"MySQL at {endpoint} cannot be reached: {text or 'the connection is closed'}",
            code=Code.S001,
            hint="check host, port and firewall; is mysqld running there?",
            lost=True,
        )
    known = known_error(SourceError, _KNOWN, f"{number} {text}", _names(endpoint, text))
    if known is not None:
        return known
    return SourceError(f"MySQL at {endpoint}: {text} ({number})" if number else text, code=Code.S000)


def _names(endpoint: Endpoint, text: str) -> dict[str, str]:
    """What messages and hints name; the account with the host that the server sees us at, if it says so."""
    user, seen = my_text(endpoint.user), re.search(r"'@'([^']*)'", text)
    return {
        "where": f"MySQL at {endpoint}", "host": endpoint.host, "text": text, "origin": endpoint.origin,
        "wanted": tls.wanted(endpoint), "user": user,
        "account": f"{user}@{my_text(seen[1] if seen else '%')}",
        "database": endpoint.database, "database_name": my_name(endpoint.database),
    }  # fmt: skip


def _number_and_text(error: Exception) -> tuple[int, str]:
    if isinstance(error, pymysql.err.Error) and len(error.args) > 1:
        return int(error.args[0]), str(error.args[1])
    if isinstance(error, (OSError, UnicodeError)):  # the latter for a host that is no name
        return 2003, str(error)
    return 0, str(error)
