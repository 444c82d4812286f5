"""A text for everything that is in a schema or hangs on its tables, by which a catalog is compared later."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.postgres.target import query

_QUERIES = ("shape_relations", "shape_keys", "shape_rest", "shape_code")


def read_shape(connection: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """Object → definition as a JSON text, without OIDs, rows and values of sequences; writes nothing.

    The session's search_path must be pg_catalog, so that the server prints every other name with its schema.
    """
    found = dict(row for name in _QUERIES for row in query(connection, name, schema))
    return dict(sorted(found.items()))
