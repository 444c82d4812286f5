"""A copy of the database to try things on; the original is only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError
from converge.model.definitions import NOTHING, Definitions, Step
from converge.model.endpoint import Endpoint
from converge.model.image import Image
from converge.model.quote import pg_name, pg_text
from converge.planner.difference import difference
from converge.postgres.affected import read_images
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.postgres.query import value
from converge.postgres.shadow import shadow, twin
from converge.resources import sql

_FOR_ROWS = frozenset(
    {"schema", "extension", "collation", "type", "sequence", "table", "column", "default", "ownership"}
)
"""Kinds that rows need; keys, indexes and triggers come after them."""
_BLOCK = 1 << 20
"""Bytes of a large object that are read at once."""
_MAPPED = ("postgres_fdw", "dblink_fdw", "file_fdw")
"""Foreign-data wrappers that write nothing without a user mapping."""


@contextmanager
def copied(endpoint: Endpoint, schema: str) -> Iterator[tuple[Endpoint, str]]:
    """The copy, and in words how it came about; it is dropped in the end.

    The server copies its files where nobody else is connected; else the schema is made anew and its rows are
    streamed. Raises TargetError.
    """
    with ExitStack() as stack:
        made = stack.enter_context(twin(endpoint))
        if made is not None:
            _cut_off(made)
            yield made, "the server copied the whole database from its files"
            return
        place = stack.enter_context(shadow(endpoint))
        try:
            _stream(endpoint, place, schema)
        except psycopg.Error as error:
            raise _not_streamed(endpoint, [explain(error).message]) from error
        words = (
            f"others are connected: only schema {schema} was made again, its rows streamed from one snapshot"
        )
        yield place, words


def _cut_off(copy: Endpoint) -> None:
    """Takes the copy's user mappings: a revision that writes into a foreign table would write elsewhere.

    Raises TargetError where foreign servers may do without them, or belong to others.
    """
    with closing(connect(copy)) as connection:
        servers = connection.execute(
            "SELECT s.srvname::text, w.fdwname::text, pg_has_role(s.srvowner, 'USAGE') "
            "FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY 1"
        ).fetchall()
        if open_ := [
            f"{name} ({wrapper})" for name, wrapper, own in servers if wrapper not in _MAPPED or not own
        ]:
            raise TargetError(
                "foreign servers lead out of the copy, so that a revision could write elsewhere",
                code=Code.A057,
                details=open_,
                hint="validate in a database without these servers, as their owner",
            )
        mapped = connection.execute("SELECT srvname::text, usename::text FROM pg_user_mappings").fetchall()
        for server, user in mapped:
            role = "PUBLIC" if user == "public" else pg_name(user)
            connection.execute(f"DROP USER MAPPING FOR {role} SERVER {pg_name(server)}".encode())


def _stream(endpoint: Endpoint, place: Endpoint, schema: str) -> None:
    # A policy must not hide rows: with this setting the server fails instead.
    with closing(connect(endpoint)) as source, closing(connect(place)) as target:
        source.execute(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        whole = read_definitions(source, schema, without=())
        if whole.unwritten:
            raise _not_streamed(endpoint, [f"not made again: {name}" for name in whole.left_out])
        bare = _for_rows(whole)
        _make(target, difference(NOTHING, bare))
        # An extension that nothing needs is not made, nor its tables.
        there = {str(image) for image in read_images(target, schema, "") if image.schema == schema}
        images = read_images(source, schema, "")
        _copy_rows(source, target, (image for image in images if str(image) in there))
        _copy_large_objects(source, target)
        _set_sequences(source, target, schema)
        _make(target, difference(bare, whole))


def _not_streamed(endpoint: Endpoint, details: list[str]) -> TargetError:
    return TargetError(
        f"others are connected to {endpoint}, so that the server does not copy it, and it cannot be streamed",
        code=Code.A056,
        details=details,
        hint="end the other sessions: SELECT pid, usename, application_name FROM pg_stat_activity "
        f"WHERE datname = {pg_text(endpoint.database)};",
    )


def _make(target: psycopg.Connection[Any], steps: Iterable[Step]) -> None:
    with target.transaction():
        for step in steps:
            target.execute(step.sql.encode())


def _for_rows(whole: Definitions) -> Definitions:
    """The tables, and what they need."""
    kept: dict[str, None] = {}
    left = [name for name, one in whole.objects.items() if one.kind in _FOR_ROWS]
    while left:
        name = left.pop()
        if name not in kept:
            kept[name] = None
            left += whole.objects[name].needs
    return replace(whole, objects={name: one for name, one in whole.objects.items() if name in kept})


def _copy_rows(
    source: psycopg.Connection[Any], target: psycopg.Connection[Any], images: Iterable[Image]
) -> None:
    """Streams every table's rows into the table of the same name, which has no trigger yet."""
    for image in images:
        stored = source.execute(sql("converge.postgres", "stored_columns").encode(), [image.oid])
        table, columns = pg_name(image.schema, image.name), ", ".join(pg_name(name) for (name,) in stored)
        out = f"COPY (SELECT {columns} FROM {image.rows}) TO STDOUT (FORMAT binary)"
        into = f"COPY {table} ({columns}) FROM STDIN (FORMAT binary)"
        # An empty list of columns would mean all, and a row of none cannot be told to COPY.
        if columns:
            with (
                source.cursor().copy(out.encode()) as reader,
                target.cursor().copy(into.encode()) as writer,
            ):
                for block in reader:
                    writer.write(block)


def _copy_large_objects(source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> None:
    """Makes all of them again under their numbers, by which rows name them."""
    with target.transaction():
        for (oid,) in source.execute("SELECT oid FROM pg_largeobject_metadata").fetchall():
            target.execute("SELECT lo_create(%s)", [oid])
            start = 0
            while block := value(source, "SELECT lo_get(%s, %s, %s)", [oid, start, _BLOCK]):
                target.execute("SELECT lo_put(%s, %s, %s)", [oid, start, block])
                start += len(block)


def _set_sequences(source: psycopg.Connection[Any], target: psycopg.Connection[Any], schema: str) -> None:
    """Gives every sequence the position that it has in the source."""
    names = source.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = %s", [schema])
    for (name,) in names.fetchall():
        sequence = pg_name(schema, name)
        row = source.execute(f"SELECT last_value, is_called FROM {sequence}".encode()).fetchone()
        assert row is not None
        target.execute("SELECT setval(%s::regclass, %s, %s)", [sequence, *row])
