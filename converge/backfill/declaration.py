"""Backfills as maps declare them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.read import documents
from converge.mapping.sql import one_query

_DATABASE = re.compile("[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Match:
    """Which row of the query belongs to which row of the table: two columns with the same text."""

    target: str
    source: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Backfill:
    """One ``[[backfill]]`` of a map."""

    name: str
    table: str
    column: str
    key: str
    """The column that identifies a row in the audit: NOT NULL and unique."""
    database: str
    """The name of the database that is asked."""
    query: str
    value: str
    """The query's column with the values."""
    match: Match
    show: str
    """The table's column by which people know a row."""
    existing: Literal["keep", "check", "overwrite"] = "keep"
    """What becomes of rows that have a value: not looked at, compared, or written anew."""
    shared: bool = False
    """Whether several rows may have the same value."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""
        return tuple(dict.fromkeys((self.key, self.column, self.match.target, self.show)))


def backfills(maps: Sequence[str]) -> dict[str, Backfill]:
    """The backfills of the named maps by name; of two with one name the first counts. Raises UsageError."""
    found: dict[str, Backfill] = {}
    for path, document in documents(maps):
        for number, entry in enumerate(document.get("backfill", []), 1):
            made = _backfill(f"{path.stem} [[backfill]] {number}", entry)
            found.setdefault(made.name, made)
    return found


def choose(known: Mapping[str, Backfill], name: str) -> Backfill:
    """The backfill of this name. Raises UsageError."""
    if name not in known:
        raise UsageError(
            f"no map declares a backfill {name!r}" + did_you_mean(name, known),
            code=Code.B002,
            hint=f"one of: {', '.join(known)}" if known else "--map FILE.toml: the file that declares it",
        )
    return known[name]


def _backfill(place: str, entry: Mapping[str, Any]) -> Backfill:
    database = entry["from"]
    if not _DATABASE.fullmatch(database):
        hint = "small letters, digits and _, as in kratos: its address is --from kratos=URL"
        raise UsageError(f"{place}: from = {database!r} is not a database name", code=Code.M002, hint=hint)
    match = Match(**entry["match"])
    return Backfill(
        name=entry["name"],
        table=entry["table"],
        column=entry["column"],
        key=entry["key"],
        database=database,
        query=one_query(entry["query"], "postgres", f"{place} query ="),
        value=entry["value"],
        match=match,
        show=entry.get("show", match.target),
        existing=entry.get("existing", "keep"),
        shared=entry.get("shared", False),
    )
