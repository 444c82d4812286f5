"""What `doctor` finds wrong with the two servers: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.check import Application
from converge.model.endpoint import Endpoint
from converge.model.facts import Privilege, SourceFacts, TargetFacts, Tls
from converge.model.finding import Finding, Severity
from converge.model.quote import pg_name
from converge.model.words import counted
from converge.mysql.connect import WatchedConnection
from converge.mysql.query import fetch
from converge.postgres.privileges import raise_locks
from converge.postgres.target import Target
from converge.providers import Provider
from converge.run.options import Options

Row = tuple[bool, Code, Severity, str, str]
"""Whether it is so; then code, severity, message and fix of the finding."""
_DAY = 86_400
_LONG_SECONDS = 5
"""The read lock is waited for no longer than this."""
_STRICT = ("STRICT_TRANS_TABLES", "STRICT_ALL_TABLES")
_FULL_PACKET = 1 << 30
"""Bytes; the most that max_allowed_packet can be."""
_HURTFUL = frozenset(
    {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
     "transaction_timeout", "default_transaction_read_only"}
)  # fmt: skip
"""Settings that converge overrides in its own sessions, and that migrations of others meet."""
_LIMITS = """
    SELECT rolname, datname, least(nullif(rolconnlimit, -1), nullif(datconnlimit, -1))
      FROM pg_roles, pg_database
     WHERE rolname = session_user AND NOT rolsuper AND datname = current_database()"""
_LOCKS_A_TABLE = 6
"""A table, its TOAST table with its index, and some indexes: --recreate drops all tables at once."""


def check_source(facts: SourceFacts, endpoint: Endpoint, options: Options) -> list[Finding]:
    """All findings but those of privileges that a run cannot go without."""
    needed, longest, jobs = _of_source(options), facts.longest_statement or 0, _jobs(options)
    rows: list[Row] = [
        _source_limit(facts.account, facts.user_connections, options),
        _connections(Code.S021, facts, jobs, needed, "SET GLOBAL max_connections = {};"),
        (facts.plugin == "mysql_native_password", Code.S022, "note",
         "the account logs in by mysql_native_password, which MySQL 8.4 disables and 9.0 has removed",
         f"ALTER USER {facts.account} IDENTIFIED WITH caching_sha2_password BY '…';"),
        _unverified(Code.S023, facts.tls, endpoint,
                    "?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE at the end of the source URL"),
        (bool(facts.idle_roles), Code.S024, "note",
         f"roles that are granted and not active: {', '.join(facts.idle_roles)}",
         f"SET DEFAULT ROLE ALL TO {facts.account};"),
        (facts.snapshot.level != "locked", Code.S025, "note",
         f"the source must be quiet while the readers begin: {facts.snapshot.why}", facts.snapshot.fix),
        (longest > _LONG_SECONDS, Code.S026, "note",
         f"a statement runs for {longest} s already; the read lock would wait for it {_LONG_SECONDS} s and "
         "then do without",
         "SELECT ID, USER, TIME, INFO FROM information_schema.PROCESSLIST ORDER BY TIME DESC;"),
        *((True, Code.P072, "note",
           f"{counted(count, 'table')} of the engine {engine}, without snapshots: "
           "stop all writers during the run",
           "ALTER TABLE … ENGINE = InnoDB;") for engine, count in facts.unsafe_engines),
        (not any(mode in facts.sql_mode for mode in _STRICT) or "NO_ZERO_DATE" not in facts.sql_mode,
         Code.S027, "note",
         "sql_mode lets zero dates and cut-off values in; the plan's scan counts those that are there",
         "converge plan"),
        (facts.max_allowed_packet < _FULL_PACKET, Code.S028, "note",
         f"a row longer than max_allowed_packet, {facts.max_allowed_packet:,} bytes of text, stops a run",
         f"SET GLOBAL max_allowed_packet = {_FULL_PACKET};"),
        (facts.binary_log != "ROW", Code.W002, "note",
         f"the binary log is {facts.binary_log} and does not name each row: converge follow cannot read it",
         "SET PERSIST binlog_format = ROW; and new connections of the application"
         if facts.binary_log != "OFF" else "log_bin in the server's configuration, and a restart"),
        (facts.binary_log == "ROW" and 0 < facts.binary_log_seconds < _DAY, Code.W015, "note",
         f"the binary log is kept for {facts.binary_log_seconds:,} s: converge follow could not go on after "
         "a longer run or pause", f"SET PERSIST binlog_expire_logs_seconds = {7 * _DAY};"),
        _optional(Code.S020, facts.rights),
    ]  # fmt: skip
    return _findings("source", rows)


def check_target(facts: TargetFacts, endpoint: Endpoint, options: Options, *, tables: int) -> list[Finding]:
    """All findings but those of what a run cannot go without; `tables` are the source's."""
    needed, jobs, locks = _of_target(options), _jobs(options), tables * _LOCKS_A_TABLE
    role, database = pg_name(facts.role), pg_name(facts.database)
    rows: list[Row] = [
        _target_limit(role, database, facts.role_connections, options),
        _connections(Code.T021, facts, jobs, needed,
                     "ALTER SYSTEM SET max_connections = {}; -- and restart the server"),
        _unverified(Code.T023, facts.tls, endpoint,
                    "?sslmode=verify-full&sslrootcert=FILE at the end of the target URL"),
        (facts.superuser, Code.T026, "note", f"the role {facts.role} is a superuser; no run needs that",
         "\n".join(["CREATE ROLE converge LOGIN PASSWORD '…';", *(
             one.grant.replace(f" TO {role};", " TO converge;")
             for one in facts.rights if one.grant.startswith("GRANT "))])),
        (locks > facts.locks, Code.T022, "note",
         "--recreate, --truncate and a migration that makes all tables in one transaction take about "
         f"{locks:,} locks at once; the server has room for {facts.locks:,}",
         raise_locks(locks, facts.max_connections)),
        *((one.name in _HURTFUL and one.value not in ("0", "off", "false"), Code.T041, "note",
           f"{one.name} = {one.value} is set for {one.where}: not for converge's own sessions, but for "
           "the application's migrations (alembic upgrade) and its backfills", one.reset)
          for one in facts.own_settings),
        (bool(facts.event_triggers), Code.T025, "note",
         f"event triggers see every statement that makes something: {', '.join(facts.event_triggers)}",
         "\n".join(f"ALTER EVENT TRIGGER {pg_name(name)} DISABLE;" for name in facts.event_triggers)),
        (facts.setting("wal_level") == "logical", Code.T027, "note",
         "wal_level is logical: subscribers get every row of the run too",
         "pg_replication_slots shows who reads; without a reader, wal_level = replica writes less"),
        _optional(Code.T020, facts.rights),
    ]  # fmt: skip
    return _findings("target", rows)


def few_connections(
    source: WatchedConnection, target: psycopg.Connection[Any] | None, options: Options
) -> Iterator[Finding]:
    """Limits of the account, the role and the database that a run would meet."""
    ((account, may_have),) = fetch(source, "SELECT CURRENT_USER(), @@session.max_user_connections")
    yield from _findings("source", [_source_limit(account, may_have, options)])
    if target is not None:
        for role, database, most in target.execute(_LIMITS.encode()):
            limit = _target_limit(pg_name(role), pg_name(database), most, options)
            yield from _findings("target", [limit])


def check_space(facts: TargetFacts, needed: int) -> list[Finding]:
    """Whether the target's disk has room for what the source will be there, and for its log."""
    if facts.disk is None:
        return []
    return _findings("target", [
        (facts.disk.free < 2 * needed, Code.T024, "block" if facts.disk.free < needed else "note",
         f"{facts.disk.path} has {facts.disk.free:,} bytes free; the tables and indexes need about "
         f"{needed:,}, and the write-ahead log up to as much again",
         "free some space there, or move the database to a larger disk"),
    ])  # fmt: skip


def check_provider(provider: Provider | None) -> list[Finding]:
    """The recipe for the service or build that a side is; none for MySQL's and PostgreSQL's own."""
    if provider is None:
        return []
    side, limits = provider.side, f", with limits: {provider.why}" if provider.why else ""
    said = f"the {side} is {provider.name}{limits}"
    return _findings(side, [
        (side == "source", Code.S029, "note", said, provider.hint),
        (side == "target", Code.T029, "note", said, provider.hint),
    ])  # fmt: skip


def missing_tables(applications: Iterable[Application], target: Target) -> Iterator[Finding]:
    """Applications whose own migrations have not run in the target schema, as far as their maps tell."""
    for one in applications:
        if missing := [name for name in one.tables if name not in target.names]:
            yield Finding(
                Code.C010,
                "note",
                target.schema,
                f"{one.name}: its own migrations make {counted(len(one.tables), 'table')}, "
                f"of which {len(missing)} cannot be found",
                one.migrate,
                ", ".join(missing),
            )


def _findings(side: str, rows: Iterable[Row]) -> list[Finding]:
    return [Finding(code, severity, side, said, fix) for wrong, code, severity, said, fix in rows if wrong]


def _of_source(options: Options) -> int:
    """Connections that a run needs."""
    return options.parallel * (options.share + 1)


def _of_target(options: Options) -> int:
    """The workers' and the builders', the coordinator's two, and one to look after them."""
    return options.parallel * (2 * options.share + 3)


def _source_limit(account: str, may_have: int, options: Options) -> Row:
    needed = _of_source(options)
    return (
        0 < may_have < needed, Code.S021, "block",
        f"{account} may have {may_have} connections, {_jobs(options)} needs {needed}",
        f"fewer --jobs; or ALTER USER {account} WITH MAX_USER_CONNECTIONS {needed};",
    )  # fmt: skip


def _target_limit(role: str, database: str, may_have: int | None, options: Options) -> Row:
    needed = _of_target(options)
    return (
        may_have is not None and may_have < needed, Code.T021, "block",
        f"the role or the database may have {may_have} connections, {_jobs(options)} needs {needed}",
        f"fewer --jobs; or ALTER ROLE {role} CONNECTION LIMIT {needed}; and "
        f"ALTER DATABASE {database} CONNECTION LIMIT {needed};",
    )  # fmt: skip


def _jobs(options: Options) -> str:
    parallel = f" with parallel = {options.parallel}" if options.parallel > 1 else ""
    return f"--jobs {options.jobs}{parallel}"


def _connections(code: Code, facts: SourceFacts | TargetFacts, jobs: str, needed: int, fix: str) -> Row:
    most, free = facts.max_connections, facts.max_connections - facts.connections + 1
    message = f"{free} of {most} connections are free now, {jobs} needs {needed}"
    return free < needed, code, "note", message, fix.format(most + needed)


def _unverified(code: Code, tls: Tls, endpoint: Endpoint, fix: str) -> Row:
    message = (
        "the connection is encrypted, but the server's name is not verified"
        if tls.version
        else "the connection is not encrypted: traffic can be read in transit"
    )
    return not endpoint.local and tls.verified != "certificate and name", code, "note", message, fix


def _optional(code: Code, privileges: Iterable[Privilege]) -> Row:
    missing = [one for one in privileges if one.grant and not one.held and not one.needed]
    told = "; ".join(f"{one.name} ({one.without})" for one in missing)
    message = f"privileges that a run can do without are missing: {told}"
    return bool(missing), code, "note", message, "\n".join(one.grant for one in missing)
