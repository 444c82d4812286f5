"""The order of what is done, by what needs what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from converge.model.definitions import Definitions
from converge.planner.difference.kinds import kind_of
from converge.planner.difference.states import States

DROP, CHANGE, MAKE, FORGET = "drop", "change", "make", "forget"
"""What is done to an object; FORGET drops a type that was replaced, which DROP has only renamed."""
_URGENCY = {DROP: 0, FORGET: 1, CHANGE: 2, MAKE: 3}


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that is done to an object, and with it to its parts."""

    what: str
    object: str


class Order:
    """All deeds on the way from one schema to another."""

    def __init__(self, before: Definitions, after: Definitions, states: States) -> None:
        self._old, self._new, self._states = before.objects, after.objects, states
        self._apart: set[Deed] = set()
        """Those of parts that must be done by themselves, or else there were a circle."""
        self._places = {name: place for place, name in enumerate({**after.objects, **before.objects})}

    def deeds(self) -> Iterator[tuple[Deed, list[str]]]:
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
        ready: list[tuple[tuple[int, int, int], Deed]] = []
        while sorter.is_active():
            for deed in sorter.get_ready():
                heappush(ready, (self._key(deed), deed))
            _, deed = heappop(ready)
            sorter.done(deed)
            yield deed, sorted(members[deed], key=lambda name: self._places[name])

    def _key(self, deed: Deed) -> tuple[int, int, int]:
        one = self._old[deed.object] if deed.what in (DROP, FORGET) else self._new[deed.object]
        rank = kind_of(one).rank
        return _URGENCY[deed.what], -rank if deed.what == DROP else rank, self._places[deed.object]

    def _graph(self) -> tuple[dict[Deed, dict[Deed, None]], defaultdict[Deed, list[str]]]:
        """Each deed with those before it, and with its parts: in one order, by which circles are found."""
        members: defaultdict[Deed, list[str]] = defaultdict(list)
        graph: dict[Deed, dict[Deed, None]] = {}
        for deed in self._all():
            whole = self._whole(deed)
            members[whole].append(deed.object)
            graph.setdefault(whole, {})
        for first, then in self._pairs():
            one, other = self._whole(first), self._whole(then)
            if one != other:
                graph[other][one] = None
        return graph, members

    def _all(self) -> Iterator[Deed]:
        states = self._states
        yield from (Deed(DROP, name) for name in sorted(states.dropped))
        yield from (Deed(FORGET, name) for name in sorted(states.replaced))
        yield from (Deed(CHANGE, name) for name in states.changed)
        yield from (Deed(MAKE, name) for name in sorted(states.made))

    def _whole(self, deed: Deed) -> Deed:
        """The deed with which it is done."""
        while deed not in self._apart:
            if deed.what == MAKE:
                other = kind_of(self._new[deed.object]).made_with(self._new[deed.object])
                there = other in self._states.made
            elif deed.what == DROP and deed.object not in self._states.replaced:
                other = kind_of(self._old[deed.object]).gone_with(self._old[deed.object])
                there = other in self._states.dropped and other not in self._states.replaced
            else:
                return deed
            if other is None or not there:
                return deed
            deed = Deed(deed.what, other)
        return deed

    def _pairs(self) -> Iterator[tuple[Deed, Deed]]:
        """What is done first, and what then."""
        states = self._states
        for name in sorted(states.dropped & states.made):
            yield Deed(DROP, name), Deed(MAKE, name)
        for name in sorted(states.replaced):
            yield Deed(MAKE, name), Deed(FORGET, name)
        for name, one in self._old.items():
            for other in sorted(one.needs):
                yield from self._leave(name, other)
        for name, one in self._new.items():
            for other in sorted(one.needs):
                yield from self._arrive(name, other)

    def _leave(self, name: str, other: str) -> Iterator[tuple[Deed, Deed]]:
        """`name` needed `other` in the schema before."""
        states = self._states
        last = [Deed(FORGET, other)] if other in states.replaced else []
        if other in states.dropped - states.replaced:
            last.append(Deed(DROP, other))
        if other in states.changed:
            last.append(Deed(CHANGE, other))
        for then in last:
            if name in states.replaced:
                if then.what != CHANGE:
                    yield Deed(FORGET, name), then
            elif name in states.dropped:
                yield Deed(DROP, name), then
            elif name in states.changed and then.what != CHANGE:
                yield Deed(CHANGE, name), then

    def _arrive(self, name: str, other: str) -> Iterator[tuple[Deed, Deed]]:
        """`name` needs `other` in the schema after."""
        states = self._states
        for first in (Deed(MAKE, other), Deed(CHANGE, other)):
            if first.object in (states.made if first.what == MAKE else states.changed):
                if name in states.made:
                    yield first, Deed(MAKE, name)
                if name in states.changed:
                    yield first, Deed(CHANGE, name)

    def _break(self, circle: set[Deed], members: Mapping[Deed, list[str]]) -> None:
        """Takes those parts out of a circle that need something else in it."""
        apart = set()
        for whole in circle:
            others = {name for deed in circle - {whole} for name in members[deed]}
            known = self._old if whole.what == DROP else self._new
            apart |= {
                Deed(whole.what, name)
                for name in members[whole]
                if name != whole.object and known[name].needs & others
            }
        if apart <= self._apart:
            raise CycleError("objects need one another", sorted(deed.object for deed in circle))
        self._apart |= apart
