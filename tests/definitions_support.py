"""What the tests of definitions share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from converge.model.definitions import Definitions, Step
from converge.model.existing import differences
from converge.planner.difference import compared, difference
from converge.postgres.definitions import read_definitions
from converge.postgres.existing import shape_now


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


def shape(url: str, schema: str = "public", *, places: bool = True) -> dict[str, str]:
    """All that the catalog has, by another way than definitions; without Alembic's own table."""
    with psycopg.connect(url) as connection:
        found = shape_now(connection, schema)
    return {
        name: text if places else json.dumps({**json.loads(text), "place": None})
        for name, text in found.items()
        if "alembic_version" not in name
    }


@dataclass(frozen=True)
class Seen:
    """What both readers see of a schema; columns' places apart."""

    definitions: Definitions
    shape: dict[str, str]


def seen(url: str, schema: str = "public") -> Seen:
    return Seen(defined(url, schema), shape(url, schema, places=False))


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
