"""What the target's role, database and server lack for a run, each with the statement that gives it."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.facts import Right
from converge.model.plan import Finding
from converge.model.quote import pg_name
from converge.postgres.target import Target
from converge.resources import sql

LEDGER = "converge"
_SHOWN = 20


def lacking(target: Target) -> list[Finding]:
    """All that stops a run, at once; every hint is for the database's owner or a superuser to run."""
    return [*_server(target), *_rights(target)]


def lacking_ledger(target: Target) -> Iterator[Finding]:
    """What stops a command that writes the ledger and makes nothing in the target's schema."""
    yield from _server(target)
    if target.ledger is not None:
        yield from _ledger(target)
    elif not target.may_create_schemas:
        yield _no_schemas(target, [LEDGER])


def known_rights(target: Target) -> Iterator[Right]:
    """What the role may and may not, and what for."""
    role, database = pg_name(target.role), pg_name(target.database)
    schemas = target.ledger is None or not target.schema_exists
    yield Right(
        "CREATE on the database",
        target.may_create_schemas,
        f"makes the schema {LEDGER}, the target schema, and extensions that a map asks for",
        "both schemas must be there, and so must the extensions",
        f"GRANT CREATE ON DATABASE {database} TO {role};",
        needed=schemas,
    )
    if target.schema_exists:
        yield Right(
            f"USAGE, CREATE on {target.schema}",
            target.may_create_in_schema,
            "makes tables, types, functions and views",
            "no run",
            f"GRANT USAGE, CREATE ON SCHEMA {pg_name(target.schema)} TO {role};",
            needed=True,
        )
    if target.ledger is not None:
        yield Right(
            f"USAGE, CREATE on {LEDGER}",
            target.ledger.usable,
            "keeps the ledger of runs",
            "no run",
            f"GRANT USAGE, CREATE ON SCHEMA {pg_name(LEDGER)} TO {role};",
            needed=True,
        )
    yield Right(
        "TEMPORARY on the database",
        target.may_make_temporary,
        "tries translated expressions, and rolls them back",
        "translations are only tried in the run itself",
        temporary_grant(target),
    )


def temporary_grant(target: Target) -> str:
    """The GRANT that lets the role try translations in tables of its own session."""
    return f"GRANT TEMPORARY ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};"


def require_owned(target: Target, own: Container[str]) -> None:
    """Raises BlockedError when an earlier run's tables and views, named in `own`, are another role's."""
    foreign = dict.fromkeys((kind, name) for kind, name, table in target.not_owned if table in own)
    if foreign:
        role = pg_name(target.role)
        raise BlockedError(
            f"{len(foreign)} objects in the target belong to another role than {target.role}, which can "
            "neither change nor drop them",
            code=Code.T015,
            details=[f"{kind.lower()} {name}" for kind, name in foreign][:_SHOWN],
            hint="\n".join(f"ALTER {kind} {name} OWNER TO {role};" for kind, name in foreign),
        )


def require_readable(connection: psycopg.Connection[Any], target: Target, tables: Sequence[str]) -> None:
    """Raises BlockedError when the role may not read all of these tables."""
    names = {"schema": target.schema, "tables": list(tables)}
    rows = connection.execute(sql("converge.postgres", "unreadable").encode(), names).fetchall()
    if not rows:
        return
    role, schema = pg_name(target.role), pg_name(target.schema)
    unreadable = [name for (name,) in rows]
    places = ", ".join(pg_name(target.schema, name) for name in unreadable)
    raise BlockedError(
        f"the role {target.role} may not read {len(unreadable)} of {len(tables)} tables",
        code=Code.T004,
        details=unreadable[:_SHOWN],
        hint=f"GRANT USAGE ON SCHEMA {schema} TO {role};\nGRANT SELECT ON {places} TO {role};",
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


def _rights(target: Target) -> Iterator[Finding]:
    role, schema = pg_name(target.role), pg_name(target.schema)
    missing = [
        *([LEDGER] if target.ledger is None else []),
        *([target.schema] if not target.schema_exists else []),
    ]
    if missing and not target.may_create_schemas:
        yield _no_schemas(target, missing)
    if target.schema_exists and not target.may_create_in_schema:
        yield denied(
            f"the role {target.role} may not create in the schema {target.schema}",
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};",
        )
    if target.ledger is not None:
        yield from _ledger(target)
    if target.tablespace:
        yield denied(
            f"default_tablespace is {target.tablespace}, where the role {target.role} may not create",
            f"GRANT CREATE ON TABLESPACE {pg_name(target.tablespace)} TO {role};",
        )
    for kind in target.stripped:
        yield denied(
            f"default privileges take privileges from the role {target.role} on its own new {kind.lower()}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT ALL ON {kind} TO {role};",
        )


def _ledger(target: Target) -> Iterator[Finding]:
    """Rights on a ledger that another role has made."""
    role, ledger = pg_name(target.role), target.ledger
    assert ledger is not None
    if not ledger.usable:
        yield denied(
            f"the schema {LEDGER} is another role's, and the role {target.role} may not create in it",
            f"GRANT USAGE, CREATE ON SCHEMA {pg_name(LEDGER)} TO {role};",
        )
    if ledger.outdated:
        owners = (f"ALTER TABLE {pg_name(LEDGER, name)} OWNER TO {role};" for name in ledger.foreign)
        yield denied(
            f"the ledger is older than this converge, and belongs to another role than {target.role}",
            "\n".join(owners),
        )
    elif ledger.closed:
        yield denied(
            f"the role {target.role} may not write all tables of the ledger: {', '.join(ledger.closed)}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {pg_name(LEDGER)} TO {role};",
        )


def _no_schemas(target: Target, missing: Sequence[str]) -> Finding:
    return denied(
        f"the role {target.role} may not create schemas in {target.database}, and "
        f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not there yet",
        f"GRANT CREATE ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};",
    )


def denied(message: str, hint: str) -> Finding:
    """A right that the role lacks; the hint is the statement that gives it."""
    return Finding(Code.T004, "block", "target", message, hint)


def raise_locks(wanted: int, connections: int) -> str:
    """The statement that makes room for so many locks."""
    per_transaction = -(-wanted // connections)
    return f"ALTER SYSTEM SET max_locks_per_transaction = {per_transaction}; -- and restart the server"


def require_locks(connection: psycopg.Connection[Any], schema: str, tables: Sequence[str]) -> None:
    """Raises BlockedError when these tables cannot be emptied in one transaction."""
    row = connection.execute(
        sql("converge.postgres", "locks").encode(), {"schema": schema, "tables": list(tables)}
    ).fetchone()
    assert row is not None
    needed, room, connections = row
    if needed > room:
        raise BlockedError(
            f"--truncate empties {len(tables)} tables in one transaction, which locks {needed:,} tables and "
            f"indexes; the server has room for {room:,}",
            code=Code.T042,
            hint=raise_locks(needed, connections),
        )
