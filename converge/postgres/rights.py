"""What the target's role, database and server lack for a run, each with the statement that gives it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from converge.errors import BlockedError
from converge.model.plan import Finding
from converge.model.quote import pg_name
from converge.postgres.target import LEDGER, Target

_SHOWN = 20


def lacking(target: Target) -> list[Finding]:
    """All that stops a run, at once; every hint is for the database's owner or a superuser to run."""
    return [*_server(target), *_rights(target)]


def temporary_grant(target: Target) -> str:
    """The GRANT that lets the role try translations in tables of its own session."""
    return f"GRANT TEMPORARY ON DATABASE {pg_name(target.database)} TO {pg_name(target.role)};"


def require_owned(target: Target, tables: Iterable[str]) -> None:
    """Raises BlockedError when tables of an earlier run belong to a role that ours is no member of."""
    foreign = [table for table in tables if table in target.not_owned]
    if foreign:
        role = pg_name(target.role)
        owners = (f"ALTER TABLE {pg_name(target.schema, name)} OWNER TO {role};" for name in foreign)
        raise BlockedError(
            f"{len(foreign)} tables in the target belong to another role than {target.role}",
            code="T015",
            details=foreign[:_SHOWN],
            hint="\n".join(owners),
        )


def _server(target: Target) -> Iterator[Finding]:
    database = pg_name(target.database)
    if target.standby:
        message = "the server is a standby and only reads"
        yield Finding("T014", "block", "target", message, "--target names the primary server")
    if target.encoding != "UTF8":
        message = f"the target database is encoded in {target.encoding}, which cannot hold all text"
        hint = f"CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8';"
        yield Finding("T008", "block", "target", message, hint)


def _rights(target: Target) -> Iterator[Finding]:
    role, schema = pg_name(target.role), pg_name(target.schema)
    missing = [
        *([LEDGER] if target.ledger is None else []),
        *([target.schema] if not target.schema_exists else []),
    ]
    if missing and not target.may_create_schemas:
        yield _denied(
            f"the role {target.role} may not create schemas in {target.database}, and "
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not there yet",
            f"GRANT CREATE ON DATABASE {pg_name(target.database)} TO {role};",
        )
    if target.schema_exists and not target.may_create_in_schema:
        yield _denied(
            f"the role {target.role} may not create in the schema {target.schema}",
            f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};",
        )
    if target.ledger is not None:
        yield from _ledger(target)
    if target.tablespace:
        yield _denied(
            f"default_tablespace is {target.tablespace}, where the role {target.role} may not create",
            f"GRANT CREATE ON TABLESPACE {pg_name(target.tablespace)} TO {role};",
        )
    for kind in target.stripped:
        yield _denied(
            f"default privileges take rights from the role {target.role} on its own new {kind.lower()}",
            f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT ALL ON {kind} TO {role};",
        )


def _ledger(target: Target) -> Iterator[Finding]:
    """Rights on a ledger that another role has made."""
    role, ledger = pg_name(target.role), target.ledger
    assert ledger is not None
    if not ledger.usable:
        yield _denied(
            f"the schema {LEDGER} is another role's, and the role {target.role} may not create in it",
            f"GRANT USAGE, CREATE ON SCHEMA {pg_name(LEDGER)} TO {role};",
        )
    if ledger.outdated:
        owners = (f"ALTER TABLE {pg_name(LEDGER, name)} OWNER TO {role};" for name in ledger.foreign)
        yield _denied(
            f"the ledger is older than this converge, and belongs to another role than {target.role}",
            "\n".join(owners),
        )
    elif ledger.closed:
        yield _denied(
            f"the role {target.role} may not write all tables of the ledger: {', '.join(ledger.closed)}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {pg_name(LEDGER)} TO {role};",
        )


def _denied(message: str, hint: str) -> Finding:
    return Finding("T004", "block", "target", message, hint)
