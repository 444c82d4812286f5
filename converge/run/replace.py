"""The rows of a table that differ are replaced, by statements that are carried out or written as a script.

In a worker, whose connection to the source has the snapshot that was compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, TargetError
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted
from converge.model.work import Repaired, RepairTable, RepairTask
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import marked, select_text, stream
from converge.postgres.connect import PRINTING
from converge.postgres.copy import copy_statement, encode, write
from converge.run.drill_down import Drill

_MOST_ROWS = 1_000_000
"""Rows of one table that are repaired at most: the digests of their keys are held in memory."""
_AT_ONCE = 20_000
"""Rows that the source is asked for at once; each query reads the whole table."""
_OLD, _NEW = "pg_temp.converge_old", "pg_temp.converge_new"

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

    def do(self, statement: str) -> None:
        self._tell(f"{statement.strip()};\n".encode())

    def copy(self, statement: str, blocks: Iterable[bytes]) -> None:
        self.do(statement)
        for block in blocks:
            self._tell(block)
        self._tell(b"\\.\n")


def replace_rows(
    source: WatchedConnection, target: psycopg.Connection[Any], task: RepairTask, tell: OnSql
) -> list[Repaired]:
    """All tables of the task in one transaction, or as a script."""
    to: _Target | _Script = _Script(tell) if task.as_script else _Target(target)
    with target.transaction(), _refused():
        if task.as_script:
            tell(b"-- The source's rows for the target, in one transaction. For psql.\n")
            tell(b"\\set ON_ERROR_STOP on\n")
            to.do("BEGIN")
            for name, value in PRINTING.items():
                to.do(f"SET LOCAL {name} = {pg_text(value)}")
        for statement in task.before:
            to.do(statement)
        done = [_Rows(source, target, task.schema, one, to).replace() for one in task.tables]
        for statement in task.after:
            to.do(statement)
        if task.as_script:
            to.do("COMMIT")
    return done


@contextmanager
def _refused() -> Iterator[None]:
    """A constraint of the target is explained with what may be in the way."""
    try:
        yield
    except psycopg.IntegrityError as error:
        table = error.diag.table_name
        raise BlockedError(
            f"{table}: {error.diag.message_primary}; nothing has been changed",
            code=Code.V123,
            details=[detail] if (detail := error.diag.message_detail) else (),
            hint="--delete-extra TABLE, where a row that only the target has is in the way; "
            "--exclude TABLE leaves a table out",
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
        self._source, self._target, self._to = source, target, to
        self._one, self._table = table, table.plan
        self._name = pg_name(schema, self._table.target)
        self._copy = copy_statement(schema, self._table)
        drill = Drill(source, target, schema, self._table)
        self._here, self._there = drill.sides
        self._found = {identity: (here, there) for identity, here, there in self._limited(drill)}

    def _limited(self, drill: Drill) -> Iterator[tuple[str, int, int]]:
        for number, one in enumerate(drill.differing()):
            if number >= _MOST_ROWS:
                raise BlockedError(
                    f"more than {_MOST_ROWS:,} rows of {self._table.source} differ; nothing has been changed",
                    code=Code.V123,
                    hint="converge sync, or converge migrate, which are made for many rows",
                )
            yield one

    def replace(self) -> Repaired:
        """Deletes the target's rows and copies the source's."""
        kept = self._of_others()
        found = {identity: rows for identity, rows in self._found.items() if identity not in kept}
        if found:
            self._delete(found)
            self._insert([identity for identity, (here, _) in found.items() if here])
        pairs = found.values()
        return Repaired(
            self._table.source,
            inserted=sum(max(0, here - there) for here, there in pairs),
            # Without a key these are equal to those that come.
            replaced=sum(min(pair) for pair in pairs) if self._table.keys else 0,
            deleted=sum(max(0, there - here) for here, there in pairs),
            kept=sum(there - here for here, there in map(self._found.__getitem__, kept)),
        )

    def _of_others(self) -> set[str]:
        """Identities of which the target has more rows than the source, and not all are the run's."""
        more = [identity for identity, (here, there) in self._found.items() if there > here]
        if not more or self._one.any_writer:
            return set()
        # A query with parameters reads % as their beginning.
        identity, place = (text.replace("%", "%%") for text in (self._there.identity, self._there.place))
        rows = self._target.execute(
            f"SELECT DISTINCT {identity} FROM {place} WHERE {identity} = ANY (%s) "
            "AND NOT xmin = ANY (%s::xid[])".encode(),
            (more, list(self._one.writers)),
        )
        return {identity for (identity,) in rows}

    def _delete(self, identities: Iterable[str]) -> None:
        there, own = self._there, self._one.own
        chosen = f"{there.identity} = ANY ('{{{','.join(identities)}}}'::text[])"
        if own:
            kept = f'SELECT {there.identity} AS "its key",{",".join(own)} FROM {there.place} WHERE {chosen}'
            self._to.do(f"CREATE TEMPORARY TABLE {_OLD} ON COMMIT DROP AS {kept}")
        self._to.do(f"DELETE FROM {self._name} WHERE ctid IN (SELECT ctid FROM {there.place} WHERE {chosen})")

    def _insert(self, identities: Sequence[str]) -> None:
        if not self._one.own:
            self._to.copy(self._copy, self._blocks(identities))
            return
        columns = ",".join(pg_name(column.target) for column in self._table.copied)
        self._to.do(
            f"CREATE TEMPORARY TABLE {_NEW} ON COMMIT DROP AS SELECT {columns} FROM {self._name} LIMIT 0"
        )
        self._to.copy(f"COPY {_NEW} ({columns}) FROM STDIN", self._blocks(identities))
        others = ",".join(self._one.own)
        new = f'(SELECT *,{self._there.identity} AS "its key" FROM {_NEW}) AS n'
        insert = f"INSERT INTO {self._name} ({{}}) OVERRIDING SYSTEM VALUE SELECT {{}} FROM {new}"
        both = f"{columns},{others}"
        self._to.do(f'{insert.format(both, both)} JOIN {_OLD} AS o USING ("its key")')
        new_keys = f'NOT EXISTS (SELECT FROM {_OLD} AS o WHERE o."its key"=n."its key")'
        self._to.do(f"{insert.format(columns, columns)} WHERE {new_keys}")
        self._to.do(f"DROP TABLE {_OLD}, {_NEW}")

    def _blocks(self, identities: Sequence[str]) -> Iterator[bytes]:
        """COPY text of the source's rows with these identities."""
        expected = sum(self._found[identity][0] for identity in identities)
        read = 0
        query = select_text(self._table)
        encoded = encode if marked(self._table) else b"".join
        for start in range(0, len(identities), _AT_ONCE):
            chosen = ",".join(f"'{identity}'" for identity in identities[start : start + _AT_ONCE])
            reading = stream(self._source, f"{query} WHERE {self._here.identity} IN ({chosen})")
            for rows, parts in reading:
                read += rows
                yield encoded(parts)
        if read != expected:
            raise TargetError(
                f"{self._table.source}: {counted(expected, 'row')} compared, {read:,} read; "
                "nothing has been changed",
                code=Code.R002,
            )
