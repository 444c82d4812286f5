"""What the tests of definitions share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from converge.model.definitions import Definitions, Step
from converge.model.existing import differences
from converge.planner.difference import compared, difference
from converge.postgres.catalog import read_definitions


def defined(url: str, schema: str = "public") -> Definitions:
    with psycopg.connect(url) as connection:
        return read_definitions(connection, schema)


def run(url: str, steps: Sequence[Step]) -> None:
    """In one transaction, as a revision does; an error names its statement."""
    with psycopg.connect(url) as connection:
        for step in steps:
            try:
                connection.execute(step.sql.encode())
            except psycopg.Error as error:
                error.add_note(f"{step.object}: {step.sql}")
                raise


def shape_now(connection: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """All that the catalog has, by queries that share nothing with those of converge."""
    with connection.transaction():
        connection.execute("SET LOCAL search_path = pg_catalog")
        queries = sorted((Path(__file__).parent / "catalog").glob("shape_*.sql"))
        texts = (path.read_text("utf-8").encode() for path in queries)
        rows = (row for text in texts for row in connection.execute(text, {"schema": schema}).fetchall())
        return dict(sorted(rows))


def shape(url: str, schema: str = "public", *, places: bool = True) -> dict[str, str]:
    """All that the catalog has, by another way than definitions; without Alembic's own table."""
    with psycopg.connect(url) as connection:
        found = shape_now(connection, schema)
    return {name: text for name, text in _placed(found, places) if "alembic_version" not in name}


def _placed(found: Mapping[str, str], places: bool) -> Iterator[tuple[str, str]]:
    for name, text in found.items():
        yield name, text if places else json.dumps({**json.loads(text), "place": None})


@dataclass(frozen=True)
class Seen:
    """What both readers see of a schema; columns' places apart."""

    definitions: Definitions
    shape: dict[str, str]


def seen(url: str, schema: str = "public") -> Seen:
    with psycopg.connect(url) as connection:
        definitions, found = read_definitions(connection, schema), shape_now(connection, schema)
    return Seen(definitions, dict(_placed(found, places=False)))


def convert(url: str, before: Seen, wanted: Seen, schema: str = "public") -> None:
    """Brings a database to another schema, and judges what came of it."""
    steps = difference(before.definitions, wanted.definitions)
    run(url, steps)
    now = seen(url, schema)
    assert (found := compared(now.definitions, wanted.definitions)) == (), found
    assert now.definitions.digest == wanted.definitions.digest
    assert difference(now.definitions, wanted.definitions) == ()
    changed = differences(wanted.shape, now.shape)
    assert changed == [], "\n".join([*changed, *(step.sql for step in steps)])
