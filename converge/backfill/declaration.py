"""Backfills as maps declare them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping import grammar
from converge.mapping.read import documents
from converge.mapping.sql import one_query

_DATABASE = re.compile("[a-z][a-z0-9_]*")


class Backfill(grammar.Backfill):
    """One ``[[backfill]]`` of a map."""

    @property
    def shown(self) -> str:
        """The table's column by which people know a row."""
        return self.show or self.match.target

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it reads."""
        return tuple(dict.fromkeys((self.key, self.column, self.match.target, self.shown)))


def backfills(maps: Sequence[str]) -> dict[str, Backfill]:
    """The backfills of the named maps by name; of two with one name the first counts. Raises UsageError."""
    found: dict[str, Backfill] = {}
    for path, document in documents(maps):
        for number, entry in enumerate(document.get("backfill", []), 1):
            place, database = f"{Path(path).stem} [[backfill]] #{number}", entry["from"]
            if not _DATABASE.fullmatch(database):
                message = f"{place}: from = {database!r} is not a database name"
                hint = "small letters, digits and _, as in kratos: its address is --from kratos=URL"
                raise UsageError(message, code=Code.M002, hint=hint)
            query = one_query(entry["query"], "postgres", f"{place} query =")
            found.setdefault(entry["name"], Backfill.model_validate({**entry, "query": query}))
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
