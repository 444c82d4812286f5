"""Types: enums, domains, composite types, ranges; and collations, which columns have as they have types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from converge.model.definitions import Definition
from converge.model.quote import pg_name, pg_text
from converge.planner.difference.kinds.kind import Change, Kind, differing, own_name


class _Type(Kind):
    rank = 3
    typed = True
    comment_on = "TYPE"


class Enum(_Type):
    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield f"CREATE TYPE {own_name(it)} AS ENUM ({', '.join(map(pg_text, it.facts['labels']))})"

    def change(self, old: Definition, new: Definition) -> Change | None:
        before, after = old.facts["labels"], new.facts["labels"]
        if [label for label in after if label in before] != before:
            return None
        there, statements = list(before), []
        for place, label in enumerate(after):
            if label in there:
                continue
            if place:
                where = f" AFTER {pg_text(after[place - 1])}"
            else:
                where = f" BEFORE {pg_text(there[0])}" if there else ""
            if there and place == len(there):
                where = ""
            statements.append(f"ALTER TYPE {own_name(new)} ADD VALUE {pg_text(label)}{where}")
            there.insert(place, label)
        fresh = tuple(label for label in after if label not in before)
        return Change(tuple(statements), fresh=fresh)


class Domain(_Type):
    comment_on = "DOMAIN"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        words = [f"CREATE DOMAIN {own_name(it)} AS {it.facts['base']}"]
        if "collation" in it.facts:
            words.append(f"COLLATE {it.facts['collation']}")
        if "default" in it.facts:
            words.append(f"DEFAULT {it.facts['default']}")
        if "not null" in it.facts:
            words.append(_not_null(it))
        words += [f"CONSTRAINT {pg_name(one.facts['name'])} {one.facts['definition']}" for one in parts]
        yield " ".join(words)

    def change(self, old: Definition, new: Definition) -> Change | None:
        other = differing(old, new)
        if other - {"default", "not null", "comment"}:
            return None
        start, statements = f"ALTER DOMAIN {own_name(new)}", []
        if "default" in other:
            default = new.facts.get("default")
            statements.append(
                f"{start} DROP DEFAULT" if default is None else f"{start} SET DEFAULT {default}"
            )
        if "not null" in other:
            if "not null" in old.facts:
                statements.append(f"{start} DROP NOT NULL")
            if "not null" in new.facts:
                words = _not_null(new)
                statements.append(f"{start} {'SET' if words == 'NOT NULL' else 'ADD'} {words}")
        return Change(tuple(statements))


def _not_null(it: Definition) -> str:
    """Its constraint can have a name of its own since PostgreSQL 17."""
    name = it.facts["not null"]
    return f"CONSTRAINT {pg_name(name)} NOT NULL" if name else "NOT NULL"


class Composite(_Type):
    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        attributes = ",\n".join(f"    {_attribute(one)}" for one in it.facts.get("attributes", ()))
        yield (
            f"CREATE TYPE {own_name(it)} AS (\n{attributes}\n)"
            if attributes
            else (f"CREATE TYPE {own_name(it)} AS ()")
        )

    def change(self, old: Definition, new: Definition) -> Change | None:
        before, after = old.facts.get("attributes", []), new.facts.get("attributes", [])
        kept = [one for one in before if one in after]
        added = after[len(kept) :]
        names = {one["name"] for one in before}
        if after[: len(kept)] != kept or any(one["name"] in names for one in added):
            return None
        start = f"ALTER TYPE {own_name(new)}"
        return Change(
            (
                *(f"{start} DROP ATTRIBUTE {pg_name(one['name'])}" for one in before if one not in kept),
                *(f"{start} ADD ATTRIBUTE {_attribute(one)}" for one in added),
            )
        )

    def comments(self, it: Definition) -> Mapping[str, str | None]:
        said = it.facts.get("attribute comments", {})
        of = (one["name"] for one in it.facts.get("attributes", ()))
        parts = {f"COLUMN {own_name(it)}.{pg_name(name)}": said.get(name) for name in of}
        return {**super().comments(it), **parts}


def _attribute(one: Mapping[str, Any]) -> str:
    collation = f" COLLATE {one['collation']}" if one.get("collation") else ""
    return f"{pg_name(one['name'])} {one['type']}{collation}"


class Range(_Type):
    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        said = ", ".join(f"{name} = {value}" for name, value in it.facts["range"].items())
        yield f"CREATE TYPE {own_name(it)} AS RANGE ({said})"


class Collation(Kind):
    rank = 2
    typed = True
    comment_on = "COLLATION"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        said = [f"provider = {it.facts['provider']}"]
        said += [
            f"{name} = {pg_text(it.facts[name])}"
            for name in ("locale", "lc_collate", "lc_ctype", "rules")
            if name in it.facts
        ]
        if not it.facts["deterministic"]:
            said.append("deterministic = false")
        yield f"CREATE COLLATION {own_name(it)} ({', '.join(said)})"
