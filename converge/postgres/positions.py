"""Where the sequences of a copy stand before and after a revision: one that goes back gives numbers again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.model.image import Column, Image, Pair, pairs
from converge.model.quote import pg_name
from converge.postgres.affected import SCHEMA, kept
from converge.postgres.query import rows

SEQUENCES = "(sequences)"
"""Stands for a table of those that have lost their position; no table's file is called so."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a sequence stands."""

    oid: int
    name: str
    next: int
    increment: int
    used: bool
    """Whether it has given a number, or was set to another than the first."""
    column: tuple[int | None, int | None]
    """The OID of the table and the number of the column that it belongs to; None for one of no column."""


def read_positions(connection: psycopg.Connection[Any]) -> list[Position]:
    """All sequences of which the role has a privilege.

    `pg_sequences` does not tell to what one was set that has given no number since.
    """
    found = []
    for oid, schema, name, start, increment, read, *column in rows(connection, "sequence_positions"):
        query = f"SELECT coalesce(n, {start}), n IS NOT NULL FROM pg_sequence_last_value({oid}) AS n"
        if read:
            query = f"SELECT last_value, is_called FROM {pg_name(schema, name)}"
        ((last, called),) = connection.execute(query.encode())
        next_, used = last + increment * called, called or last != start
        found.append(Position(oid, f"{schema}.{name}", next_, increment, used, (column[0], column[1])))
    return found


def set_back(before: Iterable[Position], after: Iterable[Position]) -> Iterator[tuple[Position, int | None]]:
    """The used sequences that would give numbers again, with their next value now; None for one that is gone.

    One that has another name now, and one that has its name, both count.
    """
    there = {key: one.next for one in after for key in (one.oid, one.name)}
    for one in before:
        found = [there[key] for key in (one.oid, one.name) if key in there]
        now = min(found, key=lambda next_: next_ * one.increment, default=None)
        if one.used and (now is None or (now - one.next) * one.increment < 0):
            yield one, now


def as_pair(connection: psycopg.Connection[Any], found: Iterable[tuple[Position, int | None]]) -> Pair:
    """Sequences and their next values as a table at both moments."""
    columns = {1: Column("sequence", "text"), 2: Column("next value", "numeric")}
    before = Image(0, "", SEQUENCES, columns, (1,))
    after = replace(before, schema=SCHEMA)
    here = pg_name(SCHEMA, SEQUENCES)
    connection.execute(f"CREATE UNLOGGED TABLE {kept(before)} (v text[])".encode())
    connection.execute(f'CREATE UNLOGGED TABLE {here} (sequence text, "next value" numeric)'.encode())
    for one, now in found:
        connection.execute(f"INSERT INTO {kept(before)} VALUES (%s)".encode(), [[one.name, str(one.next)]])
        if now is not None:
            connection.execute(f"INSERT INTO {here} VALUES (%s, %s)".encode(), [one.name, now])
    (pair,) = pairs((before,), (after,))
    return pair
