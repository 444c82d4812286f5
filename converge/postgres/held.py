"""What a database holds, for those who want to know what a statement could lose. Reads only."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.model.revision import MOST
from converge.postgres.connect import connect
from converge.postgres.positions import read_positions
from converge.postgres.query import rows, value

_FIRST_OID_OF_USERS = 16384
"""FirstNormalObjectId: what initdb has made is below."""


@dataclass(frozen=True, slots=True)
class Relation:
    oid: int
    schema: str
    name: str
    kind: str
    """pg_class.relkind."""
    condition: str = ""
    """WHERE and what the rows have in common that it could lose; empty for all rows."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def counted(schema: str, name: str, condition: str) -> str:
    """The query for a table's rows, up to `MOST`."""
    return f"SELECT count(*) FROM (SELECT FROM {pg_name(schema, name)} {condition} LIMIT {MOST}) counted"


class Held:
    """Questions to one database, whose names are looked for in `path` as a revision's would be."""

    def __init__(self, connection: psycopg.Connection[Any], path: Sequence[str]) -> None:
        self._connection = connection
        self._path = path

    def relations(self, name: Sequence[str]) -> list[Relation]:
        """All tables, sequences and views that this name may mean: in its schema, or in any of the path."""
        schemas = list(name[:-1] or self._path)
        return [Relation(*row) for row in self._rows("held_named", name=name[-1], schemas=schemas)]

    def rows(self, relation: Relation) -> int:
        """How many rows the table has, counted up to `MOST`."""
        return int(value(self._connection, counted(relation.schema, relation.name, relation.condition)))

    def tables(self, without: tuple[str, str], *, ledger: bool, named: Collection[str]) -> list[Relation]:
        """All that could lose rows, but for this one; partitions are with their table. Of extensions those
        that these words name."""
        found = (Relation(*row) for row in self._rows("held_relations", ledger=ledger, named=[*named]))
        return [one for one in found if (one.schema, one.name) != without]

    def used_sequences(self) -> list[str]:
        """Names of sequences of no column that have given a number, or were set to another than the first."""
        positions = read_positions(self._connection)
        # What draws from them may be written anywhere, so a position is worth a row.
        return [f"the sequence {one.name}" for one in positions if one.used and one.column == (None, None)]

    def runs(self, relation: Relation, *, inserting: bool) -> bool:
        """Whether the server runs what users have written when a row of the relation is written.

        `inserting` adds what hangs on new rows to what a rewrite of the table runs.
        """
        ((found,),) = self._rows("held_runs", oid=relation.oid, inserting=inserting)
        return bool(found)

    def hangs(self, relation: Relation) -> bool:
        """Whether anything acts when rows of the relation are inserted, changed or deleted."""
        ((found,),) = self._rows("held_hangs", oid=relation.oid)
        return bool(found) or self.runs(relation, inserting=True)

    def functions(self) -> frozenset[str]:
        """The names of all functions that are known to change nothing."""
        return frozenset(name for (name,) in self._rows("held_functions"))

    def custom(self) -> tuple[str, ...]:
        """The kinds of objects here by which users' functions run without being named."""
        first = next((name for name in self._path if not name.startswith("pg_temp")), "")
        shadowed = () if first == "pg_catalog" else ("search path without pg_catalog in front",)
        return (*(kind for (kind,) in self._rows("held_custom")), *shadowed)

    def column_type(self, relation: Relation, column: str) -> str:
        """The column's type as the server writes it; empty when there is no such column."""
        query = (
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s AND attname = %s AND attnum > 0 AND NOT attisdropped"
        )
        return value(self._connection, query, (relation.oid, column)) or ""

    def type_name(self, written: str) -> str:
        """One of the server's own types as it writes it; empty when it has none of this name."""
        try:
            result = self._connection.execute(f"SELECT NULL::{written}".encode()).pgresult
        except psycopg.Error:
            return ""
        assert result is not None
        oid, modifier = result.ftype(0), result.fmod(0)
        if oid >= _FIRST_OID_OF_USERS:
            return ""
        return str(value(self._connection, "SELECT format_type(%s, %s)", (oid, modifier)))

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return rows(self._connection, query, **parameters)


@contextmanager
def held(endpoint: Endpoint, path: Sequence[str]) -> Iterator[Held]:
    """The database, for reading. Raises TargetError."""
    names = ", ".join(pg_name(name) for name in path)
    # Not a transaction: a type that is not known is no end.
    with connect(endpoint, search_path=names, default_transaction_read_only="on") as made:
        yield Held(made, path)
