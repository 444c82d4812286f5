"""Connections to the target: sessions whose text output is the same everywhere, and errors that help."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.errors import ConvergeError, TargetError
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name

# How values print must not depend on the role, the database or the server's configuration.
_SESSION = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
}
_DISK_FULL = "53100"
# Data exceptions, and limits of the server: a row too big for its page, JSON too big for jsonb.
_VALUE = ("22", "54")


def connect(endpoint: Endpoint, **settings: str) -> psycopg.Connection[Any]:
    """A connection with autocommit; `settings` are session settings beside converge's own.

    Raises TargetError.
    """
    arguments: dict[str, Any] = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password,
        "dbname": endpoint.database,
        "connect_timeout": "10",
        "application_name": "converge",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
    }
    if endpoint.local:
        # Nobody listens there: encrypt only when the server insists.
        arguments["sslmode"] = "allow"
    else:
        arguments |= {"sslmode": "verify-full", "sslrootcert": "system"}
    arguments |= dict(endpoint.options)
    if "sslrootcert" in arguments and arguments.get("sslmode") != "verify-full":
        # libpq refuses the system's authorities for a weaker mode.
        arguments = {k: v for k, v in arguments.items() if (k, v) != ("sslrootcert", "system")}
    try:
        connection = psycopg.connect(autocommit=True, **{k: v for k, v in arguments.items() if v})
        session = _SESSION | settings
        if connection.info.server_version < 140000:
            raise TargetError(
                f"the target runs PostgreSQL {connection.info.parameter_status('server_version')}",
                code="T006",
                hint="converge loads PostgreSQL 14 and newer",
            )
        connection.execute(
            "SELECT " + ", ".join("set_config(%s, %s, false)" for _ in session),
            [item for setting in session.items() for item in setting],
        )
    except psycopg.Error as error:
        raise explain(error, endpoint) from error
    return connection


def explain(error: psycopg.Error, endpoint: Endpoint | None = None) -> ConvergeError:
    """The server's error in the words of the person who has to act."""
    text = error.diag.message_primary or str(error).strip()
    where = f"PostgreSQL at {endpoint}" if endpoint else "PostgreSQL"
    state = error.sqlstate
    if state == "28P01" or "password authentication failed" in text or "no password supplied" in text:
        return TargetError(
            f"{where} refused the user: wrong user name or password",
            code="T002",
            hint="the password of a URL must be percent-encoded; it came from "
            + (endpoint.origin if endpoint else "the target URL"),
        )
    if state == "3D000" or ('database "' in text and "does not exist" in text):
        name = endpoint.database if endpoint else ""
        return TargetError(
            f"{where} has no database {name!r}",
            code="T003",
            hint=f"CREATE DATABASE {pg_name(name)} TEMPLATE template0 ENCODING 'UTF8';",
        )
    if state is None and "permission denied for database" in text:
        name, user = (endpoint.database, endpoint.user) if endpoint else ("", "")
        return TargetError(
            f"{where} lets the role not into the database",
            code="T004",
            hint=f"GRANT CONNECT ON DATABASE {pg_name(name)} TO {pg_name(user)};",
        )
    if state == "42501":
        return TargetError(f"{where} gives the role no right for this: {text}", code="T004")
    if state == _DISK_FULL:
        return TargetError(f"{where} has no room left: {text}", code="T007", hint="make room, then --resume")
    if state is None and ("SSL" in text or "certificate" in text):
        return TargetError(
            f"{where} cannot be trusted: {text}",
            code="T013",
            hint="?sslmode=verify-full&sslrootcert=FILE names the authority; ?sslmode=require encrypts "
            "without a check of the name, and ?sslmode=disable not at all",
        )
    if isinstance(error, psycopg.OperationalError) and state is None:
        return TargetError(
            f"{where} cannot be reached: {text}",
            code="T001",
            hint="check host, port and firewall; is PostgreSQL running there?",
        )
    details = [line for line in (error.diag.message_detail, error.diag.context) if line]
    if state is not None and state.startswith(_VALUE):
        return TargetError(
            f"PostgreSQL cannot hold a value of the source: {text}",
            code="D001",
            details=details,
            hint="repair the value in the source, or --exclude its table",
        )
    return TargetError(f"{where}: {text}", code="T000", details=details)
