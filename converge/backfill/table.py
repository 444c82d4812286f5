"""The table that a backfill fills: whether its columns are there, fit for it, and ours to read and write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from converge.backfill.declaration import Backfill
from converge.codes import Code
from converge.errors import BlockedError
from converge.model.finding import Finding
from converge.model.quote import pg_name
from converge.postgres.privileges import denied, temporary_grant
from converge.postgres.target import Target
from converge.resources import sql


@dataclass(frozen=True, slots=True)
class _Column:
    type: str
    """As the table declares it, with its length."""
    base_type: str
    """Below its domains and arrays, without its length."""
    is_array: bool
    made: bool
    """Generated, or an identity that only the server fills."""
    identifies: bool
    """NOT NULL, and unique by itself."""
    reachable: bool
    """USAGE on the schema."""
    readable: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A backfill and the table that it fills."""

    backfill: Backfill
    schema: str
    columns: Mapping[str, _Column]

    @property
    def table(self) -> str:
        """Its quoted name."""
        return pg_name(self.schema, self.backfill.table)

    @property
    def name(self) -> str:
        """As people and the audit name the table."""
        return f"{self.schema}.{self.backfill.table}"

    @property
    def column(self) -> _Column:
        """That is filled."""
        return self.columns[self.backfill.column]


def find_place(connection: psycopg.Connection[Any], schema: str, backfill: Backfill) -> Place:
    """Raises BlockedError for a table or a column that is missing or not fit."""
    rows = connection.execute(
        sql("converge.backfill", "columns").encode(), {"schema": schema, "table": backfill.table}
    )
    place = Place(backfill, schema, {name: _Column(*facts) for name, *facts in rows})
    if not place.columns:
        raise _unfit(f"the target has no table {place.name}", '--schema NAME, or table = "…" in the map')
    if missing := [name for name in backfill.columns if name not in place.columns]:
        hint = f"it has: {', '.join(place.columns)}"
        raise _unfit(f"{place.name} has no column {', '.join(missing)}", hint)
    if place.column.made:
        raise _unfit(f"{place.name}.{backfill.column} is filled by the server itself", 'column = "…"')
    if not place.columns[backfill.key].identifies:
        raise _unfit(
            f"{place.name}.{backfill.key} does not identify a row: it is not NOT NULL and unique by itself",
            'key = "…" names the primary key\'s column',
        )
    return place


def require_fit(connection: psycopg.Connection[Any], place: Place) -> None:
    """Raises BlockedError when values cannot be compared, or the case of letters cannot be ignored."""
    fill = place.backfill
    try:
        query = f"SELECT FROM {place.table} GROUP BY {pg_name(fill.column)} LIMIT 0"
        connection.execute(query.encode())
    except psycopg.errors.UndefinedFunction as error:
        message = f"values of {place.name}.{fill.column} ({place.column.type}) cannot be compared"
        raise _unfit(message, "a type with an equality: jsonb for json") from error
    icu = "SELECT FROM pg_collation WHERE oid = to_regcollation('pg_catalog.\"und-x-icu\"')"
    if fill.match.ignore_case and connection.execute(icu).fetchone() is None:
        raise BlockedError(
            "the target was built without ICU and knows the case of ASCII letters only",
            code=Code.B006,
            hint="ignore_case = false, with lower(…) in the query and letters of one case in the table",
        )


def lacking_privileges(target: Target, place: Place) -> Iterator[Finding]:
    """What the role may not do with the table, and the temporary tables of its session."""
    role = pg_name(target.role)
    if not all(column.reachable for column in place.columns.values()):
        grant = f"GRANT USAGE ON SCHEMA {pg_name(place.schema)} TO {role};"
        yield denied(f"the role {target.role} may not use the schema {place.schema}", grant)
    if unread := [name for name in place.backfill.columns if not place.columns[name].readable]:
        listed = ", ".join(map(pg_name, unread))
        grant = f"GRANT SELECT ({listed}) ON {place.table} TO {role};"
        yield denied(f"the role {target.role} may not read {place.name} ({', '.join(unread)})", grant)
    column = place.backfill.column
    if not place.column.writable:
        grant = f"GRANT UPDATE ({pg_name(column)}) ON {place.table} TO {role};"
        yield denied(f"the role {target.role} may not write {place.name}.{column}", grant)
    if not target.may_make_temporary:
        message = f"the role {target.role} may not make temporary tables, in which rows are matched"
        yield denied(message, temporary_grant(target))


def _unfit(message: str, hint: str) -> BlockedError:
    return BlockedError(message, code=Code.B004, hint=hint)
