"""The triggers that note which rows of the target change: once a statement, and only the rows' keys.

They act for every role without a privilege of it: their functions run as the role that made them. A table
without a key, and one that was emptied by TRUNCATE, is noted as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg

from converge.model.quote import fit, pg_name, pg_text
from converge.model.table_plan import TablePlan
from converge.postgres.following import NOTING, not_noted, read_following
from converge.postgres.query import value
from converge.rollback.inverse import noted_by

CHANGED, PREPARED = "converge.changed", "converge.prepared"
_EVENTS = {
    "INSERT": "REFERENCING NEW TABLE AS converge_new",
    "UPDATE": "REFERENCING OLD TABLE AS converge_old NEW TABLE AS converge_new",
    "DELETE": "REFERENCING OLD TABLE AS converge_old",
    "TRUNCATE": "",
}
# By what DDL changes values without a trigger. VACUUM FULL writes another file, too, which costs only time.
_MARK = """
    WITH RECURSIVE own AS (
        SELECT attname, attnum, atttypid, attmissingval::text FROM pg_attribute
         WHERE attrelid = to_regclass(%(table)s) AND attname = ANY (%(columns)s)
    ), kind AS (
        SELECT atttypid AS type FROM own
         UNION SELECT typbasetype FROM kind JOIN pg_type ON oid = type
    ), label AS (
        SELECT oid, enumlabel FROM pg_enum WHERE enumtypid IN (SELECT type FROM kind)
    )
    SELECT concat_ws(' ', oid, pg_relation_filenode(oid), md5(concat(
               (SELECT string_agg(own::text, ' ' ORDER BY attnum) FROM own),
               (SELECT string_agg(label::text, ' ' ORDER BY oid) FROM label))))
      FROM CAST(to_regclass(%(table)s) AS oid) AS oid"""
# Keys are texts that must not depend on the application's session. A column may be called like a variable.
_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC'
SET intervalstyle = 'postgres' SET extra_float_digits = 1 SET bytea_output = 'hex' AS $converge$
#variable_conflict use_column
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


def note_changes(
    connection: psycopg.Connection[Any], schema: str, tables: Iterable[TablePlan], run: int | None
) -> list[str]:
    """From the transaction's commit on, changes of these tables are noted; what is noted already stays.

    Returns the source's names of those of which all rows are to be read, as changes can have gone unnoticed:
    since they were prepared, or where others of the run were, or its cutover was.
    """
    begun = _has_begun(connection, run)
    whole = []
    for table in tables:
        name, mark = pg_name(schema, table.target), mark_of(connection, schema, table)
        if begun and (not_noted(connection, [name]) or has_moved(connection, name, mark)):
            connection.execute(f"INSERT INTO {CHANGED} (target_table) VALUES (%s)".encode(), (name,))
            whole.append(table.source)
        for statement in _statements(schema, table):
            connection.execute(statement.encode())
        connection.execute(
            f"INSERT INTO {PREPARED} VALUES (%(name)s, %(run)s, %(mark)s) ON CONFLICT (target_table) "
            "DO UPDATE SET run_id = %(run)s, mark = %(mark)s".encode(),
            {"name": name, "run": run, "mark": mark},
        )
    return whole


def _has_begun(connection: psycopg.Connection[Any], run: int | None) -> bool:
    """Whether the application may have written to the run's tables already."""
    noted = f"SELECT EXISTS (SELECT FROM {PREPARED} WHERE run_id IS NOT DISTINCT FROM %s)"
    following = None if run is None else read_following(connection, run)
    return bool(value(connection, noted, (run,))) or (
        following is not None and following.certificate is not None
    )


def mark_of(connection: psycopg.Connection[Any], schema: str, table: TablePlan) -> str:
    """What the table is: its relation and file, and what its values depend on in the definitions."""
    columns = [column.target for column in table.columns]
    return str(value(connection, _MARK, {"table": pg_name(schema, table.target), "columns": columns}))


def note_mark(connection: psycopg.Connection[Any], name: str, mark: str) -> None:
    """Notes what a table is that is prepared already, once no change of it is left."""
    connection.execute(f"UPDATE {PREPARED} SET mark = %s WHERE target_table = %s".encode(), (mark, name))


def has_moved(connection: psycopg.Connection[Any], name: str, mark: str) -> bool:
    """Whether the table is not what was noted: DDL may have changed values of all rows."""
    noted = f"SELECT EXISTS (SELECT FROM {PREPARED} WHERE target_table = %s AND mark = %s)"
    return not value(connection, noted, (name, mark))


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
    for noted in (CHANGED, PREPARED):
        connection.execute(
            f"DELETE FROM {noted} WHERE starts_with(target_table, %s)".encode(), (pg_name(schema) + ".",)
        )
    return tables


def _statements(schema: str, table: TablePlan) -> Iterator[str]:
    name = pg_name(schema, table.target)
    function = pg_name("converge", fit(f"changed {schema}.{table.target}"))
    columns = ", ".join(f"{pg_name(column.target)}::text" for column in noted_by(table))
    # The target's own key may have NULLs, which find no row: the table is compared as a whole then.
    key = f"CASE num_nulls({columns}) WHEN 0 THEN ARRAY[{columns}] END" if columns else "NULL::text[]"
    yield _FUNCTION.format(function=function, changed=CHANGED, table=pg_text(name), key=key)
    yield f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"
    for event, rows in _EVENTS.items():
        yield (
            f"CREATE OR REPLACE TRIGGER {pg_name(NOTING[event])} AFTER {event} "
            f"ON {name} {rows} FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )
        # Also with session_replication_role = replica.
        yield f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {pg_name(NOTING[event])}"
