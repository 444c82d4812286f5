"""What `doctor` finds wrong with the target: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from converge.codes import Code
from converge.model.check import Application
from converge.model.endpoint import Endpoint
from converge.model.facts import TargetFacts
from converge.model.plan import Finding
from converge.model.quote import pg_name
from converge.postgres.privileges import raise_locks
from converge.postgres.target import Target

_HURTFUL = frozenset(
    {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout",
     "transaction_timeout", "default_transaction_read_only"}
)  # fmt: skip
"""Settings that converge overrides in its own sessions, and that migrations of others meet."""
_LOCKS_A_TABLE = 6
"""A table, its TOAST table with its index, and some indexes: --recreate drops all tables at once."""


def check_target(facts: TargetFacts, endpoint: Endpoint, jobs: int, *, tables: int) -> list[Finding]:
    """All findings but those of what a run cannot go without; `tables` are the source's."""
    return [
        *_connections(facts, jobs),
        *_login(facts, endpoint),
        *_settings(facts, tables),
        *_optional(facts),
    ]


def check_space(facts: TargetFacts, needed: int) -> list[Finding]:
    """Whether the target's disk has room for what the source will be there, and for its log."""
    if facts.disk is None or facts.disk.free >= 2 * needed:
        return []
    short = facts.disk.free < needed
    return [
        Finding(
            Code.T024,
            "block" if short else "note",
            "target",
            f"{facts.disk.path} has {facts.disk.free:,} bytes free; the tables and indexes need about "
            f"{needed:,}, and the write-ahead log up to as much again",
            "free some space there, or move the database to a larger disk",
        )
    ]


def _connections(facts: TargetFacts, jobs: int) -> Iterator[Finding]:
    # The workers' and the builders' connections, the coordinator's two, and one to look after them.
    needed = 2 * jobs + 3
    if facts.role_connections is not None and facts.role_connections < needed:
        yield Finding(
            Code.T021, "block", "target",
            f"the role or the database may have {facts.role_connections} connections, --jobs {jobs} needs "
            f"{needed}",
            f"ALTER ROLE {pg_name(facts.role)} CONNECTION LIMIT {needed};\n"
            f"ALTER DATABASE {pg_name(facts.database)} CONNECTION LIMIT {needed};",
        )  # fmt: skip
    free = facts.max_connections - facts.connections + 1
    if free < needed:
        yield Finding(
            Code.T021, "note", "target",
            f"{free} of {facts.max_connections} connections are free now, --jobs {jobs} needs {needed}",
            f"ALTER SYSTEM SET max_connections = {facts.max_connections + needed}; -- and restart the server",
        )  # fmt: skip


def _login(facts: TargetFacts, endpoint: Endpoint) -> Iterator[Finding]:
    if not endpoint.local and facts.tls.verified != "certificate and name":
        yield Finding(
            Code.T023, "note", "target",
            "the connection is encrypted, but the server's name is not verified" if facts.tls.version
            else "the connection is not encrypted: everybody on the way can read the data",
            "?sslmode=verify-full&sslrootcert=FILE at the end of the target URL",
        )  # fmt: skip
    if facts.superuser:
        yield Finding(
            Code.T026, "note", "target",
            f"the role {facts.role} is a superuser; no run needs that",
            f"CREATE ROLE converge LOGIN PASSWORD '…'; "
            f"GRANT CREATE, TEMPORARY ON DATABASE {pg_name(facts.database)} TO converge;",
        )  # fmt: skip


def _settings(facts: TargetFacts, tables: int) -> Iterator[Finding]:
    locks = tables * _LOCKS_A_TABLE
    if locks > facts.locks:
        yield Finding(
            Code.T022, "note", "target",
            f"--recreate, --truncate and a migration that makes all tables in one transaction lock about "
            f"{locks:,} objects at once; the server has room for {facts.locks:,}",
            raise_locks(locks, facts.max_connections),
        )  # fmt: skip
    for one in facts.own_settings:
        if one.name in _HURTFUL and one.value not in ("0", "off", "false"):
            yield Finding(
                Code.T041, "note", "target",
                f"{one.name} = {one.value} is set for {one.where}: not for converge's own sessions, but for "
                "the application's migrations (alembic upgrade) and its backfills",
                one.reset,
            )  # fmt: skip
    if facts.event_triggers:
        yield Finding(
            Code.T025, "note", "target",
            f"event triggers see every statement that makes something: {', '.join(facts.event_triggers)}",
            "\n".join(f"ALTER EVENT TRIGGER {pg_name(name)} DISABLE;" for name in facts.event_triggers),
        )  # fmt: skip
    if facts.setting("wal_level") == "logical":
        message = "wal_level is logical: subscribers get every row of the run too"
        hint = "pg_replication_slots shows who reads; without a reader, wal_level = replica writes less"
        yield Finding(Code.T027, "note", "target", message, hint)


def _optional(facts: TargetFacts) -> Iterator[Finding]:
    for right in facts.rights:
        if not right.held and not right.needed:
            yield Finding(Code.T020, "note", "target", f"without {right.name}: {right.without}", right.grant)


def missing_tables(applications: Iterable[Application], target: Target) -> Iterator[Finding]:
    """Applications whose own migrations have not run in the target schema, as far as their maps tell."""
    for one in applications:
        if missing := [name for name in one.tables if name not in target.names]:
            yield Finding(
                Code.C010,
                "note",
                target.schema,
                f"{one.name}: {len(missing)} of {len(one.tables)} tables of its own migrations are not there",
                one.migrate,
                ", ".join(missing),
            )
