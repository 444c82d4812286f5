"""How an object becomes another without being dropped: by ALTER, or by CREATE OR REPLACE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from converge.model.definitions import ASIDE, Definition
from converge.model.quote import pg_name, pg_text
from converge.planner.difference.statements import (
    SEQUENCE_WORDS,
    altered,
    attribute,
    changed_settings,
    holder,
    identity,
    make,
    named,
    sequence_name,
    settings_of,
    view,
)
from converge.planner.difference.widening import widens

_NOT_VALID = " NOT VALID"
_KEPT = frozenset({"storage", "compression"})
_TAKEN_ALONG = frozenset({"index", "constraint", "foreign key"})
_FAMILIES = (
    frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision"}),
    frozenset({"text", "character varying", "character", '"char"', "name"}),
    frozenset({"date", "timestamp without time zone", "timestamp with time zone"}),
    frozenset({"time without time zone", "time with time zone"}),
    frozenset({"json", "jsonb"}),
    frozenset({"bit", "bit varying"}),
)
"""Types that the server casts to one another in an assignment, and refuses what does not fit."""
_TEXTS = _FAMILIES[1]
_LENGTHENED = ("character varying(", "bit varying(", "numeric(")


@dataclass(frozen=True, slots=True)
class Change:
    """How an object becomes another."""

    statements: tuple[str, ...]
    around: bool = False
    """Whether what needs it must be taken away before and made again after."""
    but: frozenset[str] = frozenset()
    """Kinds of objects that the server takes along then."""
    fresh: tuple[str, ...] = ()
    """Values that the transaction which makes the change cannot use yet."""


def change(old: Definition, new: Definition) -> Change | None:
    """None when it must be dropped and made again. Comments are not asked for."""
    if old.kind != new.kind:
        return None
    other = differing(old, new)
    match new.kind:
        case "column":
            return _column(old, new, other)
        case "enum":
            return _enum(old, new)
        case "composite":
            return _composite(old, new)
        case "extension":
            return Change((f"{altered(new)} SET SCHEMA {new.facts['schema']}",))
        case "default" | "ownership":
            return Change(tuple(make(new, ())))
        case "function":
            # What CREATE OR REPLACE cannot change, or not always.
            same = not other & {"arguments", "result", "procedure"}
            return Change((new.facts["definition"],)) if same else None
        case "view":
            before, after = old.facts.get("columns", []), new.facts.get("columns", [])
            return Change((view(new, "CREATE OR REPLACE"),)) if after[: len(before)] == before else None
    special = _special(old, new, other)
    if other - special.keys() - settings_of(new):
        return None
    changed = (sql for statements in special.values() for sql in statements)
    return Change((*changed, *changed_settings(old, new, other)))


def differing(old: Definition, new: Definition) -> set[str]:
    """Names of the facts that are not the same, comments apart."""
    names = {key for key in old.facts.keys() | new.facts.keys() if old.facts.get(key) != new.facts.get(key)}
    return {key for key in names if not key.endswith((ASIDE, f"{ASIDE}s"))}


def retyped(old: Definition, new: Definition) -> tuple[str, ...]:
    """The statements that bring a column's values to its type, which may have been made anew."""
    collation = f" COLLATE {new.facts['collation']}" if "collation" in new.facts else ""
    cast = _using(pg_name(new.facts["name"]), _base(old), _base(new), new.facts["type"])
    statement = f"{altered(new)} TYPE {new.facts['type']}{collation}{f' USING {cast}' if cast else ''}"
    # The server forgets with the type how its values were kept.
    return statement, *changed_settings(old, new, new.facts.keys() & _KEPT)


def caught_up(sequence: Mapping[str, Any], table: str, column: str) -> str:
    """Sets a sequence that is new behind the values of a column that is not. Both names are quoted."""
    best, side, sign = ("max", "greatest", ">=") if sequence["increment"] > 0 else ("min", "least", "<=")
    name, start = pg_text(pg_name(sequence["schema"], sequence["name"])), sequence["start"]
    return (
        f"SELECT pg_catalog.setval({name}, {side}({best}({column}), {start}), "
        f"coalesce({best}({column}) {sign} {start}, false)) FROM {table}"
    )


def _special(old: Definition, new: Definition, other: set[str]) -> dict[str, list[str]]:
    """By the facts that have changed: statements for those that are no settings, and can be changed."""
    match new.kind:
        case "constraint" | "foreign key":
            if old.facts["definition"] == new.facts["definition"] + _NOT_VALID:
                return {"definition": [f"{altered(new)} VALIDATE CONSTRAINT {pg_name(new.facts['name'])}"]}
        case "materialized view" if "empty" in other:
            empty = " WITH NO DATA" if "empty" in new.facts else ""
            return {"empty": [f"REFRESH {named(new)}{empty}"]}
        case "domain" if "not null" in other:
            statements = [f"{altered(new)} DROP NOT NULL"] if "not null" in old.facts else []
            if words := new.facts.get("not null"):
                statements.append(f"{altered(new)} {'SET' if words == 'NOT NULL' else 'ADD'} {words}")
            return {"not null": statements}
        case "sequence":
            statement = f"{altered(new)} AS {new.facts['type']} {' '.join(_sequence(new.facts))}"
            facts = ("type", "cycle", *SEQUENCE_WORDS)
            return {"of": [], **{name: [] for name in facts}, "type": [statement] if other & {*facts} else []}
    return {}


def _sequence(facts: Mapping[str, Any]) -> list[str]:
    """All options: a new type would move the bounds."""
    clauses = [f"{word} {facts[name]}" for name, word in SEQUENCE_WORDS.items()]
    return [*clauses, "CYCLE" if facts["cycle"] else "NO CYCLE"]


def _column(old: Definition, new: Definition, other: set[str]) -> Change | None:
    anew = bool(other & {"type", "collation"})
    if "generated" in new.facts and (anew or "generated" in other):
        return None
    words = {"generated": "EXPRESSION", "identity": "IDENTITY", "not null": "NOT NULL"}
    gone = old.facts.keys() - new.facts.keys()
    statements = [f"{altered(new)} DROP {word}" for fact, word in words.items() if fact in gone]
    if anew:
        statements += retyped(old, new)
    if "not null" in new.facts and "not null" not in old.facts:
        statements.append(f"{altered(new)} SET NOT NULL")
    along = "collation" not in other and _lengthens(old.facts["type"], new.facts["type"])
    settings = changed_settings(old, new, other - _KEPT if anew else other)
    return Change(
        (*statements, *_identity(old, new), *settings), anew, _TAKEN_ALONG if along else frozenset()
    )


def _identity(old: Definition, new: Definition) -> Iterator[str]:
    if "identity" not in new.facts:
        return
    if "identity" not in old.facts:
        yield f"{altered(new)} ADD {identity(new)}"
        yield caught_up(new.facts["sequence"], holder(new), pg_name(new.facts["name"]))
        return
    if old.facts["identity"] != new.facts["identity"]:
        yield f"{altered(new)} SET GENERATED {new.facts['identity']}"
    was, is_ = old.facts["sequence"], new.facts["sequence"]
    if was["name"] != is_["name"]:
        yield f"ALTER SEQUENCE {sequence_name(old)} RENAME TO {pg_name(is_['name'])}"
        if "sequence comment" in old.facts:
            # Comments are compared by what they are on, which has a new name.
            yield f"COMMENT ON SEQUENCE {sequence_name(new)} IS NULL"
    if {**was, "name": ""} != {**is_, "name": ""}:
        yield f"{altered(new)} {' '.join(f'SET {one}' for one in _sequence(is_))}"


def _base(definition: Definition) -> str:
    """The type that holds the values: of a domain the one below it."""
    base: str = definition.facts.get("base") or definition.facts["type"]
    return base


def _enum(old: Definition, new: Definition) -> Change | None:
    before, after = old.facts["labels"], new.facts["labels"]
    if [label for label in after if label in before] != before:
        return None
    there, statements = list(before), []
    for place, label in enumerate(after):
        if label in there:
            continue
        where = ""
        if place < len(there):
            where = f" AFTER {pg_text(after[place - 1])}" if place else f" BEFORE {pg_text(there[0])}"
        statements.append(f"ALTER {named(new)} ADD VALUE {pg_text(label)}{where}")
        there.insert(place, label)
    return Change(tuple(statements), fresh=tuple(label for label in after if label not in before))


def _composite(old: Definition, new: Definition) -> Change | None:
    before, after = old.facts.get("attributes", []), new.facts.get("attributes", [])
    kept = [one for one in before if one in after]
    added = after[len(kept) :]
    names = {one["name"] for one in before}
    if after[: len(kept)] != kept or any(one["name"] in names for one in added):
        return None
    gone = (f"DROP ATTRIBUTE {pg_name(one['name'])}" for one in before if one not in kept)
    words = (*gone, *(f"ADD ATTRIBUTE {attribute(one)}" for one in added))
    return Change(tuple(f"{altered(new)} {one}" for one in words))


def _using(column: str, old: str, new: str, type_: str) -> str:
    """The expression over a quoted column that makes values of `type_`, a domain over `new` or the same.

    Empty where the server's own cast is best: an explicit one to a shorter type cuts texts off, the server's
    own refuses them.
    """
    before, after = _unsized(old), _unsized(new)
    if any(before in one and after in one for one in _FAMILIES) or after in _TEXTS:
        return ""
    if before in _TEXTS:
        return f"{column}::{type_}"
    if before in _FAMILIES[0] and after == "boolean":
        return f"{column} <> 0"
    if before == "boolean" and after in _FAMILIES[0]:
        return f"{column}::integer"
    # Also for a type of the same name that is not the same type.
    return "" if before == after and "." not in after else f"{column}::text::{type_}"


def _lengthens(old: str, new: str) -> bool:
    """Whether the values stay as they lie there, and have more room: the server keeps indexes over them."""
    same = new == "text" or re.sub(r"\(\d+", "", old) == re.sub(r"\(\d+", "", new)
    return old.startswith(_LENGTHENED) and not old.endswith("]") and same and widens(old, new)


def _unsized(type_: str) -> str:
    """Without lengths and brackets: ``timestamp(3) without time zone[]`` is a timestamp."""
    return re.sub(r"\([\d,]+\)|\[\]$", "", type_)
