"""Rows of a table without a key, which are told apart by digests of all of their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice

from converge.model.quote import my_text
from converge.mysql.query import fetch
from converge.rollback.changes import Changed
from converge.rollback.inverse import given
from converge.rollback.script import Script
from converge.rollback.sides import LONGEST, Sides
from converge.run.relation import Row, as_text, row_digests, unequal


class KeylessChanged(Changed):
    """A table without a key, of which rows have changed: all of its rows are compared."""

    def script(self) -> Script:
        """As of a table with a key."""
        made = Script()
        if self.sides.whole:
            self._write_difference(made)
        return made

    def differing(self) -> Iterator[str]:
        """Whether anything is not the same on both sides."""
        if self.sides.whole and any(_difference(self.sides)):
            yield f"{self.table.source}: not all rows are the same"

    def gather_orphans(self) -> Iterator[str]:
        """What has no parent already: all rows are looked at later."""
        yield from (key.gather_orphans for key, _ in self._joined("after"))

    def _write_difference(self, made: Script) -> None:
        gone, new = _difference(self.sides)
        digest, _ = row_digests(self.sides.fields)
        for one, rows in gone.items():
            made.deleted += rows
            made.add("delete", f"DELETE FROM {self._name} WHERE {digest}='{one}' LIMIT {rows}", rows)
        self._insert(made, [*new.elements()])
        for place in ("before", "after") if made.rows else ():
            for key, _ in self._joined(place):
                made.add(place, key.gather("TRUE", after=place == "after"))


def _difference(sides: Sides) -> tuple[Counter[str], Counter[Row]]:
    """Of a table without a key: digests of the rows that the target does not have, and rows that the
    source does not have, as `taken` expects them; each with how many there are.
    """
    digest, there = row_digests(sides.fields)
    here: Counter[str] = Counter()
    grouped = f"SELECT {digest},COUNT(*) FROM {sides.name} GROUP BY 1"
    here.update({as_text(one) or "": int(rows) for one, rows in fetch(sides.source, grouped)})
    query = f"SELECT {there},count(*) FROM {sides.quoted} GROUP BY 1"
    theirs = Counter(dict(sides.target.execute(query.encode()).fetchall()))
    surplus, lacking = here - theirs, theirs - here
    ours = _of_digests(sides, f"{digest},{','.join(one.fetched(LONGEST)[0] for one in sides.fields)}",
                            sides.name, digest, surplus, on_source=True)  # fmt: skip
    compared = ",".join(one.fetched(LONGEST)[1] for one in sides.fields)
    columns = ",".join(map(given, sides.columns))
    others = _of_digests(sides, f"{there},{compared},{columns}", sides.quoted, there, lacking)
    width = len(sides.fields)
    # Documents may mean the same and have other texts.
    left, right, _ = unequal(
        sides.fields,
        [row[:width] for one, row in ours.items() for _ in range(surplus[one])],
        [row[:width] for one, row in others.items() for _ in range(lacking[one])],
    )
    digests = {row[:width]: one for one, row in ours.items()}
    texts = {row[:width]: row[width:] for row in others.values()}
    return Counter(digests[row] for row in left), Counter(texts[row] for row in right)


def _of_digests(
    sides: Sides, listed: str, name: str, digest: str, wanted: Iterable[str], *, on_source: bool = False
) -> dict[str, Row]:
    """A row of each digest."""
    found: dict[str, Row] = {}
    digests = iter(wanted)
    while some := [*islice(digests, sides.at_once)]:
        query = f"SELECT {listed} FROM {name} WHERE {digest} IN ({','.join(map(my_text, some))})"
        rows = fetch(sides.source, query) if on_source else sides.target.execute(query.encode()).fetchall()
        for one, *values in rows:
            found[as_text(one) or ""] = tuple(map(as_text, values))
    return found
