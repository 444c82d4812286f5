"""The order of what is done, by what needs what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

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
        for action in self._all():
            whole = self._whole(action)
            members[whole].append(action.object)
            graph.setdefault(whole, {})
        for first, then in self._pairs():
            one, other = self._whole(first), self._whole(then)
            if one != other:
                graph[other][one] = None
        return graph, members

    def _all(self) -> Iterator[Action]:
        states = self._states
        yield from (Action(DROP, name) for name in sorted(states.dropped))
        yield from (Action(FORGET, name) for name in sorted(states.replaced))
        yield from (Action(CHANGE, name) for name in states.changed)
        yield from (Action(MAKE, name) for name in sorted(states.made))

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
                yield from self._leave(name, other)
        for name, one in self._new.items():
            for other in sorted(one.needs):
                yield from self._arrive(name, other)

    def _leave(self, name: str, other: str) -> Iterator[tuple[Action, Action]]:
        """`name` needed `other` in the schema before."""
        states = self._states
        last = [Action(FORGET, other)] if other in states.replaced else []
        if other in states.dropped - states.replaced:
            last.append(Action(DROP, other))
        if other in states.changed:
            last.append(Action(CHANGE, other))
        for then in last:
            if name in states.replaced:
                if then.what != CHANGE:
                    yield Action(FORGET, name), then
            elif name in states.dropped:
                yield Action(DROP, name), then
            elif name in states.changed and then.what != CHANGE:
                yield Action(CHANGE, name), then

    def _arrive(self, name: str, other: str) -> Iterator[tuple[Action, Action]]:
        """`name` needs `other` in the schema after."""
        states = self._states
        for first in (Action(MAKE, other), Action(CHANGE, other)):
            if first.object in (states.made if first.what == MAKE else states.changed):
                if name in states.made:
                    yield first, Action(MAKE, name)
                if name in states.changed:
                    yield first, Action(CHANGE, name)

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
