"""Types of extensions: made where they are missing, and named with the schema in which they are."""

from __future__ import annotations

from dataclasses import dataclass

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.quote import pg_name, toml_text
from converge.planner.draft import Draft
from converge.planner.values import example
from converge.types import base_name

# Names are looked up in this schema only: what is elsewhere needs its schema before it.
_IN_REACH = "pg_catalog"


@dataclass(frozen=True, slots=True)
class _Extension:
    name: str
    schema: str
    """Where it is made when it is missing."""
    otherwise: str
    """The type that holds the same values without it."""


# Translated expressions can only use citext's operators where names are looked up.
_BY_TYPE = {
    "citext": _Extension("citext", _IN_REACH, "text"),
    "geometry": _Extension("postgis", "public", "bytea"),
}


def qualified(draft: Draft, table: Table, column: Column, to: str) -> str:
    """A column's type `to` as SQL; blocks the run when its extension is not in reach."""
    extension = _BY_TYPE.get(base_name(to))
    if extension is None:
        return to
    there = draft.extensions
    if there is not None and extension.name not in there:
        what = f"{to} needs the extension {extension.name}, which is not there and which the role cannot make"
        hint = example(table, column, f"to = {toml_text(extension.otherwise)}")
        draft.find(Code.P006, "block", f"{table.name}.{column.name}", what, hint)
    schema = (there or {}).get(extension.name) or extension.schema
    draft.share(
        extension.name,
        f"CREATE EXTENSION IF NOT EXISTS {pg_name(extension.name)} SCHEMA {pg_name(schema)}",
        f"a map chooses {base_name(to)}",
    )
    return to if schema == _IN_REACH else f"{pg_name(schema)}.{to}"
