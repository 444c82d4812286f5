"""The rows of a table that differ are replaced: these keys, by the source's rows of one snapshot.

`choose` says which rows of the target go and which of the source come, `fetch` reads these under the
snapshot that was compared, and `replace_rows` carries it out, in one transaction, or writes it as a script.
A row of the target is known by ctid, xmin and its digest: a row that others have written since is another
one, and so is one that VACUUM FULL or CLUSTER has moved there, which keep the xmin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.plan import TablePlan
from converge.model.quote import pg_name, pg_text
from converge.model.words import said
from converge.model.work import Differing, Fetched, FetchTask, FindTask, Repaired, RepairTable, RepairTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import READ_BYTES, marked, select_text, stream
from converge.postgres.connect import PRINTING
from converge.postgres.copy import copy_statement, encode, write
from converge.postgres.digest import number as as_number
from converge.postgres.digest import row_digest, rows_of
from converge.postgres.errors import explain, is_of_value
from converge.postgres.saved import kept_table
from converge.run.relation import identities_at_once, identity_digests, of_table, row_digests

_AT_ONCE = 100_000
"""Rows that the source is asked for at once, about 4 MB of SQL; each query reads the whole range."""
_PLACES = 10_000
"""Keys whose rows the target is asked for at once."""
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
_MOVED_HINT = "run it again while nobody writes to the target"

OnSql = Callable[[bytes], object]
"""Gets pieces of a script."""


def choose(target: psycopg.Connection[Any], task: FindTask, differing: Iterator[Differing]) -> Repaired:
    """Writes the task's file of keys; lets rows stay that others have written.

    They stay where the target has more of them than the source, and where the task says so also where
    the source has others of the same key. Raises BlockedError where rows are no longer what was compared.
    """
    table, keyed, ours = task.table, bool(task.table.keys), {*task.writers}
    done = {one.name: 0 for one in fields(Repaired) if one.name != "table"}
    moved = 0
    with Path(task.file).open("w", encoding="ascii") as file:
        while batch := list(islice(differing, _PLACES)):
            versions = _versions(target, task, [place for one in batch for place in one.places])
            for one in batch:
                here, there = one.rows, len(one.places)
                found = [versions.get((place, one.digest), ("", 0)) for place in one.places]
                written = [xid for xid, _ in found]
                moved += not all(written)
                others = not ours.issuperset(written)
                changed = task.keeps_changed and keyed and here and there
                if others and (changed or (there > here and not task.any_writer)):
                    done["kept"] += there - here if there > here else there
                    continue
                done["inserted"] += max(here - there, 0)
                done["deleted"] += max(there - here, 0)
                # Without a key the rows that are replaced are equal to those that come.
                done["replaced"] += min(here, there) if keyed else 0
                done["overwritten"] += bool(others and here and keyed)
                done["gone"] += there
                done["gone_sum"] += sum(number for _, number in found)
                done["come"] += here
                rows = zip(one.places, written, strict=True) if there else [("\\N", "\\N")]
                file.writelines(f"{one.digest}\t{here}\t{place}\t{xid}\n" for place, xid in rows)
    if moved:
        raise BlockedError(
            f"{table.source}: {said(moved, 'have been written in the target meanwhile', 'key')}; "
            "nothing has been changed",
            code=Code.V123,
            hint=_MOVED_HINT,
        )
    return Repaired(table.source, **done)


def _versions(
    target: psycopg.Connection[Any], task: FindTask, places: Sequence[str]
) -> dict[tuple[str, str], tuple[str, int]]:
    """By place and digest of these rows, the transactions that have written them, and the numbers that they
    add to the table's sum."""
    digest, number = _digests(task.schema, task.table)[1], as_number(row_digest(task.table))
    query = f"SELECT ctid::text,{digest},xmin::text,{number} FROM {rows_of(task.schema, task.table)}"
    # A query with parameters reads % as their beginning.
    query = query.replace("%", "%%") + " WHERE ctid = ANY (%s::tid[])"
    rows = target.execute(query.encode(), (list(places),))
    return {(place, digest): (xid, number) for place, digest, xid, number in rows}


def _digests(schema: str, table: TablePlan) -> tuple[str, str]:
    """What tells which rows differ, on both servers."""
    relation = of_table(schema, table)
    return identity_digests(relation) if relation.key else row_digests(relation.fields)


def fetch(source: WatchedConnection, task: FetchTask) -> Fetched:
    """Writes the COPY text of the source's rows of these keys and this range, under the worker's snapshot."""
    query = f"{select_text(task.table)}{task.part} AND {_digests(task.schema, task.table)[0]} IN"
    encoded = encode if marked(task.table) else b"".join
    at_once = identities_at_once(source, _AT_ONCE)
    read = 0
    with Path(task.keys).open(encoding="ascii") as lines, Path(task.file).open("wb") as file:
        wanted = (digest for (digest, here), _ in groupby(line.split()[:2] for line in lines) if here != "0")
        while chosen := ",".join(f"'{digest}'" for digest in islice(wanted, at_once)):
            for rows, parts in stream(source, f"{query} ({chosen})"):
                read += rows
                file.write(encoded(parts))
    return Fetched(task.table.source, read)


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
            f"{error.diag.message_primary}; nothing has been changed", code=Code.V123, hint=_MOVED_HINT
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
        again = "converge migrate --recreate, which chooses the types by all rows again"
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
        self._there = _digests(schema, self._table)[1]

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
