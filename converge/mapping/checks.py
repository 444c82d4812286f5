"""A map's [[check]] entries and its [application], as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.queries import one_query
from converge.model.check import Application, Check


def read_checks(stem: str, document: Mapping[str, Any]) -> Iterator[Check]:
    """The checks of a document whose grammar is right. Raises UsageError for one that expects nothing."""
    for number, entry in enumerate(document.get("check", ()), 1):
        place = f"{stem} [[check]] {number}"
        if {"equals", "at_least"} <= entry.keys():
            raise UsageError(f"{place}: equals and at_least exclude each other", code=Code.M002)
        if not {"equals", "at_least", "source"} & entry.keys():
            hint = "it needs one of: equals, at_least, source"
            raise UsageError(f"{place} expects nothing", code=Code.M002, hint=hint)
        if entry.get("seconds", 1) < 1:
            raise UsageError(f"{place}: seconds = {entry['seconds']} leaves no time", code=Code.M002)
        queries = {"target": one_query(entry["target"], "postgres", f"{place} target =")}
        if "source" in entry:
            queries["source"] = one_query(entry["source"], "mysql", f"{place} source =")
        tables = tuple(entry.get("where_source_has", ()))
        yield Check(**{**entry, **queries, "where_source_has": tables}, place=place)


def read_application(stem: str, document: Mapping[str, Any]) -> Application | None:
    """What the map's application makes by itself; None where the map does not say."""
    entry = document.get("application")
    if entry is None:
        return None
    name = document.get("map", {}).get("name", stem)
    return Application(name, tuple(entry["tables"]), entry.get("migrate", ""))
