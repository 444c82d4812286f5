"""The target's own tables as `--mode load` meets them: made by the application's migrations."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

from converge.model.quote import pg_name, pg_text
from converge.model.words import counted

OFF = "DISABLE"
"""State of a trigger that is switched off."""
ROWS_LIMIT = 10_001
"""Rows that are counted at most, to tell seeded rows from a table in use."""


@dataclass(frozen=True, slots=True)
class OwnColumn:
    name: str
    type: str
    """The type as PostgreSQL prints it, e.g. ``character varying(44)``."""
    base: str
    """The type that holds the values: of a domain the one below it."""
    labels: tuple[str, ...]
    """Labels of an enum; else empty."""
    nullable: bool
    default: str
    """Expression; empty without one."""
    generated: str
    """Expression of a stored generated column; empty for others."""
    identity: bool
    sequence: str
    """Quoted name of the sequence that gives it its next value; empty without one."""
    collation: str
    """Quoted; empty for the database's own."""


@dataclass(frozen=True, slots=True)
class OwnIndex:
    name: str
    columns: tuple[str, ...]
    """Its key; an empty name stands for an expression."""
    unique: bool
    primary: bool
    nulls_distinct: bool
    predicate: str
    """Condition of a partial index; empty for others."""
    method: str
    remove: str
    """The statement that removes it; empty where not all of it could be restored: then it stays."""
    restore: tuple[str, ...]
    """Statements that put it back as it was, its comments included."""
    valid: bool = True
    """Whether queries use it, and it keeps rows apart; records of earlier versions do not say so."""
    keys: tuple[str, ...] = ()
    """Its key as the server prints it, expressions included; records of earlier versions have none."""


@dataclass(frozen=True, slots=True)
class OwnCheck:
    name: str
    definition: str
    """``CHECK (…)`` or ``EXCLUDE …``."""
    columns: tuple[str, ...]

    @property
    def condition(self) -> str:
        """What no new row may break; empty for an exclusion constraint."""
        # NOT VALID spares the rows that are there.
        text = self.definition.removesuffix(" NOT VALID").removesuffix(" NO INHERIT")
        return text[len("CHECK (") : -1] if text.startswith("CHECK (") else ""

    def broken(self, table: str) -> str:
        """FROM and WHERE of the rows of its table, given by its quoted name, that break the condition."""
        return f"FROM {table} WHERE NOT ({self.condition})"


@dataclass(frozen=True, slots=True)
class OwnForeignKey:
    name: str
    table: str
    """Quoted name of the table that has it, which may be in another schema."""
    columns: tuple[str, ...]
    parent: str
    """Quoted name of the table that it refers to."""
    parent_columns: tuple[str, ...]
    definition: str
    """``FOREIGN KEY … REFERENCES …``, without NOT VALID."""
    validated: bool
    comment: str
    partitioned: bool = False
    """Its table is, so that it cannot be added unchecked."""
    off: bool = False
    """Somebody has switched its triggers off."""
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    """Records of earlier versions do not have the actions."""
    grants: str = ""
    """Statements that let the role add it again; empty where it may."""
    object: str = ""
    """Its name in `Existing.shape`; records of earlier versions do not have it."""

    @property
    def remove(self) -> str:
        """The statement that removes it."""
        return f"ALTER TABLE {self.table} DROP CONSTRAINT IF EXISTS {pg_name(self.name)}"

    @property
    def restore(self) -> tuple[str, ...]:
        """Statements that put it back, so that it holds for new rows; `validate` checks the others."""
        name = pg_name(self.name)
        comment = f"COMMENT ON CONSTRAINT {name} ON {self.table} IS {pg_text(self.comment)}"
        unchecked = "" if self.partitioned else " NOT VALID"
        add = f"ALTER TABLE {self.table} ADD CONSTRAINT {name} {self.definition}{unchecked}"
        return (add, comment) if self.comment else (add,)

    @property
    def validate(self) -> str:
        """The statement that has all rows checked; empty for one whose rows never were."""
        asked = self.validated and not self.partitioned
        return f"ALTER TABLE {self.table} VALIDATE CONSTRAINT {pg_name(self.name)}" if asked else ""

    @property
    def switch_on(self) -> str:
        """Statements for a key that is off, which only a superuser could restore so."""
        # Some of its triggers are its parent's.
        tables = dict.fromkeys((self.table, self.parent))
        ways = [*(f"ALTER TABLE {name} ENABLE TRIGGER ALL;" for name in tables), f"-- or: {self.remove};"]
        return "\n".join(ways)

    @property
    def orphans(self) -> str:
        """The query that counts rows without a parent (MATCH SIMPLE: a NULL refers to nothing)."""
        pairs = [*zip(map(pg_name, self.columns), map(pg_name, self.parent_columns), strict=True)]
        filled = " AND ".join(f"c.{column} IS NOT NULL" for column, _ in pairs)
        same = " AND ".join(f"p.{other}=c.{column}" for column, other in pairs)
        there = f"NOT EXISTS (SELECT FROM {self.parent} AS p WHERE {same})"
        return f"SELECT count(*) FROM {self.table} AS c WHERE {filled} AND {there}"


@dataclass(frozen=True, slots=True)
class OwnTrigger:
    name: str
    enabled: str
    """ENABLE, DISABLE, ENABLE REPLICA or ENABLE ALWAYS."""
    before_update: bool = False
    """Whether it may set columns of a row that is updated; records of earlier versions do not say so."""

    def switch(self, table: str, enabled: str) -> str:
        """The statement that gives it another state, on its table's quoted name."""
        return f"ALTER TABLE {table} {enabled} TRIGGER {pg_name(self.name)}"


@dataclass(frozen=True, slots=True)
class OwnTable:
    name: str
    quoted: str
    """The quoted name, with its schema."""
    columns: tuple[OwnColumn, ...]
    indexes: tuple[OwnIndex, ...]
    triggers: tuple[OwnTrigger, ...]
    owned: bool
    """Whether the role may drop its keys and restore them."""
    owner: str
    rows: int
    """Counted up to ROWS_LIMIT."""
    obstacle: str
    """Why it cannot be loaded: a partition, a parent of others, row security; empty when it can."""
    conditions: tuple[OwnCheck, ...] = ()
    """CHECK and exclusion constraints; records of earlier versions have none."""

    @property
    def row_words(self) -> str:
        """How many rows it has, in words."""
        if self.rows >= ROWS_LIMIT:
            return f"more than {ROWS_LIMIT - 1:,} rows"
        return counted(self.rows, "row")

    @property
    def deferrable(self) -> bool:
        """Whether one of its constraints may be broken until a transaction ends."""
        return any(" DEFERRABLE" in sql for index in self.indexes for sql in index.restore)

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of the primary key; empty without one."""
        return next((index.columns for index in self.indexes if index.primary), ())


@dataclass(frozen=True)
class Existing:
    """A schema's tables, and a text for each object of its catalog, by which it is compared later."""

    tables: tuple[OwnTable, ...]
    foreign_keys: tuple[OwnForeignKey, ...]
    """On the tables, and on others to them."""
    sequences: Mapping[str, tuple[int, bool]]
    """Quoted names with their last value, and whether that was given out."""
    views: tuple[str, ...]
    shape: Mapping[str, str]
    """Object → definition, of all that is in the schema or hangs on its tables."""
    materialized: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Quoted names of materialized views, in the order in which they can be refreshed, each with the tables
    that it reads."""
    reader: int = 1
    """Which reader of the catalog this is from, as in `Made`."""
    sequence_grants: Mapping[str, str] = field(default_factory=dict)
    """By quoted names of sequences of columns that the role may not read and set, the GRANT that lets it."""

    @cached_property
    def by_name(self) -> Mapping[str, OwnTable]:
        return {table.name: table for table in self.tables}

    def sequence(self, schema: str, name: str) -> Mapping[str, Any] | None:
        """What the catalog says of the schema's sequence of this name, whoever uses it; None without one."""
        for first, second in product(_spelled(schema), _spelled(name)):
            if text := self.shape.get(f"sequence {first}.{second}"):
                return {**json.loads(text), "name": name}
        return None

    def largest(self, sequence: str) -> int | None:
        """The last value that a sequence, given by its quoted name, can give."""
        text = self.shape.get(f"sequence {sequence}")
        return int(json.loads(text)["max"]) if text else None

    def keys_of(self, tables: Container[str]) -> tuple[OwnForeignKey, ...]:
        """The foreign keys on or to some tables, given by their quoted names."""
        return tuple(key for key in self.foreign_keys if key.table in tables or key.parent in tables)

    def shape_after(self, statements: Container[str]) -> Mapping[str, str]:
        """The shape that a plan's statements leave: keys that they add and do not validate are NOT VALID."""
        shape = dict(self.shape)
        for key in self.foreign_keys:
            added = ";\n".join(key.restore) in statements
            if key.object and key.validate and added and key.validate not in statements:
                facts = json.loads(shape[key.object]) | {"definition": f"{key.definition} NOT VALID"}
                shape[key.object] = text_of(facts)
        return shape

    def set_aside(self, tables: Sequence[OwnTable]) -> tuple[list[str], list[str], list[str]]:
        """The tables to lock before the foreign keys and triggers of these tables are removed, the statements
        that remove them, and those that restore them: keys check new rows again, old ones are not validated.
        """
        keys = self.keys_of([table.quoted for table in tables])
        switched = [
            (one.quoted, trigger) for one in tables for trigger in one.triggers if trigger.enabled != OFF
        ]
        locked = [name for key in keys for name in (key.table, key.parent)] + [name for name, _ in switched]
        remove = [*(key.remove for key in keys), *(trigger.switch(name, OFF) for name, trigger in switched)]
        restore = [
            "SET CONSTRAINTS ALL IMMEDIATE",
            *(trigger.switch(name, trigger.enabled) for name, trigger in switched),
            *(statement for key in keys for statement in key.restore),
        ]
        return list(dict.fromkeys(locked)), remove, restore


def text_of(facts: Mapping[str, Any]) -> str:
    """What the shape has of an object."""
    return json.dumps(facts, sort_keys=True, ensure_ascii=False)


def _spelled(name: str) -> tuple[str, str]:
    """As the server may print it: quoted where it must be."""
    return name, pg_name(name)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is gone, new or changed between two shapes, each with both texts."""
    return [
        f"{name} {words}"
        for name in sorted(before.keys() | after.keys())
        if (words := difference(before.get(name), after.get(name)))
    ]


def difference(was: str | None, now: str | None, ignored: Container[str] = ()) -> str:
    """How an object's text has changed, but for the ignored keys; empty where it has not."""
    if was is None or now is None:
        return f"is gone: {_brief(was)}" if was is not None else f"is new: {_brief(now)}" if now else ""
    if was == now:
        return ""
    old, new = json.loads(was), json.loads(now)
    changed = sorted(
        key for key in old.keys() | new.keys() if key not in ignored and old.get(key) != new.get(key)
    )
    parts = ("{} was {}, is {}".format(key, *_texts(old.get(key), new.get(key))) for key in changed)
    return f"has changed: {'; '.join(parts)}" if changed else ""


def _texts(*values: object) -> list[str]:
    """Two values of a key; a switch, of which the catalog has only what is on, is on or off."""
    if all(value is None or isinstance(value, bool) for value in values):
        return ["on" if value else "off" for value in values]
    return [*map(_text, values)]


def _brief(text: str) -> str:
    """What the object is in the server's own words, else all that is known of it."""
    known = json.loads(text)
    return str(known.get("definition") or known.get("query") or text)


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
