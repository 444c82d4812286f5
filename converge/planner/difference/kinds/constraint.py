"""Constraints of tables and domains, with the indexes that keys have, and indexes of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converge.model.definitions import Definition
from converge.model.quote import pg_name
from converge.planner.difference.kinds.kind import (
    Change,
    Kind,
    changed_options,
    differing,
    options,
    own_name,
    table_name,
    with_options,
)

_NOT_VALID = " NOT VALID"


def inline(it: Definition) -> str:
    """As CREATE TABLE writes it."""
    return f"CONSTRAINT {pg_name(it.facts['name'])} {it.facts['definition']}"


class Constraint(Kind):
    rank = 9

    def named(self, it: Definition) -> str:
        domain = "DOMAIN " if "domain" in it.facts else ""
        return f"CONSTRAINT {pg_name(it.facts['name'])} ON {domain}{_holder(it)}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield f"{_alter(it)} ADD {inline(it)}"

    def settle(self, it: Definition) -> Iterator[str]:
        if "options" in it.facts:
            yield f"ALTER INDEX {own_name(it)} SET {with_options(options(it.facts))}"
        yield from _marked(it)

    def drop(self, it: Definition) -> Iterator[str]:
        yield from _unmarked(it)
        yield f"{_alter(it)} DROP CONSTRAINT {pg_name(it.facts['name'])}"

    def change(self, old: Definition, new: Definition) -> Change | None:
        other = differing(old, new) - {"definition", "options", "clustered", "replica identity"}
        validated = old.facts["definition"] == new.facts["definition"] + _NOT_VALID
        if any(not name.endswith("comment") for name in other):
            return None
        if "definition" in differing(old, new) and not validated:
            return None
        statements = [f"{_alter(new)} VALIDATE CONSTRAINT {pg_name(new.facts['name'])}"] if validated else []
        statements += changed_options(f"ALTER INDEX {own_name(new)}", old.facts, new.facts)
        return Change((*statements, *_remarked(old, new)))

    def made_with(self, it: Definition) -> str | None:
        apart = it.facts["form"] == "f" or it.facts["definition"].endswith(_NOT_VALID)
        return None if apart else self.gone_with(it)

    def comments(self, it: Definition) -> Mapping[str, str | None]:
        own = {self.named(it): it.facts.get("comment")}
        if it.facts["form"] in "pux":
            own[f"INDEX {own_name(it)}"] = it.facts.get("index comment")
        return own


class ForeignKey(Constraint):
    rank = 13


class Index(Kind):
    rank = 10
    comment_on = "INDEX"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield it.facts["definition"]

    def settle(self, it: Definition) -> Iterator[str]:
        for number, target in it.facts.get("statistics", {}).items():
            yield f"ALTER INDEX {own_name(it)} ALTER COLUMN {number} SET STATISTICS {target}"
        yield from _marked(it)

    def drop(self, it: Definition) -> Iterator[str]:
        yield from _unmarked(it)
        yield f"DROP {self.named(it)}"

    def change(self, old: Definition, new: Definition) -> Change | None:
        if differing(old, new) - {"clustered", "replica identity", "comment"}:
            return None
        return Change(tuple(_remarked(old, new)))


def _holder(it: Definition) -> str:
    return pg_name(it.facts["schema"], it.facts.get("domain") or it.facts["table"])


def _alter(it: Definition) -> str:
    return f"ALTER {'DOMAIN' if 'domain' in it.facts else 'TABLE'} {_holder(it)}"


def _marked(it: Definition) -> Iterator[str]:
    """What tables note of one of their indexes."""
    if "clustered" in it.facts:
        yield f"ALTER TABLE {table_name(it)} CLUSTER ON {pg_name(it.facts['name'])}"
    if "replica identity" in it.facts:
        yield f"ALTER TABLE {table_name(it)} REPLICA IDENTITY USING INDEX {pg_name(it.facts['name'])}"


def _unmarked(it: Definition) -> Iterator[str]:
    # A table whose index is gone would stay without any identity.
    if "replica identity" in it.facts:
        yield f"ALTER TABLE {table_name(it)} REPLICA IDENTITY DEFAULT"


def _remarked(old: Definition, new: Definition) -> Iterator[str]:
    if "clustered" in old.facts and "clustered" not in new.facts:
        yield f"ALTER TABLE {table_name(new)} SET WITHOUT CLUSTER"
    if "replica identity" not in new.facts:
        yield from _unmarked(old)
    if {"clustered", "replica identity"} & differing(old, new):
        yield from _marked(new)
