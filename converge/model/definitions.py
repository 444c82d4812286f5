"""Everything of one PostgreSQL schema, as values.

What belongs to an installation is no part of it: owners, rights, tablespaces, publications, rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from converge.model.existing import difference

ASIDE = "comment"
"""Facts whose names end so say something about an object and change nothing else."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One object."""

    kind: str
    """One of `RANKS` in `planner/difference/statements`, which knows how it is made and removed; else
    ``unwritten``."""
    object: str
    """Its name for people and for `Definition.needs`, e.g. ``column public.film.length``."""
    facts: Mapping[str, Any]
    """All that makes it what it is, as its query (``define_<kind>.sql``) tells: JSON values,
    names unquoted."""
    needs: frozenset[str]
    """Objects without which it cannot be; those outside of the schema are not named."""

    @property
    def text(self) -> str:
        """The text by which it is compared: what it needs follows from its facts."""
        return json.dumps([self.kind, dict(self.facts)], sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True)
class Definitions:
    """A schema. Two are the same when their digests are: the order of columns does not count."""

    schema: str
    objects: Mapping[str, Definition]
    """Objects by name; columns in the order of their tables."""
    unwritten: Mapping[str, Definition] = field(default_factory=dict)
    """Objects for which no DDL is written, and all that needs or hangs on them: they are only compared."""
    left_out: tuple[str, ...] = ()
    """The unwritten ones for people, each with its kind and name; without what hangs on them."""

    @property
    def every(self) -> Mapping[str, Definition]:
        """All objects, whether DDL is written for them or not."""
        return {**self.objects, **self.unwritten}

    @property
    def digest(self) -> str:
        """SHA-256 of all objects, in hex: equal for equal definitions."""
        texts = sorted(f"{name} {one.text}" for name, one in self.every.items())
        return hashlib.sha256("\n".join(texts).encode()).hexdigest()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing but the schema itself, or not even that."""
        return all(one.kind == "schema" for one in self.every.values())

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables, without their schema."""
        return tuple(one.facts["name"] for one in self.every.values() if one.kind == "table")


NOTHING = Definitions("", {})
"""What an empty database has."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement that brings a schema nearer to another."""

    object: str
    """What it makes, changes or removes, e.g. ``table public.film``."""
    sql: str
    """Without a final semicolon."""


@dataclass(frozen=True, slots=True)
class Differs:
    """An object that two schemas define differently."""

    object: str
    before: str
    """Its definition as a text; empty where it is missing."""
    after: str

    @property
    def words(self) -> str:
        """What has become of it: gone, new, or each fact with both values."""
        was, now = (json.dumps(json.loads(text)[1]) if text else None for text in (self.before, self.after))
        return difference(was, now)
