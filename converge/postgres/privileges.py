"""What the target's role, database and server lack for a run, each with the statement that gives it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.facts import Privilege
from converge.model.finding import Finding
from converge.model.quote import pg_name
from converge.model.words import counted
from converge.postgres.query import lock_room, rows
from converge.postgres.target import Target

LEDGER = "converge"
_SHOWN = 20


def lacking(target: Target) -> list[Finding]:
    """All that stops a run, at once; every hint is for the database's owner or a superuser to run."""
    return [*_server(target), *_missing(target, known_privileges(target))]


def lacking_ledger(target: Target) -> list[Finding]:
    """What stops a command that writes the ledger and makes nothing in the target's schema."""
    needed = [_create(target, target.ledger is None)] if target.ledger is None else _of_ledger(target)
    return [*_server(target), *_missing(target, needed)]


def _missing(target: Target, privileges: Iterable[Privilege]) -> Iterator[Finding]:
    for one in privileges:
        if one.needed and not one.held:
            yield denied(f"the role {target.role} lacks {one.name}, which {one.purpose}", one.grant)


def known_privileges(target: Target) -> Iterator[Privilege]:
    """What the role may and may not, and what for."""
    role, schema = pg_name(target.role), pg_name(target.schema)
    yield _create(target, target.ledger is None or not target.schema_exists)
    if target.schema_exists:
        yield Privilege(
            f"USAGE, CREATE on {target.schema}", target.may_create_in_schema,
            "makes tables, types, functions and views", "no run",
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};", needed=True,
        )  # fmt: skip
    if target.ledger is not None:
        yield from _of_ledger(target)
    if target.tablespace:
        yield Privilege(
            f"CREATE on {target.tablespace}", False, "is the default tablespace of what is made", "no run",
            f"GRANT CREATE ON TABLESPACE {pg_name(target.tablespace)} TO {role};", needed=True,
        )  # fmt: skip
    for kind in target.stripped:
        yield Privilege(
            f"ALL on its own new {kind.lower()}", False, "default privileges take from it", "no run",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT ALL ON {kind} TO {role};", needed=True,
        )  # fmt: skip
    yield Privilege(
        "TEMPORARY on the database", target.may_make_temporary,
        "tries translated expressions, and rolls them back",
        "translations are only tried in the run itself", temporary_grant(target),
    )  # fmt: skip


def _create(target: Target, needed: bool) -> Privilege:
    return Privilege(
        "CREATE on the database", target.may_create_schemas,
        f"makes the schema {LEDGER}, the target schema, and extensions that a map asks for",
        "both schemas must be there, and so must the extensions",
        f"GRANT CREATE ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};", needed,
    )  # fmt: skip


def _of_ledger(target: Target) -> Iterator[Privilege]:
    """On a ledger that another role may have made."""
    role, schema, ledger = pg_name(target.role), pg_name(LEDGER), target.ledger
    assert ledger is not None
    yield Privilege(
        f"USAGE, CREATE on {LEDGER}", ledger.usable, "keeps the ledger of runs", "no run",
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};", needed=True,
    )  # fmt: skip
    if ledger.outdated:
        owners = (f"ALTER TABLE {pg_name(LEDGER, name)} OWNER TO {role};" for name in ledger.foreign)
        yield Privilege(
            "ownership of the ledger's tables", False, "brings them to what this converge needs", "no run",
            "\n".join(owners), needed=True,
        )  # fmt: skip
    else:
        yield Privilege(
            f"SELECT, INSERT, UPDATE, DELETE on {', '.join(ledger.closed) or 'its tables'}",
            not ledger.closed, "writes the ledger", "no run",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role};",
            needed=True,
        )  # fmt: skip


def temporary_grant(target: Target) -> str:
    """The GRANT that lets the role try translations in tables of its own session."""
    return f"GRANT TEMPORARY ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};"


def require_owned(target: Target, own: Container[str]) -> None:
    """Raises BlockedError when an earlier run's tables and views, named in `own`, are another role's."""
    foreign = dict.fromkeys((kind, name) for kind, name, table in target.not_owned if table in own)
    if foreign:
        role = pg_name(target.role)
        raise BlockedError(
            f"the role {target.role} does not own {counted(len(foreign), 'object')} in the target, and can "
            "neither change nor drop them",
            code=Code.T015,
            details=[f"{kind.lower()} {name}" for kind, name in foreign][:_SHOWN],
            hint="\n".join(f"ALTER {kind} {name} OWNER TO {role};" for kind, name in foreign),
        )


def require_readable(connection: psycopg.Connection[Any], target: Target, tables: Sequence[str]) -> None:
    """Raises BlockedError when the role may not read all of these tables."""
    found = rows(connection, "unreadable", schema=target.schema, tables=list(tables))
    if not found:
        return
    role, schema = pg_name(target.role), pg_name(target.schema)
    unreadable = [name for (name,) in found]
    places = ", ".join(pg_name(target.schema, name) for name in unreadable)
    raise BlockedError(
        f"the role {target.role} may not read {len(unreadable)} of {counted(len(tables), 'table')}",
        code=Code.T004,
        details=unreadable[:_SHOWN],
        hint=f"GRANT USAGE ON SCHEMA {schema} TO {role};\nGRANT SELECT ON {places} TO {role};\n"
        # The next values of their columns are compared, too.
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role};",
    )


def _server(target: Target) -> Iterator[Finding]:
    database = pg_name(target.database)
    if target.standby:
        message = "the server is a standby and only reads"
        yield Finding(Code.T014, "block", "target", message, "--target names the primary server")
    if target.encoding != "UTF8":
        message = f"the target database is encoded in {target.encoding}, which cannot hold all text"
        hint = f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8';"
        yield Finding(Code.T008, "block", "target", message, hint)


def denied(message: str, hint: str) -> Finding:
    """A privilege that the role lacks; the hint is the statement that gives it."""
    return Finding(Code.T004, "block", "target", message, hint)


def raise_locks(wanted: int, connections: int) -> str:
    """The statement that makes room for so many locks."""
    per_transaction = -(-wanted // connections)
    return f"ALTER SYSTEM SET max_locks_per_transaction = {per_transaction}; -- and restart the server"


def require_locks(connection: psycopg.Connection[Any], schema: str, tables: Sequence[str]) -> None:
    """Raises BlockedError when these tables cannot be emptied in one transaction."""
    ((needed, connections),) = rows(connection, "locks", schema=schema, tables=list(tables))
    if needed > (room := lock_room(connection)):
        raise BlockedError(
            f"--truncate empties {counted(len(tables), 'table')} in one transaction, which takes "
            f"{needed:,} locks of tables and indexes; the server has room for {room:,}",
            code=Code.T042,
            hint=raise_locks(needed, connections),
        )
