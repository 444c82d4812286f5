"""Columns and their defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from converge.model.definitions import Definition
from converge.model.quote import pg_name
from converge.planner.difference.kinds import sequence
from converge.planner.difference.kinds.casts import lengthens, using
from converge.planner.difference.kinds.kind import (
    Change,
    Kind,
    changed_options,
    differing,
    options,
    table_name,
    with_options,
)

_TAKEN_ALONG = frozenset({"index", "constraint", "foreign key"})
_ALWAYS = {"a": "ALWAYS", "d": "BY DEFAULT"}
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}


class Column(Kind):
    rank = 7
    comment_on = "COLUMN"

    def named(self, it: Definition) -> str:
        return f"COLUMN {table_name(it)}.{pg_name(it.facts['name'])}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        default = next((one for one in parts if one.kind == "default"), None)
        yield f"ALTER TABLE {table_name(it)} ADD COLUMN {in_words(it, default)}"

    def settle(self, it: Definition) -> Iterator[str]:
        yield from _storage(it, it.facts.keys() & {"storage"})
        if "statistics" in it.facts:
            yield f"{_start(it)} SET STATISTICS {it.facts['statistics']}"
        if "options" in it.facts:
            yield f"{_start(it)} SET {with_options(options(it.facts))}"

    def drop(self, it: Definition) -> Iterator[str]:
        yield f"ALTER TABLE {table_name(it)} DROP COLUMN {pg_name(it.facts['name'])}"

    def change(self, old: Definition, new: Definition) -> Change | None:
        other = differing(old, new)
        retyped = bool(other & {"type", "collation"})
        generated = new.facts.get("generated")
        if generated is not None and (retyped or "generated" in other):
            return None
        statements = []
        if "generated" in other:
            statements.append(f"{_start(new)} DROP EXPRESSION")
        if "identity" in old.facts and "identity" not in new.facts:
            statements.append(f"{_start(new)} DROP IDENTITY")
        if "not null" in old.facts and "not null" not in new.facts:
            statements.append(f"{_start(new)} DROP NOT NULL")
        if retyped:
            statements += self.replaced(old, new)
        if "not null" in new.facts and "not null" not in old.facts:
            statements.append(f"{_start(new)} SET NOT NULL")
        along = "collation" not in other and lengthens(old.facts["type"], new.facts["type"])
        but = _TAKEN_ALONG if along else frozenset[str]()
        return Change((*statements, *_identity(old, new), *_kept(old, new)), around=retyped, but=but)

    def replaced(self, old: Definition, new: Definition) -> Sequence[str]:
        collation = f" COLLATE {new.facts['collation']}" if "collation" in new.facts else ""
        cast = using(pg_name(new.facts["name"]), _base(old), _base(new), new.facts["type"])
        statement = f"{_start(new)} TYPE {new.facts['type']}{collation}{f' USING {cast}' if cast else ''}"
        # The server forgets with the type how its values were kept.
        return statement, *_storage(new, set(new.facts))

    def made_with(self, it: Definition) -> str | None:
        return self.gone_with(it)

    def comments(self, it: Definition) -> Mapping[str, str | None]:
        own = {self.named(it): it.facts.get("comment")}
        if "sequence" in it.facts:
            own[f"SEQUENCE {_sequence_name(it)}"] = it.facts.get("sequence comment")
        return own


class Default(Kind):
    rank = 7

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield f"{_start(it)} SET DEFAULT {it.facts['expression']}"

    def drop(self, it: Definition) -> Iterator[str]:
        yield f"{_start(it)} DROP DEFAULT"

    def change(self, old: Definition, new: Definition) -> Change | None:
        return Change(tuple(self.make(new, ())))

    def made_with(self, it: Definition) -> str | None:
        of: str = it.facts["of"]
        return of if of.startswith("column ") else None

    def comments(self, it: Definition) -> dict[str, str | None]:
        return {}


def in_words(it: Definition, default: Definition | None) -> str:
    """A column as CREATE TABLE and ADD COLUMN write it."""
    facts = it.facts
    words = [pg_name(facts["name"]), facts["type"]]
    if "compression" in facts:
        words.append(f"COMPRESSION {_COMPRESSION[facts['compression']]}")
    if "collation" in facts:
        words.append(f"COLLATE {facts['collation']}")
    if "generated" in facts:
        words.append(f"GENERATED ALWAYS AS ({facts['generated']}) STORED")
    if "identity" in facts:
        words.append(f"GENERATED {_ALWAYS[facts['identity']]} AS IDENTITY{_identity_options(it)}")
    if default is not None:
        words.append(f"DEFAULT {default.facts['expression']}")
    if "not null" in facts:
        words.append("NOT NULL")
    return " ".join(words)


def _start(it: Definition) -> str:
    return f"ALTER TABLE {table_name(it)} ALTER COLUMN {pg_name(it.facts['name'])}"


def _base(it: Definition) -> str:
    """The type that holds the values: of a domain the one below it."""
    base: str = it.facts.get("base") or it.facts["type"]
    return base


def _sequence_name(it: Definition) -> str:
    return pg_name(it.facts["sequence"]["schema"], it.facts["sequence"]["name"])


def _identity_options(it: Definition) -> str:
    """In brackets; nothing where the server chooses the same."""
    of: Mapping[str, Any] = it.facts["sequence"]
    usual = f"{it.facts['table']}_{it.facts['name']}_seq"
    named = of["name"] == usual and of["schema"] == it.facts["schema"]
    said = ([] if named else [f"SEQUENCE NAME {_sequence_name(it)}"]) + sequence.said_options(of)
    return f" ({' '.join(said)})" if said else ""


def _identity(old: Definition, new: Definition) -> Iterator[str]:
    before, after = old.facts.get("identity"), new.facts.get("identity")
    if after is None:
        return
    if before is None:
        yield f"{_start(new)} ADD GENERATED {_ALWAYS[after]} AS IDENTITY{_identity_options(new)}"
        yield sequence.caught_up(new.facts["sequence"], table_name(new), pg_name(new.facts["name"]))
        return
    if before != after:
        yield f"{_start(new)} SET GENERATED {_ALWAYS[after]}"
    was, now = old.facts["sequence"], new.facts["sequence"]
    if was["name"] != now["name"]:
        yield f"ALTER SEQUENCE {_sequence_name(old)} RENAME TO {pg_name(now['name'])}"
        if "sequence comment" in old.facts:
            # Comments are compared by what they are on, which has a new name.
            yield f"COMMENT ON SEQUENCE {_sequence_name(new)} IS NULL"
    if said := sequence.changed_options(was, now):
        yield f"{_start(new)} {' '.join(f'SET {one}' for one in said)}"


def _kept(old: Definition, new: Definition) -> Iterator[str]:
    """How the values are kept: nothing that changes them."""
    other = differing(old, new)
    if not other & {"type", "collation"}:
        yield from _storage(new, other)
    if "statistics" in other:
        yield f"{_start(new)} SET STATISTICS {new.facts.get('statistics', -1)}"
    yield from changed_options(_start(new), old.facts, new.facts)


def _storage(it: Definition, names: set[str]) -> Iterator[str]:
    """Those of storage and compression that are named, of which a fact that is missing means the usual."""
    if "storage" in names:
        storage = it.facts.get("storage") or it.facts.get("usual storage", "x")
        yield f"{_start(it)} SET STORAGE {_STORAGE[storage]}"
    if "compression" in names:
        compression = it.facts.get("compression")
        yield f"{_start(it)} SET COMPRESSION {_COMPRESSION[compression] if compression else 'DEFAULT'}"
