"""Sequences, and the columns that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from converge.model.definitions import Definition
from converge.model.quote import pg_name, pg_text
from converge.planner.difference.kinds.kind import Change, Kind, differing, own_name

WHOLE = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The types that columns with sequences have, each with its highest value."""
_WORDS = {
    "increment": "INCREMENT BY",
    "min": "MINVALUE",
    "max": "MAXVALUE",
    "start": "START WITH",
    "cache": "CACHE",
}


def said_options(facts: Mapping[str, Any]) -> list[str]:
    """Options of a sequence that CREATE SEQUENCE would not give it unasked, without its type."""
    up, most = facts["increment"] > 0, WHOLE[facts["type"]]
    least = 1 if up else -most - 1
    greatest = most if up else -1
    start = facts["min"] if up else facts["max"]
    usual = {"increment": 1, "min": least, "max": greatest, "start": start, "cache": 1}
    said = [f"{_WORDS[name]} {facts[name]}" for name in usual if facts[name] != usual[name]]
    return said + (["CYCLE"] if facts["cycle"] else [])


def changed_options(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Options that ALTER should say: those that differ, and the bounds that a new type may move."""
    moved = old["type"] != new["type"]
    said = [
        f"{word} {new[name]}"
        for name, word in _WORDS.items()
        if old[name] != new[name] or (moved and name in ("min", "max"))
    ]
    if old["cycle"] != new["cycle"]:
        said.append("CYCLE" if new["cycle"] else "NO CYCLE")
    return said


def caught_up(sequence: Mapping[str, Any], table: str, column: str) -> str:
    """Sets a sequence that is new behind the values of a column that is not. Both names are quoted."""
    best, side, sign = ("max", "greatest", ">=") if sequence["increment"] > 0 else ("min", "least", "<=")
    name, start = pg_text(pg_name(sequence["schema"], sequence["name"])), sequence["start"]
    return (
        f"SELECT pg_catalog.setval({name}, {side}({best}({column}), {start}), "
        f"coalesce({best}({column}) {sign} {start}, false)) FROM {table}"
    )


class OwnSequence(Kind):
    rank = 4
    comment_on = "SEQUENCE"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        unlogged = "UNLOGGED " if "unlogged" in it.facts else ""
        type_ = [] if it.facts["type"] == "bigint" else [f"AS {it.facts['type']}"]
        yield " ".join([f"CREATE {unlogged}SEQUENCE {own_name(it)}", *type_, *said_options(it.facts)])

    def change(self, old: Definition, new: Definition) -> Change | None:
        statements, start = [], f"ALTER SEQUENCE {own_name(new)}"
        said = changed_options(old.facts, new.facts)
        if old.facts["type"] != new.facts["type"]:
            said.insert(0, f"AS {new.facts['type']}")
        if said:
            statements.append(" ".join([start, *said]))
        if "unlogged" in differing(old, new):
            statements.append(f"{start} SET {'UNLOGGED' if 'unlogged' in new.facts else 'LOGGED'}")
        return Change(tuple(statements))


class Ownership(Kind):
    rank = 8

    def named(self, it: Definition) -> str:
        return f"SEQUENCE {own_name(it)}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        column = pg_name(it.facts["table schema"], it.facts["table"], it.facts["column"])
        yield f"ALTER SEQUENCE {own_name(it)} OWNED BY {column}"

    def drop(self, it: Definition) -> Iterator[str]:
        yield f"ALTER SEQUENCE {own_name(it)} OWNED BY NONE"

    def change(self, old: Definition, new: Definition) -> Change | None:
        return Change(tuple(self.make(new, ())))

    def gone_with(self, it: Definition) -> str | None:
        sequence: str = it.facts["sequence"]
        return sequence

    def comments(self, it: Definition) -> dict[str, str | None]:
        return {}
