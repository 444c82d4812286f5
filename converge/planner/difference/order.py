"""The order of what is done, by what needs what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import product

from converge.model.definitions import Definitions
from converge.planner.difference.statements import gone_with, made_with, rank
from converge.planner.difference.states import States

DROP, CHANGE, MAKE, FORGET = "drop", "change", "make", "forget"
"""What is done to an object; FORGET drops a type that was replaced, which DROP has only renamed."""
_URGENCY = {DROP: 0, FORGET: 1, CHANGE: 2, MAKE: 3}


@dataclass(frozen=True, slots=True)
class Action:
    """Something that is done to an object, and with it to its parts."""

    what: str
    object: str


class Order:
    """All actions on the way from one schema to another."""

    def __init__(self, before: Definitions, after: Definitions, states: States) -> None:
        self._old, self._new, self._states = before.objects, after.objects, states
        self._names: dict[str, Collection[str]] = {
            DROP: states.dropped, FORGET: states.replaced, CHANGE: states.changed, MAKE: states.made,
        }  # fmt: skip
        self._apart: set[Action] = set()
        """Those of parts that must be done by themselves, or else there were a circle."""
        self._places = {name: place for place, name in enumerate({**after.objects, **before.objects})}

    def actions(self) -> Iterator[tuple[Action, list[str]]]:
        """In order, each with its object and the parts for which it is done, too."""
        while True:
            graph, members = self._graph()
            sorter = TopologicalSorter(graph)
            try:
                sorter.prepare()
            except CycleError as error:
                self._break(set(error.args[1]), members)
                continue
            break
        ready: list[tuple[tuple[int, int, int], Action]] = []
        while sorter.is_active():
            for action in sorter.get_ready():
                heappush(ready, (self._key(action), action))
            _, action = heappop(ready)
            sorter.done(action)
            yield action, sorted(members[action], key=lambda name: self._places[name])

    def _key(self, action: Action) -> tuple[int, int, int]:
        one = self._old[action.object] if action.what in (DROP, FORGET) else self._new[action.object]
        place = rank(one)
        return _URGENCY[action.what], -place if action.what == DROP else place, self._places[action.object]

    def _graph(self) -> tuple[dict[Action, dict[Action, None]], defaultdict[Action, list[str]]]:
        """Each action with those before it, and with its parts: in one order, by which circles are found."""
        members: defaultdict[Action, list[str]] = defaultdict(list)
        graph: dict[Action, dict[Action, None]] = {}
        for what, names in self._names.items():
            for name in sorted(names):
                whole = self._whole(Action(what, name))
                members[whole].append(name)
                graph.setdefault(whole, {})
        for first, then in self._pairs():
            one, other = self._whole(first), self._whole(then)
            if one != other:
                graph[other][one] = None
        return graph, members

    def _whole(self, action: Action) -> Action:
        """The action with which it is done."""
        while action not in self._apart:
            if action.what == MAKE:
                other = made_with(self._new[action.object])
                there = other in self._states.made
            elif action.what == DROP and action.object not in self._states.replaced:
                other = gone_with(self._old[action.object])
                there = other in self._states.dropped and other not in self._states.replaced
            else:
                return action
            if other is None or not there:
                return action
            action = Action(action.what, other)
        return action

    def _pairs(self) -> Iterator[tuple[Action, Action]]:
        """What is done first, and what then."""
        states = self._states
        for name in sorted(states.dropped & states.made):
            yield Action(DROP, name), Action(MAKE, name)
        for name in sorted(states.replaced):
            yield Action(MAKE, name), Action(FORGET, name)
        for name, one in self._old.items():
            for other in sorted(one.needs):
                # What needs something goes, or changes, before that goes; and goes before that changes.
                for first in self._ends(name) or self._done(name, CHANGE):
                    for then in self._ends(other) + self._done(other, CHANGE):
                        if then.what != CHANGE or first.what == DROP:
                            yield first, then
        for name, one in self._new.items():
            for other in sorted(one.needs):
                yield from product(self._done(other, MAKE, CHANGE), self._done(name, MAKE, CHANGE))

    def _ends(self, name: str) -> list[Action]:
        """What removes an object of the schema before."""
        return self._done(name, FORGET) or self._done(name, DROP)

    def _done(self, name: str, *kinds: str) -> list[Action]:
        return [Action(what, name) for what in kinds if name in self._names[what]]

    def _break(self, circle: set[Action], members: Mapping[Action, list[str]]) -> None:
        """Takes those parts out of a circle that need something else in it."""
        apart = set()
        for whole in circle:
            others = {name for action in circle - {whole} for name in members[action]}
            known = self._old if whole.what == DROP else self._new
            apart |= {
                Action(whole.what, name)
                for name in members[whole]
                if name != whole.object and known[name].needs & others
            }
        if apart <= self._apart:
            raise CycleError("objects need one another", sorted(action.object for action in circle))
        self._apart |= apart
