"""What the tests of definitions share."""

from __future__ import annotations

import json
from collections.abc import Sequence

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


def converted(url: str, wanted: str, schema: str = "public") -> list[Step]:
    """Brings a database to another's schema, and judges what came of it."""
    before, after = defined(url, schema), defined(wanted, schema)
    steps = difference(before, after)
    run(url, steps)
    now = defined(url, schema)
    assert compared(now, after) == ()
    assert now.digest == after.digest
    assert difference(now, after) == ()
    changed = differences(shape(wanted, schema, places=False), shape(url, schema, places=False))
    assert changed == [], "\n".join(step.sql for step in steps)
    return list(steps)
