"""Reads everything in a schema, once: as values from which it can be made again, and as texts to compare.

Each query ``define_<kind>.sql`` tells of its objects: their address (classid, objid, objsubid, as in
pg_depend), their kind (NULL where another object's DDL makes them), name and facts, what belongs to the
installation (owners, privileges, tablespaces, places of columns), and what only load mode asks for. What
tables, views and sequences have alike stands in ``relation_setup.sql``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from converge.model.definitions import Definition, Definitions
from converge.model.existing import text_of
from converge.postgres.query import rows as query_rows
from converge.resources import sql

_KINDS = (
    "schema", "extension", "collation", "type", "sequence", "function", "aggregate", "table", "view",
    "column", "default", "ownership", "constraint", "index", "statistics", "rule", "trigger", "policy",
    "publication",
)  # fmt: skip
"""What hangs on something else comes after it."""
_COMPARED = tuple(kind for kind in _KINDS if kind not in ("extension", "ownership"))
"""Each sequence tells of its owner, too; extensions are not the schema's own."""
_NAMING = frozenset({"schema", "name", "table", "domain", "form", "sequence comment", "index comment"})
"""Facts that an object's name, or the text of another object, tells as well."""

_Address = tuple[int, int, int]


class Row(NamedTuple):
    """One object as its query tells of it."""

    class_: int
    oid: int
    sub: int
    kind: str | None
    name: str
    facts: dict[str, Any]
    setup: dict[str, Any]
    load: Any = None

    @property
    def address(self) -> _Address:
        return self[:3]


@contextmanager
def one_instant(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A snapshot in which the server prints every name with its schema."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL search_path = pg_catalog")
        yield


def read_rows(
    connection: psycopg.Connection[Any],
    schema: str,
    kinds: Iterable[str] = _COMPARED,
    *,
    load: bool = False,
) -> dict[str, list[Row]]:
    """All objects in the schema or on its tables, by their queries; inside of `one_instant`."""
    asked, found = {"schema": schema, "load": load}, {}
    relation = sql("converge.postgres", "relation_setup")
    for kind in kinds:
        text = sql("converge.postgres", f"define_{kind}").replace("{relation}", relation)
        found[kind] = [Row(*row) for row in connection.execute(text.encode(), asked)]
    return found


def shape_now(connection: psycopg.Connection[Any], schema: str) -> dict[str, str]:
    """A text for each object, by which a catalog is compared later; writes nothing."""
    with one_instant(connection):
        return shape_of(read_rows(connection, schema))


def shape_of(rows: Mapping[str, list[Row]]) -> dict[str, str]:
    """Object → definition as JSON, without OIDs, rows and values of sequences."""
    told = (row for kind in _COMPARED if kind != "default" for row in rows[kind])
    found = {row.name: {**row.facts, **row.setup} for row in told}
    for row in rows["column"]:
        # That of an identity is an object of its own.
        found[row.name].pop("sequence", None)
    for row in rows["default"]:
        found[row.name.removeprefix("default of ")]["default"] = row.facts["expression"]
    return {name: _text(facts) for name, facts in sorted(found.items())}


def _text(facts: Mapping[str, Any]) -> str:
    return text_of({key: value for key, value in facts.items() if key not in _NAMING})


def read_definitions(
    connection: psycopg.Connection[Any], schema: str, *, without: Collection[str] = ("alembic_version",)
) -> Definitions:
    """The schema in one snapshot; writes nothing. `without` are tables to leave out with all that needs them.

    What an extension has brought is left out; extensions that the schema needs are part of it.
    """
    with one_instant(connection):
        every = read_rows(connection, schema, _KINDS).values()
        odd = query_rows(connection, "define_unwritten", schema=schema)
        depends = query_rows(connection, "define_needs", schema=schema)
    rows = {row.address: row for kind in every for row in kind if row.kind is not None}
    labels = {}
    for class_, oid, sub, label, facts in odd:
        row = rows.setdefault((class_, oid, sub), Row(class_, oid, sub, "unwritten", label, {}, {}))
        row.facts.update(facts)
        labels[row.name] = label
    found = _found(rows, _Links(depends, {address: row.name for address, row in rows.items()}))
    out = {name for name, one in found.items() if one.kind == "table" and one.facts["name"] in without}
    found = _without(found, out)
    written = _without(found, set(labels))
    unwritten = {name: one for name, one in found.items() if name not in written}
    # What hangs on something else goes with it unsaid.
    left_out = (
        labels.get(name, f"{name} (needs what is left out)")
        for name, one in unwritten.items()
        if name in labels or one.facts.get("of") not in unwritten
    )
    return Definitions(schema, _used(written), unwritten, tuple(sorted(left_out)))


def _found(rows: Mapping[_Address, Row], links: _Links) -> dict[str, Definition]:
    """All objects that are not an extension's, nor hang on such a one."""
    found: dict[str, Definition] = {}
    for row in rows.values():
        of = None if row.kind == "sequence" else row.facts.get("of")
        if row.address in links.members or (of and of not in found):
            continue
        needs = links.needs(row.address) | set(row.facts.pop("needs", ()))
        needs -= {row.name, "schema public"}
        found[row.name] = Definition(row.kind or "", row.name, row.facts, frozenset(needs))
    return found


class _Links:
    """What the objects need, by pg_depend."""

    def __init__(self, depends: list[tuple[Any, ...]], names: Mapping[_Address, str]) -> None:
        self._names = names
        self._parts: dict[_Address, _Address] = {}
        """Addresses of what is internal to something else, or an extension's."""
        self.members: set[_Address] = set()
        """What extensions have brought."""
        self._direct: defaultdict[_Address, list[_Address]] = defaultdict(list)
        for class_, oid, sub, other_class, other, other_sub, kind in depends:
            at, to = (class_, oid, sub), (other_class, other, other_sub)
            if kind == "e":
                self.members.add(at)
            if kind in "ei":
                self._parts.setdefault(at, to)
            self._direct[at].append(to)
        self._all: defaultdict[str, set[str]] = defaultdict(set)
        for at, others in self._direct.items():
            for name in self._of(at):
                self._all[name] |= {found for to in others for found in self._of(to)} - {name}

    def needs(self, address: _Address) -> set[str]:
        """Names of the objects that the one at the address needs."""
        name = self._names[address]
        needs = set(self._all[name])
        if address[2]:
            needs |= set(self._of((address[0], address[1], 0)))
        return needs - {name}

    def _of(self, address: _Address) -> Iterator[str]:
        """The object that has an address, or whose part it is; nothing for what is none of ours."""
        seen = set()
        while address not in seen:
            seen.add(address)
            whole = (*address[:2], 0)
            if whole not in self.members and address in self._names:
                yield self._names[address]
                return
            address = self._parts.get(address) or self._parts.get(whole) or whole


def _without(found: Mapping[str, Definition], out: set[str]) -> dict[str, Definition]:
    """All but some objects, what needs or hangs on them, and the sequences that belong to them."""
    out = set(out)
    while True:
        more = {
            name
            for name, one in found.items()
            if name not in out and (one.needs & out or one.facts.get("of") in out)
        }
        if not more:
            return {name: one for name, one in found.items() if name not in out}
        out |= more


def _used(found: Mapping[str, Definition]) -> dict[str, Definition]:
    """Without extensions that nothing needs."""
    needed = {name for one in found.values() for name in one.needs if one.kind != "extension"}
    needed |= {name for name, one in found.items() if one.kind == "extension" and one.facts["called"]}
    while more := {other for name in needed if name in found for other in found[name].needs} - needed:
        needed |= more
    kept = {}
    for name, one in found.items():
        if one.kind == "extension":
            if name not in needed:
                continue
            facts = {key: value for key, value in one.facts.items() if key != "called"}
            one = Definition(one.kind, name, facts, one.needs)
        kept[name] = one
    return kept
