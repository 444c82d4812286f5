"""Functions, procedures and aggregates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.model.definitions import Definition
from converge.planner.difference.kinds.kind import Change, Kind, differing, own_name

_SAME = {"arguments", "result", "procedure"}
"""What CREATE OR REPLACE cannot change, or not always."""


class Function(Kind):
    rank = 5

    def named(self, it: Definition) -> str:
        word = "PROCEDURE" if "procedure" in it.facts else "FUNCTION"
        return f"{word} {own_name(it)}({', '.join(it.facts.get('types', ()))})"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield it.facts["definition"]

    def change(self, old: Definition, new: Definition) -> Change | None:
        return None if differing(old, new) & _SAME else Change((new.facts["definition"],))


class Aggregate(Kind):
    rank = 6

    def named(self, it: Definition) -> str:
        return f"AGGREGATE {own_name(it)}({it.facts['identity'] or '*'})"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        said = ",\n".join(
            f"    {name} = {value}" if value else f"    {name}" for name, value in it.facts["parts"].items()
        )
        yield f"CREATE AGGREGATE {own_name(it)}({it.facts['arguments'] or '*'}) (\n{said}\n)"
