"""Connections to the source: TLS, the session that every reader uses, and errors that help."""

from __future__ import annotations

import ssl
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.errors import ConvergeError, SourceError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.quote import my_text

# The text of values must not depend on the server's settings; a slow target must not end a read.
_SESSION = (
    "SET SESSION sql_mode='', time_zone='+00:00', net_write_timeout=3600, net_read_timeout=3600, "
    "wait_timeout=28800, max_execution_time=0, information_schema_stats_expiry=0, "
    "transaction_isolation='REPEATABLE-READ', sql_quote_show_create=1"
)
_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")


def connect(endpoint: Endpoint) -> Connection[Any]:
    """A connection in UTC and utf8mb4 with autocommit. Raises SourceError or UsageError."""
    options = dict(endpoint.options)
    arguments: dict[str, Any] = {
        "host": endpoint.host or None,
        "port": endpoint.port or 0,
        "user": endpoint.user or None,
        # The driver would encode text as Latin-1, the server expects UTF-8.
        "password": endpoint.password.encode(),
        "database": endpoint.database or None,
        "unix_socket": options.pop("unix_socket", None),
        **_tls(endpoint, options),
    }
    if options:
        raise UsageError(f"the source URL has an unknown option {sorted(options)[0]!r}", code="U002")
    try:
        connection = pymysql.connect(
            charset="utf8mb4", autocommit=True, connect_timeout=10, local_infile=False, **arguments
        )
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
    except (pymysql.err.Error, OSError, RuntimeError) as error:
        raise explain(error, endpoint) from error
    return connection


def explain(error: Exception, endpoint: Endpoint) -> ConvergeError:
    """The driver's error in the words of the person who has to act."""
    number, text = _number_and_text(error)
    user = f"{endpoint.user or 'the user'}@{endpoint.host or 'localhost'}"
    if number in (2003, 2026) and ("SSL" in text or "certificate" in text):
        return SourceError(
            f"MySQL at {endpoint} cannot be trusted: {text}",
            code="S007",
            hint="?ssl-ca=FILE names the authority; ?ssl-mode=REQUIRED encrypts without a check of the name, "
            "and ?ssl-mode=DISABLED not at all",
        )
    match number:
        case 1045 | 1698:
            return SourceError(
                f"MySQL at {endpoint} refused {user}: wrong user name or password",
                code="S002",
                hint="the password of a URL must be percent-encoded; it came from " + endpoint.origin,
            )
        case 1049:
            return SourceError(
                f"MySQL at {endpoint.host} has no database {endpoint.database!r}",
                code="S003",
                hint="the database is the last part of the URL: mysql://user@host:port/DATABASE",
            )
        case 1044 | 1142 | 1143:
            return SourceError(
                f"MySQL at {endpoint} gives {user} no right for this: {text}",
                code="S004",
                hint=grant(endpoint, "SELECT, SHOW VIEW, TRIGGER"),
            )
        case 2003 | 2002 | 2013 | 2006:
            return SourceError(
                f"MySQL at {endpoint} cannot be reached: {text}",
                code="S001",
                hint="check host, port and firewall; is mysqld running there?",
            )
        case 3159:
            return SourceError(
                f"MySQL at {endpoint} takes only encrypted connections",
                code="S006",
                hint="add ?ssl-mode=REQUIRED to the source URL, or VERIFY_CA with &ssl-ca=FILE",
            )
        case 2059 | 1251 | 1524:
            return SourceError(
                f"MySQL at {endpoint} asks for a login that is not available: {text}",
                code="S005",
                hint=f"ALTER USER {my_text(endpoint.user)}@'%' IDENTIFIED WITH caching_sha2_password BY '…';",
            )
    return SourceError(f"MySQL at {endpoint}: {text} ({number})" if number else text, code="S000")


def grant(endpoint: Endpoint, rights: str) -> str:
    """The statement that gives these rights on the source database."""
    database = endpoint.database.replace("`", "``")
    return f"GRANT {rights} ON `{database}`.* TO {my_text(endpoint.user)}@'%';"


def _number_and_text(error: Exception) -> tuple[int, str]:
    if isinstance(error, pymysql.err.Error) and len(error.args) > 1:
        return int(error.args[0]), str(error.args[1])
    if isinstance(error, OSError):
        return 2003, str(error)
    return 0, str(error)


def _tls(endpoint: Endpoint, options: dict[str, str]) -> dict[str, Any]:
    """MySQL's ssl-mode as the driver's arguments.

    Off loopback the server's name is verified, and on it nothing is encrypted, unless the URL says
    otherwise: nobody listens there, and TLS would cost as much as all else that the reader does.
    """
    mode = options.pop("ssl-mode", "DISABLED" if endpoint.local else "VERIFY_IDENTITY").upper()
    authority, certificate, key = (options.pop(f"ssl-{name}", None) for name in ("ca", "cert", "key"))
    if mode not in _MODES:
        raise UsageError(f"ssl-mode={mode} is unknown", code="U002", hint=f"one of {', '.join(_MODES)}")
    if mode == "DISABLED":
        return {"ssl_disabled": True}
    if mode == "PREFERRED" and authority is None:
        return {}
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = mode == "VERIFY_IDENTITY"
    if mode in ("PREFERRED", "REQUIRED"):
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return {"ssl": context}
