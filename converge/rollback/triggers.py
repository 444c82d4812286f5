"""The triggers that note which rows of the target change: once a statement, and only the rows' keys.

They act for every role without a privilege of it: their functions run as the role that made them. A table
without a key, and one that was emptied by TRUNCATE, is noted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg

from converge.model.plan import TablePlan
from converge.model.quote import fit, pg_name, pg_text
from converge.postgres.query import value
from converge.rollback.inverse import noted_by

CHANGED = "converge.changed"
_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS converge_new",
    "UPDATE": "REFERENCING OLD TABLE AS converge_old NEW TABLE AS converge_new",
    "DELETE": "REFERENCING OLD TABLE AS converge_old",
    "TRUNCATE": "",
}
_FILE = "converge_truncate"
"""The trigger whose comment has the table's file."""
# Keys are texts that must not depend on the application's session.
_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $converge$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO {changed} (target_table) VALUES ({table});
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO {changed} (target_table, key) SELECT DISTINCT {table}, {key} FROM converge_old;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO {changed} (target_table, key) SELECT DISTINCT {table}, {key} FROM converge_new;
    END IF;
    RETURN NULL;
END
$converge$
"""


def note_changes(connection: psycopg.Connection[Any], schema: str, tables: Iterable[TablePlan]) -> None:
    """From the transaction's commit on, changes of these tables are noted; what is noted already stays.

    Where changes can have gone unnoticed since an earlier time, all rows of the table are to be read.
    """
    for table in tables:
        name = pg_name(schema, table.target)
        if _is_noted(connection, name) and (not_noted(connection, [name]) or written_anew(connection, name)):
            connection.execute(f"INSERT INTO {CHANGED} (target_table) VALUES (%s)".encode(), (name,))
        for statement in _statements(schema, table):
            connection.execute(statement.encode())
        note_file(connection, name)


def _is_noted(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the table has, or had once, some of the triggers; so does one that was switched off."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid "
        "WHERE tgrelid = to_regclass(%s) AND pronamespace = to_regnamespace('converge'))"
    )
    return bool(value(connection, query, (name,)))


def not_noted(connection: psycopg.Connection[Any], names: Sequence[str]) -> list[str]:
    """Those of these tables, quoted, of which changes can have gone unnoticed.

    A table needs all of its triggers, always enabled; they do not fire for the rows of tables that inherit.
    """
    query = """
        SELECT name FROM unnest(%s::text[]) AS name
         WHERE (SELECT count(*) FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid
                 WHERE tgrelid = to_regclass(name) AND tgenabled = 'A' AND tgname = ANY (%s)
                   AND pronamespace = to_regnamespace('converge')) <> %s
            OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = to_regclass(name))"""
    triggers = [f"converge_{event.lower()}" for event in _EVENTS]
    return [name for (name,) in connection.execute(query, ([*names], triggers, len(triggers))).fetchall()]


def note_file(connection: psycopg.Connection[Any], name: str) -> None:
    """Notes in which file the table is: ALTER TABLE may write its rows anew, with other values."""
    file = value(connection, "SELECT pg_relation_filenode(%s)", (name,))
    connection.execute(f"COMMENT ON TRIGGER {_FILE} ON {name} IS '{file}'".encode())


def written_anew(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the table is in another file than it was; that VACUUM FULL moves it, too, only costs time."""
    return not value(
        connection,
        "SELECT obj_description(oid, 'pg_trigger') = pg_relation_filenode(tgrelid)::text FROM pg_trigger "
        "WHERE tgrelid = %s::regclass AND tgname = %s",
        (name, _FILE),
    )


def forget_changes(connection: psycopg.Connection[Any], schema: str) -> list[str]:
    """Removes the schema's triggers, their functions, and what they have noted; the tables, quoted."""
    found = connection.execute(
        "SELECT relname, tgname, proname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
        "JOIN pg_proc p ON p.oid = tgfoid WHERE pronamespace = to_regnamespace('converge') "
        "AND relnamespace = to_regnamespace(%s) ORDER BY 1, 2",
        (pg_name(schema),),
    ).fetchall()
    for table, trigger, _ in found:
        connection.execute(f"DROP TRIGGER {pg_name(trigger)} ON {pg_name(schema, table)}".encode())
    for function in dict.fromkeys(function for *_, function in found):
        connection.execute(f"DROP FUNCTION {pg_name('converge', function)}()".encode())
    tables = [*dict.fromkeys(pg_name(schema, table) for table, *_ in found)]
    connection.execute(f"DELETE FROM {CHANGED} WHERE target_table = ANY (%s)".encode(), (tables,))
    return tables


def _statements(schema: str, table: TablePlan) -> Iterator[str]:
    name = pg_name(schema, table.target)
    function = pg_name("converge", fit(f"changed {schema}.{table.target}"))
    columns = ", ".join(f"{pg_name(column.target)}::text" for column in noted_by(table))
    key = f"ARRAY[{columns}]" if columns else "NULL::text[]"
    yield _FUNCTION.format(function=function, changed=CHANGED, table=pg_text(name), key=key)
    yield f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"
    for event, rows in _EVENTS.items():
        yield (
            f"CREATE OR REPLACE TRIGGER {pg_name(f'converge_{event.lower()}')} AFTER {event} "
            f"ON {name} {rows} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
        # Also with session_replication_role = replica.
        yield f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {pg_name(f'converge_{event.lower()}')}"
