"""No false alarm: every family's values, migrated, and not one reported as different."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bench.fidelity.families import MAY_DRILL, tables_of
from bench.fidelity.load import load
from bench.fidelity.prove import judged, migrate
from bench.sql import writable
from converge.sandbox import Server


@dataclass(frozen=True)
class Copied:
    """What came of one family, or of several that were migrated together."""

    family: str
    columns: int
    """In the family's tables."""
    values: int
    """That are not NULL."""
    seconds: float
    """Of the whole `converge migrate`, its comparison included."""
    differences: list[str]
    """Found by converge or by the judge: there should be none."""
    drilled: list[str]
    """Tables whose digests differed, so that the drill-down had to decide."""
    judged: int
    """Rows that the tests' judge compared."""

    @property
    def failed(self) -> bool:
        """Whether something is not as it should be."""
        return bool(self.differences) or not MAY_DRILL.issuperset(self.drilled)


def copy(source: Server, target: Server, families: Sequence[str], values: int) -> Copied:
    """Generates, migrates and compares the tables of these families together, so many values of each."""
    with database_pair(source, target, "fidelity") as (here, there):
        names, columns, made = [], 0, 0
        with writable(here) as connection:
            for family in families:
                tables = tables_of(family, connection)
                width = sum(len(table.columns) for table in tables)
                for table in tables:
                    made += load(connection, table, values * len(table.columns) // width)
                names += [table.name for table in tables]
                columns += width
        migrated = migrate(here, there)
        rows, found = judged(here, there, names)
    differences = [*migrated.differences, *found]
    return Copied(", ".join(families), columns, made, migrated.seconds, differences, migrated.drilled, rows)


@contextmanager
def database_pair(source: Server, target: Server, name: str) -> Iterator[tuple[str, str]]:
    """Two empty databases of this name, dropped in the end."""
    servers = (source, target)
    try:
        for server in servers:
            server.drop_database(name)
        yield source.create_database(name), target.create_database(name)
    finally:
        for server in servers:
            server.drop_database(name)
