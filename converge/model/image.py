"""Tables as they were at one moment, and which of two moments are the same ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from converge.model.quote import pg_name

_NUMBER = re.compile(r"(small|big)?int(eger)?$|numeric\b")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    parts: frozenset[str] = frozenset()
    """What its values are made of: its type, the types within that, and the labels of enums."""
    limits: frozenset[str] = frozenset()
    """What its values have to be: not NULL, what a domain's CHECK says, and the like."""


@dataclass(frozen=True)
class Image:
    """A table as it was at one moment."""

    oid: int
    schema: str
    name: str
    columns: Mapping[int, Column]
    """Columns by number."""
    key: tuple[int, ...]
    """Numbers of the primary key's columns."""
    condition: str = ""
    """WHERE and what its rows have in common; empty for all rows."""
    limits: frozenset[str] = frozenset()
    """What its rows have to be: CHECK constraints, unique, exclusion and foreign keys, triggers, the
    bounds of a partition."""

    @property
    def rows(self) -> str:
        """What stands in FROM, quoted."""
        return f"ONLY {pg_name(self.schema, self.name)} {self.condition}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Both:
    """One column at both moments; None where it was not there."""

    before: Column | None
    after: Column | None

    @property
    def label(self) -> str:
        column = self.after or self.before
        assert column is not None
        return column.name

    @property
    def is_number(self) -> bool:
        """Whether its texts are numbers at both moments."""
        types = [column.type for column in (self.before, self.after) if column is not None]
        return all(_NUMBER.match(one) for one in types)

    @property
    def same_name(self) -> bool:
        return self.before is not None and self.after is not None and self.before.name == self.after.name


@dataclass(frozen=True)
class Pair:
    """One table at both moments, of which it may miss one."""

    before: Image | None
    after: Image | None
    columns: tuple[Both, ...]
    """Columns as they are afterwards, then those that went."""
    key: tuple[int, ...]
    """Places in `columns` of the primary key; empty where both moments do not have the same."""

    @property
    def image(self) -> Image:
        """The table as it is, or was."""
        image = self.after or self.before
        assert image is not None
        return image

    @property
    def allows_new_values(self) -> bool:
        """Whether its rows may get values afterwards that they could not have before: a column is new or has
        another type, an enum has another label, or a constraint is gone."""
        if self.before is None or self.after is None:
            return False
        return bool(self.before.limits - self.after.limits) or any(
            both.before is None
            or both.after.parts - both.before.parts
            or both.before.limits - both.after.limits
            for both in self.columns
            if both.after
        )

    @property
    def labels(self) -> list[str]:
        return [both.label for both in self.columns]


def pairs(before: Sequence[Image], after: Sequence[Image]) -> Iterator[Pair]:
    """Each table with what it was: by its OID, else by its name.

    A table keeps its OID and a column its number under any name (PostgreSQL manual, "pg_class" and
    "pg_attribute"), so that a new name is no change of rows.
    """
    left = {image.oid: image for image in before}
    same = {image.oid: left.pop(image.oid) for image in after if image.oid in left}
    names = {str(image): image.oid for image in left.values()}
    for image in after:
        if image.oid not in same and str(image) in names:
            same[image.oid] = left.pop(names[str(image)])
    for image in after:
        yield _pair(same.get(image.oid), image)
    for image in left.values():
        yield _pair(image, None)


def _pair(before: Image | None, after: Image | None) -> Pair:
    columns = _columns(before, after)
    sides = (before, [both.before for both in columns]), (after, [both.after for both in columns])
    keys = [tuple(side.index(image.columns[at]) for at in image.key) for image, side in sides if image]
    return Pair(before, after, columns, keys[0] if keys[0] == keys[-1] else ())


def _columns(before: Image | None, after: Image | None) -> tuple[Both, ...]:
    was, now = dict(before.columns) if before else {}, dict(after.columns) if after else {}
    same: dict[int, Column] = {}
    if before and after and before.oid == after.oid:
        same = {number: was.pop(number) for number in now if number in was}
    # What was dropped and made again has another number, or even another table.
    names = {column.name: number for number, column in was.items()}
    for number, column in now.items():
        if number not in same and column.name in names:
            same[number] = was.pop(names[column.name])
    return (
        *(Both(same.get(number), column) for number, column in sorted(now.items())),
        *(Both(column, None) for _, column in sorted(was.items())),
    )
