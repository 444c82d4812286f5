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
from converge.resources import sql

# pg_trigger.tgtype and pg_rewrite.ev_type.
_EVENTS = {"insert": (4, "3"), "delete": (8, "4"), "update": (16, "2"), "truncate": (32, "")}


@dataclass(frozen=True, slots=True)
class Relation:
    oid: int
    schema: str
    name: str
    kind: str
    """pg_class.relkind."""

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def counted(relation: Relation) -> str:
    """The query for its rows, up to `MOST`; a sequence that was used counts as one."""
    name = pg_name(relation.schema, relation.name)
    if relation.kind == "S":
        return f"SELECT is_called::int::bigint FROM {name}"
    return f"SELECT count(*) FROM (SELECT FROM {name} LIMIT {MOST}) counted"


class Held:
    """Questions to one database, whose names are looked for in `path` as a revision's would be."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def relation(self, *name: str) -> Relation | None:
        """The relation of this name; None when there is none."""
        rows = self._rows("held_relation", name=pg_name(*name))
        return Relation(*rows[0]) if rows else None

    def rows(self, relation: Relation) -> int:
        """How many rows it has, counted up to `MOST`; a sequence that was used counts as one."""
        ((count,),) = self._connection.execute(counted(relation).encode()).fetchall()
        return int(count)

    def tables(self, schema: str | None) -> Iterator[Relation]:
        """Tables of one schema or of all."""
        for name in self._rows("held_relations", schema=schema):
            if (relation := self.relation(*name)) is not None:
                yield relation

    def filled(self, schema: str | None, without: tuple[str, str]) -> Iterator[tuple[str, int]]:
        """Tables with rows, of one schema or of all, each with their number."""
        for relation in self.tables(schema):
            if (relation.schema, relation.name) != without and (rows := self.rows(relation)):
                yield str(relation), rows

    def runs(self, relation: Relation, events: Collection[str]) -> bool:
        """Whether the server runs what a user has written when this happens to rows of the relation."""
        ((found,),) = self._rows(
            "held_runs",
            oid=relation.oid,
            events=sum(_EVENTS[event][0] for event in events),
            rules=[_EVENTS[event][1] for event in events],
        )
        return bool(found)

    def functions(self) -> frozenset[str]:
        """The names of all functions that are neither the server's nor an extension's."""
        return frozenset(name for (name,) in self._rows("held_functions"))

    def column_type(self, relation: Relation, column: str) -> str:
        """The column's type as the server writes it; empty when there is no such column."""
        row = self._connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s AND attname = %s AND attnum > 0 AND NOT attisdropped",
            (relation.oid, column),
        ).fetchone()
        return row[0] if row else ""

    def type_name(self, written: str) -> str:
        """A type as the server writes it; empty when it knows none of this name."""
        try:
            result = self._connection.execute(f"SELECT NULL::{written}".encode()).pgresult
        except psycopg.Error:
            return ""
        assert result is not None
        oid, modifier = result.ftype(0), result.fmod(0)
        ((name,),) = self._connection.execute("SELECT format_type(%s, %s)", (oid, modifier)).fetchall()
        return str(name)

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql("converge.postgres", query).encode(), parameters).fetchall()


@contextmanager
def held(endpoint: Endpoint, path: Sequence[str]) -> Iterator[Held]:
    """The database, with rows that row security would hide as an error. Raises TargetError."""
    names = ", ".join(pg_name(name) for name in path)
    # Not a transaction: a type that is not known is no end.
    with connect(endpoint, search_path=names, row_security="off", default_transaction_read_only="on") as made:
        yield Held(made)
