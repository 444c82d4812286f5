"""Tables: what is theirs and no column's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.model.definitions import Definition
from converge.planner.difference.kinds.column import in_words
from converge.planner.difference.kinds.constraint import inline
from converge.planner.difference.kinds.kind import (
    Change,
    Kind,
    changed_options,
    differing,
    options,
    own_name,
    with_options,
)

_REPLICA = {"f": "FULL", "n": "NOTHING", None: "DEFAULT"}


class Table(Kind):
    rank = 7
    comment_on = "TABLE"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        defaults = {one.facts["name"]: one for one in parts if one.kind == "default"}
        lines = [in_words(one, defaults.get(one.facts["name"])) for one in parts if one.kind == "column"]
        lines += [inline(one) for one in parts if one.kind == "constraint"]
        unlogged = "UNLOGGED " if "unlogged" in it.facts else ""
        body = "(\n" + ",\n".join(f"    {line}" for line in lines) + "\n)" if lines else "()"
        method = f" USING {it.facts['method']}" if "method" in it.facts else ""
        said = f" WITH {with_options(options(it.facts))}" if "options" in it.facts else ""
        yield f"CREATE {unlogged}TABLE {own_name(it)} {body}{method}{said}"

    def settle(self, it: Definition) -> Iterator[str]:
        if it.facts.keys() & {"row security", "forced", "replica identity"}:
            bare = Definition(it.kind, it.object, {}, frozenset())
            yield from _switched(bare, it)

    def change(self, old: Definition, new: Definition) -> Change | None:
        other, start = differing(old, new), f"ALTER TABLE {own_name(new)}"
        statements = []
        if "unlogged" in other:
            statements.append(f"{start} SET {'UNLOGGED' if 'unlogged' in new.facts else 'LOGGED'}")
        if "method" in other:
            statements.append(f"{start} SET ACCESS METHOD {new.facts.get('method', 'heap')}")
        statements += [*changed_options(start, old.facts, new.facts), *_switched(old, new)]
        return Change(tuple(statements))


def _switched(old: Definition, new: Definition) -> Iterator[str]:
    other, start = differing(old, new), f"ALTER TABLE {own_name(new)}"
    if "row security" in other:
        yield f"{start} {'ENABLE' if 'row security' in new.facts else 'DISABLE'} ROW LEVEL SECURITY"
    if "forced" in other:
        yield f"{start} {'FORCE' if 'forced' in new.facts else 'NO FORCE'} ROW LEVEL SECURITY"
    if "replica identity" in other:
        yield f"{start} REPLICA IDENTITY {_REPLICA[new.facts.get('replica identity')]}"
