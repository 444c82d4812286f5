"""What becomes of each object on the way from one schema to another: before any order is known."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from converge.model.definitions import ASIDE, Definition, Definitions
from converge.planner.difference.alter import Change, change, retyped
from converge.planner.difference.statements import TYPED


@dataclass(frozen=True)
class States:
    """Names of objects by what is done to them; what is in none of these stays as it is, comments apart."""

    dropped: set[str] = field(default_factory=set)
    """They are gone, or are made again."""
    made: set[str] = field(default_factory=set)
    """They are new, or were dropped before."""
    replaced: set[str] = field(default_factory=set)
    """Types that columns have: the new one is made beside the old one."""
    changed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Statements of the objects that are changed as they stand."""


def states(before: Definitions, after: Definitions) -> States:
    """Each object of both schemas is judged by itself, then by what happens to those that it needs."""
    return _Judge(before.objects, after.objects).judge()


class _Judge:
    def __init__(self, old: Mapping[str, Definition], new: Mapping[str, Definition]) -> None:
        self._old, self._new = old, new
        self._users: defaultdict[str, list[str]] = defaultdict(list)
        for name, one in old.items():
            for other in one.needs:
                self._users[other].append(name)
        self._states = States()
        self._around: set[str] = set()
        """Objects that stay, and around whose change all that needs them is dropped and made again."""
        self._along: dict[str, frozenset[str]] = {}
        """Of those the kinds of objects that stay, too."""
        self._pending: list[str] = []

    def judge(self) -> States:
        old, new = self._old, self._new
        self._states.made.update(new.keys() - old.keys())
        for name in old:
            if name not in new:
                self._drop(name)
            elif _bare(old[name]) != _bare(new[name]):
                self._change(name)
        while self._pending:
            name = self._pending.pop()
            for user in self._users[name]:
                if user in new:
                    self._touch(user, name)
        return self._states

    def _drop(self, name: str) -> None:
        if name not in self._states.dropped:
            self._states.dropped.add(name)
            self._states.changed.pop(name, None)
            self._pending.append(name)

    def _again(self, name: str) -> None:
        """Drops it and makes it again, a type beside the old one where columns that stay have it."""
        if name in self._states.made:
            return
        self._states.made.add(name)
        if self._old[name].kind in TYPED and self._kept_columns(name):
            self._states.replaced.add(name)
        self._drop(name)

    def _kept_columns(self, name: str) -> bool:
        """Whether columns that stay have the type, maybe by way of another type."""
        kinds = ((user, self._old[user].kind) for user in self._users[name] if user in self._new)
        return any(kind == "column" or (kind in TYPED and self._kept_columns(user)) for user, kind in kinds)

    def _change(self, name: str) -> None:
        found = change(self._old[name], self._new[name])
        if found is None or self._too_fresh(name, found):
            self._again(name)
            return
        self._states.changed[name] = found.statements
        if found.around:
            self._surround(name)
            self._along[name] = found.but

    def _surround(self, name: str) -> None:
        if name not in self._around:
            self._around.add(name)
            self._pending.append(name)

    def _touch(self, name: str, other: str) -> None:
        """An object that needed another one, which is dropped, replaced or changed under it."""
        kept = other not in self._new or other not in self._new[name].needs
        if kept and other not in self._around and name in self._states.changed:
            # Its own change frees it from the other.
            return
        one = self._new[name]
        if self._goes_along(name, other):
            return
        if one.kind == "column" and other in self._states.replaced and "generated" not in one.facts:
            retypes = self._old[name].facts["type"] != one.facts["type"]
            if name not in self._states.changed or not retypes:
                cast = retyped(self._old[name], one)
                self._states.changed[name] = (*cast, *self._states.changed.get(name, ()))
            self._surround(name)
        elif one.kind != "ownership" or other in self._states.dropped:
            self._again(name)

    def _goes_along(self, name: str, other: str) -> bool:
        """Whether the server itself keeps an object that does not change, when the other one does."""
        one, touched = self._new[name], self._states
        # An index that is taken along forgets what it knows of the values of its expressions.
        return (
            one.kind in self._along.get(other, ())
            and "statistics" not in one.facts
            and name not in touched.changed
            and other not in touched.dropped
        )

    def _too_fresh(self, name: str, change: Change) -> bool:
        """Whether something uses what the transaction that makes it cannot use yet."""
        values = [json.dumps(value, ensure_ascii=False)[1:-1] for value in change.fresh]
        users = (other for other, one in self._new.items() if name in one.needs)
        changed = (other for other in users if _bare(self._new[other]) != _bare(self._old.get(other)))
        return any(value in self._new[other].text for other in changed for value in values)


def _bare(one: Definition | None) -> object:
    """By which it is compared, without comments."""
    if one is None:
        return None
    return one.kind, {
        key: value for key, value in one.facts.items() if not key.endswith((ASIDE, f"{ASIDE}s"))
    }
