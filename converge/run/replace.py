"""The rows of a table that differ are replaced: these keys, by the source's rows of one snapshot.

`choose` has said which rows of the target go and which of the source come. `replace_rows` carries it out, in
one transaction, or writes it as a script. A row that is no longer what was compared ends it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.quote import pg_name, pg_text
from converge.model.work import RepairTable, RepairTask
from converge.mysql.rows import READ_BYTES
from converge.postgres.connect import PRINTING
from converge.postgres.copy import copy_statement, write
from converge.postgres.errors import explain, is_of_value
from converge.postgres.saved import kept_table
from converge.run.choose import MOVED, digests_of
from converge.run.relation import of_table

_TRIES = 5
"""Of a transaction that meets a deadlock with others."""
_OLD, _NEW = "pg_temp.converge_old", "pg_temp.converge_new"
_KEYS = "pg_temp.converge_keys"
_MAKE_KEYS = (
    f"DROP TABLE IF EXISTS {_KEYS}; "
    f'CREATE TEMPORARY TABLE {_KEYS} (i text COLLATE "C", here int, place tid, version xid) ON COMMIT DROP'
)
# A column may be called as a variable is, such as FOUND.
_DELETE = """
#variable_conflict use_column
DECLARE
    gone bigint;
BEGIN
    DELETE FROM {name} AS own USING {keys} AS k
     WHERE own.ctid = k.place AND own.xmin = k.version
       AND (SELECT {digest} FROM (SELECT own.*) AS row) = k.i;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone <> {gone} THEN
        RAISE serialization_failure USING MESSAGE = {message};
    END IF;
END
"""
OnSql = Callable[[bytes], object]
"""Gets pieces of a script."""


class _Target:
    """Carries the statements out."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def do(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def copy(self, statement: str, blocks: Iterable[bytes]) -> None:
        write(self._connection, statement, blocks)


class _Script:
    """Writes them for psql."""

    def __init__(self, tell: OnSql) -> None:
        self._tell = tell
        tell(b"-- The source's rows for the target, in one transaction. For psql.\n\\set ON_ERROR_STOP on\n")
        self.do("BEGIN")
        for name, setting in PRINTING.items():
            self.do(f"SET LOCAL {name} = {pg_text(setting)}")
        # Else it tells for each table that its keys are not there yet.
        self.do("SET LOCAL client_min_messages = warning")

    def do(self, statement: str) -> None:
        self._tell(f"{statement.strip()};\n".encode())

    def copy(self, statement: str, blocks: Iterable[bytes]) -> None:
        self.do(statement)
        for block in blocks:
            self._tell(block)
        self._tell(b"\\.\n")


def replace_rows(target: psycopg.Connection[Any], task: RepairTask, tell: OnSql) -> None:
    """All tables of the task in one transaction, or as a script.

    A deadlock with others is tried again. Raises BlockedError where the target refuses.
    """
    with _refused(target, task):
        for _ in range(_TRIES - 1):
            with suppress(psycopg.errors.DeadlockDetected):
                return _transaction(target, task, tell)
            time.sleep(1)
        return _transaction(target, task, tell)


def _transaction(target: psycopg.Connection[Any], task: RepairTask, tell: OnSql) -> None:
    to = _Script(tell) if task.as_script else _Target(target)
    with target.transaction():
        for statement in task.before:
            to.do(statement)
        for one in task.tables:
            _Rows(task.schema, one, to).replace()
        for statement in task.after:
            to.do(statement)
        if task.as_script:
            to.do("COMMIT")


_WAYS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (
        psycopg.errors.UniqueViolation,
        "--delete-extra TABLE, where a row of the target alone is in the way",
    ),
    (psycopg.errors.ForeignKeyViolation, "remove what refers to rows that the source no longer has"),
    (psycopg.errors.NotNullViolation, "give the target's own column a default"),
    (psycopg.IntegrityError, "change what the constraint asks, or the row in the source"),
)


@contextmanager
def _refused(target: psycopg.Connection[Any], task: RepairTask) -> Iterator[None]:
    """What the target's constraints, or others' locks, refuse is explained."""
    try:
        yield
    except psycopg.IntegrityError as error:
        way = next(way for kind, way in _WAYS if isinstance(error, kind))
        raise BlockedError(
            f"{error.diag.table_name}: {error.diag.message_primary}; nothing has been changed",
            code=Code.V123,
            details=[detail] if (detail := error.diag.message_detail) else (),
            hint=f"{way}; or --exclude TABLE leaves a table out",
        ) from error
    except psycopg.errors.RaiseException as error:
        names = target.execute(
            "SELECT quote_ident(evtname) FROM pg_event_trigger WHERE evtenabled <> 'D' ORDER BY 1"
        )
        off = [f"ALTER EVENT TRIGGER {name} DISABLE;" for (name,) in names]
        raise BlockedError(
            f"code of the target refuses: {error.diag.message_primary}; nothing has been changed",
            code=Code.V123,
            details=[context] if (context := error.diag.context) else (),
            hint="\n".join(off) or "--exclude TABLE leaves a table out",
        ) from error
    except psycopg.errors.SerializationFailure as error:
        raise BlockedError(
            f"{error.diag.message_primary}; nothing has been changed", code=Code.V123, hint=MOVED
        ) from error
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        tables = [pg_name(task.schema, one.plan.target) for one in task.tables]
        holding = target.execute(
            "SELECT DISTINCT format('session %%s of %%s, %%s: %%s', pid, usename, state, left(query, 100)) "
            "FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted AND pid <> pg_backend_pid() "
            "AND relation = ANY (%s::regclass[])",
            (tables,),
        )
        raise BlockedError(
            "others hold locks on the tables; nothing has been changed",
            code=Code.V123,
            details=[words for (words,) in holding],
            hint="run it again when these transactions have ended",
        ) from error
    except psycopg.Error as error:
        if not is_of_value(error):
            raise
        refused = explain(error)
        again = "converge migrate --recreate, which chooses the types by all rows again (not in load mode)"
        refused.hint = f"{refused.hint}; or {again}"
        raise refused from error


class _Rows:
    """The rows of one table that differ."""

    def __init__(self, schema: str, table: RepairTable, to: _Target | _Script) -> None:
        self._to, self._schema = to, schema
        self._one, self._table = table, table.plan
        self._name = pg_name(schema, self._table.target)
        self._copy = copy_statement(schema, self._table)
        self._columns = ",".join(pg_name(column.target) for column in self._table.copied)
        self._relation = of_table(schema, self._table)
        self._there = digests_of(schema, self._table)[1]

    def replace(self) -> None:
        """Deletes the target's rows that differ, and copies the source's."""
        self._to.do(_MAKE_KEYS)
        self._to.copy(f"COPY {_KEYS} FROM STDIN", _blocks([self._one.keys]))
        self._to.do(f"ANALYZE {_KEYS}")
        if self._one.own:
            self._keep_own()
        if self._table.rows == "merge":
            self._let_go()
        if self._one.gone:
            message = f"{self._table.source}: rows have been written, or moved, in the target meanwhile"
            delete = _DELETE.format(
                name=self._name, keys=_KEYS, digest=self._there, gone=self._one.gone, message=pg_text(message)
            )
            self._to.do(f"DO {pg_text(delete)}")
        if self._one.rows:
            self._insert(_blocks(self._one.rows))
        self._to.do(f"DROP TABLE {_KEYS}" + (f", {_OLD}, {_NEW}" if self._one.own else ""))

    def _let_go(self) -> None:
        """Rows that a merge has kept go where the source has their key now."""
        kept = kept_table(self._schema, self._table.target)
        names = ",".join(f"{pg_name(column.target)}::text" for column in self._table.keys)
        come = f"({self._there} IN (SELECT i FROM {_KEYS} WHERE here > 0))"
        mine = f"WITH own AS (DELETE FROM {kept} WHERE {come} RETURNING {names})"
        self._to.do(f"{mine} DELETE FROM {self._name} WHERE {come} AND ({names}) IN (SELECT * FROM own)")

    def _keep_own(self) -> None:
        """The values of columns that only the target has, and a place for the source's rows."""
        own, columns = ",".join(self._one.own), self._columns
        # One of each key, where the target has lost its own.
        kept = (
            f'SELECT DISTINCT ON (1) {self._there} AS "converge.key",{own} FROM {self._relation.target} '
            f"WHERE ctid IN (SELECT place FROM {_KEYS})"
        )
        self._to.do(f"CREATE TEMPORARY TABLE {_OLD} ON COMMIT DROP AS {kept}")
        new = f"SELECT {columns} FROM {self._name} LIMIT 0"
        self._to.do(f"CREATE TEMPORARY TABLE {_NEW} ON COMMIT DROP AS {new}")

    def _insert(self, blocks: Iterable[bytes]) -> None:
        if not self._one.own:
            self._to.copy(self._copy, blocks)
            return
        self._to.copy(f"COPY {_NEW} ({self._columns}) FROM STDIN", blocks)
        new = f'(SELECT *,{self._there} AS "converge.key" FROM {_NEW}) AS n'
        insert = f"INSERT INTO {self._name} ({{}}) OVERRIDING SYSTEM VALUE SELECT {{}} FROM {new}"
        both = ",".join([self._columns, *self._one.own])
        self._to.do(f'{insert.format(both, both)} JOIN {_OLD} AS o USING ("converge.key")')
        new_keys = f'NOT EXISTS (SELECT FROM {_OLD} AS o WHERE o."converge.key"=n."converge.key")'
        self._to.do(f"{insert.format(self._columns, self._columns)} WHERE {new_keys}")


def _blocks(files: Iterable[str]) -> Iterator[bytes]:
    for name in files:
        with Path(name).open("rb") as file:
            while block := file.read(READ_BYTES):
                yield block
