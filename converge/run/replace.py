"""The rows of a table that differ are replaced, by statements that are carried out or written as a script.

In a worker, whose connection to the source has the snapshot that was compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, TargetError
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted, said
from converge.model.work import Repaired, RepairTable, RepairTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import marked, select_text, stream
from converge.postgres.connect import PRINTING
from converge.postgres.copy import copy_statement, encode, write
from converge.postgres.saved import kept_table
from converge.run.relation import identities_at_once, identity_digests, of_table, row_digests

_AT_ONCE = 100_000
"""Rows that the source is asked for at once, about 4 MB of SQL; each query reads the whole table."""
_TRIES = 5
"""Of a transaction that meets a deadlock with others."""
_OLD, _NEW = "pg_temp.converge_old", "pg_temp.converge_new"
_KEYS = "pg_temp.converge_keys"
"""Digests of the keys that differ, with the numbers of their rows in the source and in the target."""
_MAKE_KEYS = (
    f"DROP TABLE IF EXISTS {_KEYS}; "
    f'CREATE TEMPORARY TABLE {_KEYS} (i text COLLATE "C", here int, there int) ON COMMIT DROP'
)
_COPY_KEYS = f"COPY {_KEYS} FROM STDIN"
_COUNTS = (
    "SELECT coalesce(sum(greatest(here - there, 0)), 0), coalesce(sum(least(here, there)), 0), "
    f"coalesce(sum(greatest(there - here, 0)), 0), coalesce(sum(here), 0) FROM {_KEYS}"
)

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

    def know_keys(self) -> None:
        """The table of keys is this session's already."""


class _Script:
    """Writes them for psql."""

    def __init__(self, connection: psycopg.Connection[Any], tell: OnSql) -> None:
        self._connection, self._tell = connection, tell
        tell(b"-- The source's rows for the target, in one transaction. For psql.\n\\set ON_ERROR_STOP on\n")
        self.do("BEGIN")
        for name, setting in PRINTING.items():
            self.do(f"SET LOCAL {name} = {pg_text(setting)}")

    def do(self, statement: str) -> None:
        self._tell(f"{statement.strip()};\n".encode())

    def copy(self, statement: str, blocks: Iterable[bytes]) -> None:
        self.do(statement)
        for block in blocks:
            self._tell(block)
        self._tell(b"\\.\n")

    def know_keys(self) -> None:
        self.do(_MAKE_KEYS)
        keys = self._connection.cursor().stream(f"SELECT * FROM {_KEYS}".encode())
        self.copy(_COPY_KEYS, ("\t".join(map(str, row)).encode() + b"\n" for row in keys))


def replace_rows(
    source: WatchedConnection, target: psycopg.Connection[Any], task: RepairTask, tell: OnSql
) -> list[Repaired]:
    """All tables of the task in one transaction, or as a script.

    A deadlock with others is tried again. Raises BlockedError where the target refuses.
    """
    with _refused(target, task):
        for _ in range(_TRIES - 1):
            with suppress(psycopg.errors.DeadlockDetected):
                return _transaction(source, target, task, tell)
            time.sleep(1)
        return _transaction(source, target, task, tell)


def _transaction(
    source: WatchedConnection, target: psycopg.Connection[Any], task: RepairTask, tell: OnSql
) -> list[Repaired]:
    to = _Script(target, tell) if task.as_script else _Target(target)
    with target.transaction():
        for statement in task.before:
            to.do(statement)
        done = [_Rows(source, target, task.schema, one, to).replace() for one in task.tables]
        for statement in task.after:
            to.do(statement)
        if task.as_script:
            to.do("COMMIT")
    return done


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


class _Rows:
    """The rows of one table that differ."""

    def __init__(
        self,
        source: WatchedConnection,
        target: psycopg.Connection[Any],
        schema: str,
        table: RepairTable,
        to: _Target | _Script,
    ) -> None:
        self._source, self._target, self._to, self._schema = source, target, to, schema
        self._one, self._table = table, table.plan
        self._name = pg_name(schema, self._table.target)
        self._copy = copy_statement(schema, self._table)
        self._columns = ",".join(pg_name(column.target) for column in self._table.copied)
        self._relation = of_table(schema, self._table)
        relation = self._relation
        # As the drill-down tells what differs.
        self._here, self._there = identity_digests(relation) if relation.key else row_digests(relation.fields)

    def replace(self) -> Repaired:
        """Deletes the target's rows that differ, and copies the source's."""
        self._target.execute(_MAKE_KEYS.encode())
        with Path(self._one.file).open("rb") as lines:
            write(self._target, _COPY_KEYS, lines)
        self._target.execute(f"ANALYZE {_KEYS}".encode())
        kept, overwritten = self._keep_others()
        inserted, replaced, deleted, come = map(int, self._target.execute(_COUNTS.encode()).fetchall()[0])
        self._to.know_keys()
        if self._one.own:
            self._keep_own()
        if self._table.rows == "merge":
            self._let_go()
        if replaced or deleted:
            self._to.do(f"DELETE FROM {self._name} WHERE ctid IN (SELECT ctid {self._differing})")
        if come:
            with TemporaryFile() as spool:
                keys = self._target.cursor().stream(f"SELECT i FROM {_KEYS} WHERE here > 0".encode())
                spool.writelines(f"{key}\n".encode() for (key,) in keys)
                spool.seek(0)
                self._insert(self._blocks(spool, come))
        # Of a script it is the script's tables that go, and this session's end with the transaction.
        self._to.do(f"DROP TABLE {_KEYS}" + (f", {_OLD}, {_NEW}" if self._one.own else ""))
        # Without a key the rows that are replaced are equal to those that come.
        replaced = replaced if self._table.keys else 0
        return Repaired(self._table.source, inserted, replaced, deleted, kept, overwritten)

    @property
    def _differing(self) -> str:
        """FROM and WHERE of the target's rows that differ."""
        return f"FROM {self._relation.target} WHERE {self._there} IN (SELECT i FROM {_KEYS})"

    def _keep_others(self) -> tuple[int, int]:
        """Lets rows stay that others have written; how many, and how many others will be overwritten.

        They stay where the target has more of them than the source, and where the task says so also where
        the source has others of the same key. Raises BlockedError where rows are no longer what was compared.
        """
        # A query with parameters reads % as their beginning.
        there, differing = (text.replace("%", "%%") for text in (self._there, self._differing))
        keeps_changed = self._one.keeps_changed and bool(self._table.keys)
        stays = "there > here AND NOT %(any)s OR %(changed)s AND here > 0 AND there > 0"
        query = (
            "WITH now AS ("
            f"SELECT {there} AS i, count(*) rows, bool_or(NOT xmin = ANY (%(ours)s::xid[])) AS others "
            f"{differing} GROUP BY 1), "
            f"moved AS (SELECT FROM {_KEYS} LEFT JOIN now USING (i) WHERE there <> coalesce(rows, 0)), "
            f"kept AS (DELETE FROM {_KEYS} AS k USING now WHERE k.i = now.i AND others AND ({stays}) "
            "RETURNING CASE WHEN there > here THEN there - here ELSE there END AS rows) "
            "SELECT (SELECT count(*) FROM moved), (SELECT coalesce(sum(rows), 0) FROM kept), "
            f"(SELECT count(*) FROM {_KEYS} JOIN now USING (i) WHERE others AND here > 0 AND NOT ({stays}))"
        )
        ((moved, kept, overwritten),) = self._target.execute(
            query.encode(),
            {"ours": list(self._one.writers), "any": self._one.any_writer, "changed": keeps_changed},
        ).fetchall()
        if moved:
            raise BlockedError(
                f"{self._table.source}: {said(moved, 'have been written in the target meanwhile', 'key')}; "
                "nothing has been changed",
                code=Code.V123,
                hint="run it again while nobody writes to the target",
            )
        return int(kept), int(overwritten) if self._table.keys else 0

    def _let_go(self) -> None:
        """Rows that a merge has kept go where the source has their key now."""
        kept = kept_table(self._schema, self._table.target)
        names = [pg_name(column.target) for column in self._table.keys]
        listed = ",".join(f"{name}::text" for name in names)
        come = f"{self._there} IN (SELECT i FROM {_KEYS} WHERE here > 0)"
        same = f"({listed}) IN (SELECT {listed} FROM {self._name} WHERE {come})"
        self._to.do(f"DELETE FROM {kept} WHERE {same}")
        self._to.do(f"DELETE FROM {self._name} WHERE {come}")

    def _keep_own(self) -> None:
        """The values of columns that only the target has, and a place for the source's rows."""
        own, columns = ",".join(self._one.own), self._columns
        # One of each key, where the target has lost its own.
        kept = f'SELECT DISTINCT ON (1) {self._there} AS "converge.key",{own} {self._differing}'
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

    def _blocks(self, keys: Iterable[bytes], expected: int) -> Iterator[bytes]:
        """COPY text of the source's rows with these digests of their keys, one in a line."""
        read, lines = 0, iter(keys)
        query = f"{select_text(self._table)} WHERE {self._here} IN"
        encoded = encode if marked(self._table) else b"".join
        at_once = identities_at_once(self._source, _AT_ONCE)
        while chosen := ",".join(f"'{line.decode().rstrip()}'" for line in islice(lines, at_once)):
            for rows, parts in stream(self._source, f"{query} ({chosen})"):
                read += rows
                yield encoded(parts)
        if read != expected:
            raise TargetError(
                f"{self._table.source}: {counted(expected, 'row')} compared, {read:,} read; "
                "nothing has been changed",
                code=Code.R002,
            )
