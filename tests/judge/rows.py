"""Streams of rows of typed values from each side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import sql

from .rules import Rule, quote_source
from .servers import Source, Target

Row = tuple[Any, ...]

_BATCH = 2000


def source_rows(connection: Source, table: str, rules: Sequence[Rule]) -> Iterator[Row]:
    parsers = [rule.source_parse for rule in rules]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(rule.source_sql for rule in rules)} FROM {quote_source(table)}")
        while batch := cursor.fetchmany(_BATCH):
            for raw in batch:
                yield _typed(raw, parsers)


def target_rows(connection: Target, schema: str, table: str, rules: Sequence[Rule]) -> Iterator[Row]:
    parsers = [rule.target_parse for rule in rules]
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(rule.target_sql for rule in rules), sql.Identifier(schema, table)
    )
    with connection.cursor(name="judge") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(query)
        for raw in cursor:
            yield _typed(raw, parsers)


def _typed(raw: Sequence[Any], parsers: Sequence[Any]) -> Row:
    return tuple([None if value is None else parse(value) for parse, value in zip(parsers, raw, strict=True)])
