"""The source's foreign keys that join a table whose rows come back: none of them may lose its parent.

MySQL does not check them meanwhile, as tables come back one after the other. The values that may have lost
their parent are gathered beside the tables: those of parents before they change, and those of children when
they have changed. So what is looked at grows with the changes, and orphans of before are left alone; in a
table without a key, of which all rows are looked at, they are counted first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.model.endpoint import parse
from converge.model.finding import Finding
from converge.model.quote import my_name, my_text, pg_name
from converge.model.recorded import Recorded
from converge.model.table_plan import TablePlan
from converge.mysql.privileges import Privileges, read_privileges
from converge.mysql.query import fetch, rows
from converge.postgres.existing import read_existing
from converge.postgres.made import unchecked_keys
from converge.postgres.recorded import last_recorded
from converge.run.compared import Compared

_FAILING = "`converge_orphans`"
"""A table of texts that are unique, for `require_parents`."""
# Names have characters that the database's own character set may not have.
BEGIN_FAILING = f"CREATE TEMPORARY TABLE {_FAILING} (why VARCHAR(300) PRIMARY KEY) CHARACTER SET utf8mb4"
_MISSING, _DENIED = (1049, 1054, 1146), (1142, 1143)
"""Errors: no such database, column or table, and no privilege to read them."""


@dataclass(frozen=True, slots=True)
class Joining:
    """A foreign key, of any database of the server, of which one table at least is the source's."""

    number: int
    name: str
    database: str
    """The source's."""
    child: tuple[str, str]
    """Database and table; so of the parent."""
    parent: tuple[str, str]
    columns: tuple[str, ...]
    """Empty where the user may see nothing of the child, which is `denied` then."""
    parent_columns: tuple[str, ...]
    dangling: bool = False
    """Whether the parent does not exist: a session without checks may make such a key."""
    denied: tuple[tuple[str, str], ...] = ()
    """The tables of both that the user may not read."""

    def __str__(self) -> str:
        if not self.columns:
            return self.called(self.child)
        columns = ", ".join(self.columns)
        return f"{self.called(self.child)}.{columns if len(self.columns) == 1 else f'({columns})'}"

    def called(self, table: tuple[str, str]) -> str:
        """A table, with its database where that is not the source's."""
        return table[1] if table[0] == self.database else ".".join(table)

    def joins(self, table: str) -> bool:
        """Whether the source's table is one of its two."""
        return (self.database, table) in (self.child, self.parent)

    @property
    def begin(self) -> str:
        """The statement that makes the place for its values, of which either side may have the longer ones.

        It has a key for servers that ask for one (sql_require_primary_key).
        """
        sides = (
            f"SELECT {','.join(f'{my_name(one)} AS v{place}' for place, one in enumerate(columns))} "
            f"FROM {_full(table)} WHERE FALSE"
            for table, columns in ((self.child, self.columns), (self.parent, self.parent_columns))
        )
        return (
            f"CREATE TEMPORARY TABLE {self._values} (n BIGINT AUTO_INCREMENT PRIMARY KEY, "
            f"was_orphan BOOLEAN NOT NULL DEFAULT FALSE) AS {' UNION ALL '.join(sides)}"
        )

    def columns_of(self, table: str, *, after: bool) -> tuple[str, ...]:
        """Those of the source's table whose values have to be gathered: as a parent's before its rows change,
        as a child's `after` that; none where it is not that side."""
        side, columns = (self.child, self.columns) if after else (self.parent, self.parent_columns)
        return columns if side == (self.database, table) else ()

    def gather(self, condition: str, *, after: bool) -> str:
        """The statement that notes the values of rows of this side, called `own` in the condition."""
        side, columns = (self.child, self.columns) if after else (self.parent, self.parent_columns)
        names = [f"own.{my_name(one)}" for one in columns]
        filled = " AND ".join(f"{one} IS NOT NULL" for one in names)
        return (
            f"INSERT INTO {self._values} ({self._listed}) SELECT {','.join(names)} FROM {_full(side)} AS own "
            f"WHERE ({condition}) AND {filled}"
        )

    @property
    def gather_orphans(self) -> str:
        """The statement that notes the orphans of before."""
        names = [f"c.{my_name(one)}" for one in self.columns]
        filled = " AND ".join(f"{one} IS NOT NULL" for one in names)
        return (
            f"INSERT INTO {self._values} ({self._listed},was_orphan) SELECT {','.join(names)},TRUE "
            f"FROM {_full(self.child)} AS c WHERE {filled} AND {self._without_parent(names)}"
        )

    @property
    def orphans(self) -> str:
        """The query of values that have lost their parent, each with how many rows have it."""
        values = [f"v.v{place}" for place in range(len(self.columns))]
        children = " AND ".join(
            f"c.{my_name(one)}={value}" for one, value in zip(self.columns, values, strict=True)
        )
        return (
            f"SELECT {','.join(values)},COUNT(*)-v.orphans "
            f"FROM (SELECT {self._listed},SUM(was_orphan) AS orphans "
            f"FROM {self._values} GROUP BY {self._listed}) AS v "
            f"JOIN {_full(self.child)} AS c ON {children} WHERE {self._without_parent(values)} "
            f"GROUP BY {','.join(values)},v.orphans HAVING COUNT(*)>v.orphans"
        )

    def _without_parent(self, values: Sequence[str]) -> str:
        parents = " AND ".join(
            f"p.{my_name(one)}={value}" for one, value in zip(self.parent_columns, values, strict=True)
        )
        return f"NOT EXISTS (SELECT 1 FROM {_full(self.parent)} AS p WHERE {parents})"

    @property
    def require_parents(self) -> str:
        """The statement that fails where there are some, as a script has no other way to say so."""
        words = my_text(f"{self.called(self.child)}: rows without a parent by {self.name}")
        return f"INSERT INTO {_FAILING} SELECT {words} UNION ALL SELECT {words} FROM ({self.orphans}) AS o"

    @property
    def _values(self) -> str:
        return f"`converge_values_{self.number}`"

    @property
    def _listed(self) -> str:
        return ",".join(f"v{place}" for place in range(len(self.columns)))


def joining(both: Compared, tables: Sequence[TablePlan]) -> list[Joining]:
    """The foreign keys that join one of these tables."""
    database = both.catalog.database
    found = []
    columns = rows(both.source, "joining_columns", database)
    for number, (key, group) in enumerate(groupby(columns, key=lambda row: row[:3])):
        parts = list(group)
        found.append(
            Joining(
                number, key[2], database, (key[0], key[1]), (parts[0][4], parts[0][5]),
                tuple(part[3] for part in parts), tuple(part[6] for part in parts),
            )
        )  # fmt: skip
    found += _unseen(both, found)
    return [_tried(both.source, key) for key in found if any(key.joins(table.source) for table in tables)]


def _unseen(both: Compared, found: Sequence[Joining]) -> Iterator[Joining]:
    """The foreign keys of other databases of which the user may see nothing; none without PROCESS."""
    database = both.catalog.database
    if not read_privileges(both.source, database).may_on_server("PROCESS"):
        return
    seen = {(*key.child, key.name) for key in found}
    for id_, child, parent in rows(both.source, "referring_tables", database):
        of, _, table = child.partition("/")
        name = id_.partition("/")[2]
        if (of, table, name) not in seen:
            yield Joining(-1, name, database, (of, table), (database, parent), (), (), denied=((of, table),))


def _tried(source: Connection[Any], key: Joining) -> Joining:
    """With what cannot be read of it."""
    if not key.columns:
        return key
    for table, columns in ((key.child, key.columns), (key.parent, key.parent_columns)):
        try:
            fetch(source, f"SELECT {','.join(map(my_name, columns))} FROM {_full(table)} LIMIT 0")
        except pymysql.err.MySQLError as error:
            if error.args[0] in _MISSING:
                key = replace(key, dangling=True)
            elif error.args[0] in _DENIED:
                key = replace(key, denied=(*key.denied, table))
            else:
                raise
    return key


def unsure_parents(both: Compared, own: Privileges, tables: Sequence[TablePlan]) -> Iterator[Finding]:
    """Foreign keys that the target does not hold for the source: a row there may lose its parent; and what
    the user may not read of them."""
    there = _There(both, tables)
    for key in joining(both, tables):
        if key.dangling:
            words = f"foreign key {key.name}: {key.called(key.parent)} does not exist, so no row has a parent"
            yield Finding(Code.V130, "lossy", str(key), f"{words} to lose")
            continue
        for table in key.denied:
            words = f"foreign key {key.name}: the user may not read {key.called(table)}, which --apply does"
            yield Finding(Code.V134, "note", str(key), words, own.grant_reading(*table))
        if away := [key.called(one) for one in (key.child, key.parent) if there.plan(key, one) is None]:
            why = f"{' and '.join(dict.fromkeys(away))} does not go back"
        elif not there.holds(key):
            why = "the target does not have it, or has not checked all rows"
        else:
            continue
        words = f"foreign key {key.name}: {why}; --apply ends where a row would have no parent"
        yield Finding(Code.V130, "lossy", str(key), words)


def checked_now(both: Compared, tables: Sequence[TablePlan], noted: Set[str]) -> list[Joining]:
    """The foreign keys of which all changes have come back with those of these tables. Others hold in the
    target, where changes of their other table are still `noted`: the rollback of its run checks them."""
    there = _There(both, tables)
    later = {name for name, plan in there.others.items() if pg_name(both.plan.schema, plan.target) in noted}
    return [
        key
        for key in joining(both, tables)
        if not (key.dangling or (later & {key.child[1], key.parent[1]} and there.holds(key)))
    ]


class _There:
    """The source's foreign keys in the target."""

    def __init__(self, both: Compared, tables: Sequence[TablePlan]) -> None:
        self._schema = both.plan.schema
        self._own = {table.source: table for table in tables}
        self.others: dict[str, TablePlan] = {}
        """The tables of other runs."""
        for name, run in (both.run.elsewhere if both.run else {}).items():
            other = last_recorded(both.target, parse(both.plan.source), self._schema, run)
            if isinstance(other, Recorded):
                self.others |= {table.source: table for table in other.plan.tables if table.source == name}
        # The cutover has those checked that epochs have left unchecked.
        sure = unchecked_keys(both.target, both.plan, both.run.made if both.run else None)
        self._keys = [
            (key.table, key.parent, {*zip(key.columns, key.parent_columns, strict=True)})
            for key in read_existing(both.target, self._schema).foreign_keys
            if (key.validated or key in sure) and not key.off
        ]

    def plan(self, key: Joining, table: tuple[str, str]) -> TablePlan | None:
        """That of a table of the key; None where it does not go back."""
        return (self._own | self.others).get(table[1]) if table[0] == key.database else None

    def holds(self, key: Joining) -> bool:
        """Whether the target has the key, and has checked all rows."""
        child, parent = self.plan(key, key.child), self.plan(key, key.parent)
        if child is None or parent is None:
            return False
        ours, theirs = (
            {column.source.lower(): column.target for column in table.columns} for table in (child, parent)
        )
        # The source may print a parent's column as the key was typed.
        pairs = {
            (ours.get(one.lower()), theirs.get(other.lower()))
            for one, other in zip(key.columns, key.parent_columns, strict=True)
        }
        names = (pg_name(self._schema, child.target), pg_name(self._schema, parent.target))
        return (*names, pairs) in self._keys


def _full(table: tuple[str, str]) -> str:
    return ".".join(map(my_name, table))
