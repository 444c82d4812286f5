"""What libpq and the server say, in the words of the person who has to act."""

from __future__ import annotations

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, Known, TargetError, known_error
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.postgres import tls

# Connections that end, servers that shut down, crash or start, and too many connections
# (PostgreSQL manual, "PostgreSQL Error Codes").
_LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "53300"})
# Data exceptions, and limits of the server: a row too big for its page, JSON too big for jsonb.
_VALUE = ("22", "54")
NOT_THE_STATEMENT = ("08", "40", "53", "55006", "55P03", "57", "58")
"""SQLSTATEs that say nothing about a statement: connection, rollback, resources, an object in use, locks,
intervention, system. A limit (54) and an object that is not ready (55000) are its own."""
# Corruption, and the state of a transaction, say nothing about a row.
NOT_THE_ROW = (*NOT_THE_STATEMENT, "25", "XX001", "XX002")
"""SQLSTATEs that no row is to blame for, whoever raised them."""
# Values, constraints, CHECK OPTION, triggers: what the server may say to one row and not to the next.
_OF_ROWS = ("09", "22", "23", "27", "38", "39", "44", "54", "P0")
_PROVISION = "\n-- or, where converge.toml has `provision` for it: converge provision"
# Errors of the login have no SQLSTATE, so those are known by their words.
_KNOWN = (
    Known("28P01 |.*(password authentication failed|no password supplied)", Code.T002,
          "{where} refused the user: wrong user name or password",
          "the password of a URL must be percent-encoded; it came from {origin}{wanted}"),
    Known('3D000 |.*database ".*does not exist', Code.T003, "{where} has no database {database!r}",
          "CREATE DATABASE {database_name} TEMPLATE template0 ENCODING 'UTF8';" + _PROVISION),
    Known("login .*permission denied for database", Code.T004,
          "{where}: the role {user} may not connect to the database {database}",
          "GRANT CONNECT ON DATABASE {database_name} TO {user_name};", kind=BlockedError),
    Known("42501 .*affected by row-level security", Code.T004,
          "{where} would hide rows from the role {user}: {text}", "ALTER ROLE {user_name} BYPASSRLS;"),
    Known("42501 ", Code.T004, "{where} denies the role a privilege: {text}"),
    Known("53300 |login .*(too many clients|too many connections|remaining connection slots)", Code.T016,
          "{where} has too many connections: {text}",
          "fewer --jobs, or a larger max_connections (of the server, the database or the role)", lost=True),
    Known("53100 ", Code.T007, "{where} has no room left: {text}", "free some disk space"),
    Known("53200 .*shared memory", Code.T042, "{where} has no room for more locks: {text}",
          "a larger max_locks_per_transaction in postgresql.conf, and a restart"),
    Known("login .*(valid client certificate|certificate authentication failed|private key file|SSL key)",
          Code.T017, "{where} wants a client certificate: {text}",
          "add ?sslcert=FILE&sslkey=FILE: a certificate for the role, and its key with the mode 0600"),
    Known("login .*(no pg_hba.conf entry|pg_hba.conf rejects)", Code.T018,
          "{where} does not let the role in from here: {text}",
          "a line of pg_hba.conf lets a role in, such as: hostssl DATABASE ROLE ADDRESS/32 scram-sha-256"),
    Known("login .*FATAL: +role .*does not exist", Code.T180, "{where} refuses the connection: {text}",
          "CREATE ROLE {user_name} LOGIN PASSWORD '…'; -- the user name came from {origin}" + _PROVISION),
    Known("login .*is not permitted to log in", Code.T180, "{where} refuses the connection: {text}",
          "ALTER ROLE {user_name} LOGIN; -- the user name came from {origin}"),
    Known("login .*FATAL: +the database system is", Code.T180, "{where} refuses the connection: {text}",
          "look into the server's log for the reason", lost=True),
    Known("login .*FATAL:", Code.T180, "{where} refuses the connection: {text}",
          "look into the server's log for the reason"),
)  # fmt: skip


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, or could not be had now: another one may be had later."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state in _LOST or state.startswith("08")


def explain(
    error: psycopg.Error, endpoint: Endpoint | None = None, *, connecting: bool = False
) -> ConvergeError:
    """The server's error in the words of the person who has to act."""
    text = _text(error)
    away = error.sqlstate is None and isinstance(error, psycopg.OperationalError)
    told = f"{error.sqlstate or ('login' if away else '')} {text}"
    known = known_error(TargetError, _KNOWN, told, _names(endpoint, text.rpartition("FATAL:")[2].strip()))
    if known is not None:
        return known
    if away and connecting and ("SSL" in text or "certificate" in text):
        return tls.distrusted(text, endpoint)
    if away:
        return TargetError(
            f"{_where(endpoint)} cannot be reached: {text.splitlines()[0]}",
            code=Code.T001,
            hint="check host, port and firewall; is PostgreSQL running there?",
            lost=True,
        )
    if is_of_value(error):
        return TargetError(
            f"PostgreSQL cannot hold a value of the source: {text}",
            code=Code.D001,
            details=_details(error),
            hint="repair the value in the source",
        )
    if is_bad_row(error):
        return rows_refused(error)
    return in_its_words(error, endpoint)


def rows_refused(error: psycopg.Error) -> TargetError:
    """The server's error, for rows of the source."""
    return TargetError(
        f"PostgreSQL refuses rows: {_text(error)}",
        code=Code.D001,
        details=_details(error),
        hint="repair the rows in the source",
    )


def in_its_words(error: psycopg.Error, endpoint: Endpoint | None) -> TargetError:
    """What the server says of a statement that is not ours."""
    return TargetError(
        f"{_where(endpoint)}: {_text(error)}", code=Code.T000, details=_details(error), lost=is_lost(error)
    )


def is_of_value(error: psycopg.Error) -> bool:
    """Whether a value is refused, or a row for its size."""
    return error.sqlstate is not None and error.sqlstate.startswith(_VALUE)


def is_bad_row(error: Exception) -> bool:
    """Whether a row is at fault: data exceptions, violated constraints, limits; never a full disk."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith((*_VALUE, "23"))


def refuses_row(error: psycopg.Error) -> bool:
    """Whether the server refuses a row and may take the next, in a statement that writes rows.

    A function of the application, such as a trigger's, may do so with any SQLSTATE, as MySQL's 45000. Only
    then has the error a context: what is wrong with the statement itself has none.
    """
    state = error.sqlstate
    if state is None or state.startswith(NOT_THE_ROW):
        return False
    return state.startswith(_OF_ROWS) or error.diag.context is not None


def _names(endpoint: Endpoint | None, text: str) -> dict[str, str]:
    """What messages and hints name."""
    at = endpoint or Endpoint("postgres", origin="the target URL")
    return {
        "where": _where(endpoint), "text": text, "origin": at.origin, "wanted": tls.wanted(at),
        "user": at.user, "user_name": pg_name(at.user or "NAME"),
        "database": at.database, "database_name": pg_name(at.database),
    }  # fmt: skip


def _where(endpoint: Endpoint | None) -> str:
    return f"PostgreSQL at {endpoint}" if endpoint else "PostgreSQL"


def _text(error: psycopg.Error) -> str:
    return error.diag.message_primary or str(error).strip()


def _details(error: psycopg.Error) -> list[str]:
    return [line for line in (error.diag.message_detail, error.diag.context) if line]
