"""Columns that foreign keys join: they must all get the same type."""

from __future__ import annotations

from collections.abc import Mapping

from converge.model.catalog import Catalog

Place = tuple[str, str]
"""Table and column of the source."""


class Components:
    """For each column the columns that it is joined with, itself included, and whether one is an identity."""

    def __init__(self, catalog: Catalog) -> None:
        self._joined = _components(catalog)
        identities = {
            (table.name, column.name)
            for table in catalog.tables
            for column in table.columns
            # A bigint unsigned whose next value has left bigint's range takes its component out.
            if column.auto_increment and (table.next_value or 0) < 2**63
        }
        self._identities = {place for identity in identities for place in self.of(*identity)}

    def of(self, table: str, column: str) -> frozenset[Place]:
        """The columns that must have the same type as this one."""
        return self._joined.get((table, column), frozenset({(table, column)}))

    def identity(self, table: str, column: str) -> bool:
        """Whether the column is AUTO_INCREMENT, or joined to such a one."""
        return (table, column) in self._identities


def _components(catalog: Catalog) -> Mapping[Place, frozenset[Place]]:
    edges: dict[Place, set[Place]] = {}
    for table in catalog.tables:
        for key in table.foreign_keys:
            if key.parent_database == catalog.database:
                for child, parent in zip(key.columns, key.parent_columns, strict=True):
                    edges.setdefault((table.name, child), set()).add((key.parent, parent))
                    edges.setdefault((key.parent, parent), set()).add((table.name, child))
    components: dict[Place, frozenset[Place]] = {}
    for start in edges:
        if start not in components:
            component = _reached(start, edges)
            components.update(dict.fromkeys(component, component))
    return components


def _reached(start: Place, edges: Mapping[Place, set[Place]]) -> frozenset[Place]:
    found: set[Place] = set()
    waiting = [start]
    while waiting:
        place = waiting.pop()
        if place not in found:
            found.add(place)
            waiting += edges[place]
    return frozenset(found)
