"""The target's CHECKs: rows that break them are counted before anything is written, where that can be."""

from __future__ import annotations

from collections.abc import Iterator

from converge.codes import Code
from converge.model.catalog import Table
from converge.model.existing import OwnForeignKey
from converge.planner.draft import Draft
from converge.planner.load.conditions import on_source
from converge.planner.load.match import Match
from converge.planner.target_values import TargetValue, planned
from converge.planner.values import rows_words, said

_CHECK = "CHECK ("


def conditions(draft: Draft, match: Match, table: Table) -> Iterator[str]:
    """What the scan should count."""
    yield from (broken for _, broken in _asked(draft, match, table) if broken is not None)
    for key in draft.loading.existing.foreign_keys if draft.loading else ():
        if key.table == match.own.quoted and (condition := partly_null(draft, match, table, key)):
            yield condition


def note_checks(draft: Draft, match: Match, table: Table) -> None:
    """A finding for each CHECK that rows break, and one for those that only COPY tests."""
    untested = []
    for check, broken in _asked(draft, match, table):
        count = draft.evidence.count(table.name, broken) if broken is not None else None
        if broken is None:
            untested.append(check)
        elif count and count.rows:
            name, _, definition = check.partition(": ")
            draft.find(
                Code.L023, "block", f"{table.name}.{name}",
                said(count.rows, f"break the target's condition {definition}"),
                "repair the rows in the source, or a map's expression or policy that makes such values",
                evidence=rows_words(table, count),
            )  # fmt: skip
    if untested:
        listed = "; ".join(untested)
        draft.find(Code.L013, "note", table.name, f"COPY tests the target's conditions row by row: {listed}")


def partly_null(draft: Draft, match: Match, table: Table, key: OwnForeignKey) -> str | None:
    """MySQL condition of a row that MATCH FULL refuses: only some columns of the key are NULL."""
    columns = arriving(draft, match, table)
    if " MATCH FULL" not in key.definition or len(key.columns) < 2 or not columns.keys() >= set(key.columns):
        return None
    nulls = "+".join(f"({columns[name].value.sql} IS NULL)" for name in key.columns)
    return f"{nulls} BETWEEN 1 AND {len(key.columns) - 1}"


def arriving(draft: Draft, match: Match, table: Table) -> dict[str, TargetValue]:
    """The values that the target's columns get, by the target's names."""
    return {
        own.name: planned(draft, table, name)
        for name, own in match.columns.items()
        if (table.name, name) in draft.map.own
    }


def _asked(draft: Draft, match: Match, table: Table) -> Iterator[tuple[str, str | None]]:
    """Each CHECK with the MySQL condition of a row that breaks it, where that can be said.

    A row for which it is unknown passes, as in PostgreSQL.
    """
    columns = arriving(draft, match, table) if match.own.checks else {}
    for check in match.own.checks:
        # NOT VALID spares the rows that are there, and no new ones.
        definition = check.partition(": ")[2].removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
        plain = definition.startswith(_CHECK) and definition.endswith(")")
        holds = on_source(definition[len(_CHECK) : -1], columns) if plain else None
        yield check, None if holds is None else f"NOT {holds}"
