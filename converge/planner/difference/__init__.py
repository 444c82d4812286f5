"""The difference between two schemas, as statements and as a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from converge.model.definitions import Definition, Definitions, Differs, Step
from converge.model.quote import fit, pg_name, pg_text
from converge.planner.difference.alter import caught_up
from converge.planner.difference.order import CHANGE, DROP, MAKE, Action, Order
from converge.planner.difference.statements import (
    WHOLE,
    comments,
    drop,
    holder,
    make,
    marks,
    named,
    set_after,
    word_of,
)
from converge.planner.difference.states import States, states

_OLD = "converge replaces "
"""Begins the name of a type whose columns are brought to a new one."""
_NO_NAMES = frozenset({"function", "trigger", "schema", "extension", "constraint", "index"})
"""Kinds that a function's body does not name."""


def difference(before: Definitions, after: Definitions) -> tuple[Step, ...]:
    """Statements that bring a database with `before` to `after`, to be run in this order in one transaction.

    NOTHING stands for an empty database. Rows of tables and columns that stay are kept. Bodies of functions
    are not checked while other objects are made: they may name what comes later.
    """
    found = states(before, after)
    steps = tuple(_steps(before, after, found))
    kinds = {after.objects[name].kind for name in found.made}
    if "function" in kinds and kinds - _NO_NAMES:
        # They are made together with what their bodies may name.
        return (Step("session", "SET LOCAL check_function_bodies = off"), *steps)
    return steps


def compared(before: Definitions, after: Definitions) -> tuple[Differs, ...]:
    """Objects that are not the same in both, in the order of their names."""
    old, new = before.every, after.every
    pairs = ((name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys()))
    texts = ((name, one.text if one else "", other.text if other else "") for name, one, other in pairs)
    return tuple(Differs(*three) for three in texts if three[1] != three[2])


def _steps(before: Definitions, after: Definitions, found: States) -> Iterator[Step]:
    old, new = before.objects, after.objects
    was, now = marks(old), marks(new)
    # The server resets a mark of the whole table: before all else, because that would take a new one, too.
    for at, (name, _, reset) in was.items():
        if at[0] in new and (was[at] != now.get(at) or name in found.dropped):
            yield Step(name, reset)
    for action, members in Order(before, after, found).actions():
        if action.what == MAKE:
            yield from _make_steps(new[action.object], [new[name] for name in members])
            yield from _caught_up(new[action.object], new, found)
        elif action.what == CHANGE:
            yield from (Step(action.object, sql) for sql in found.changed[action.object])
        else:
            dropped = _drop_statements(action, old[action.object], found)
            yield from (Step(action.object, sql) for sql in dropped)
    for at, (name, set_, _) in now.items():
        if was.get(at) != now[at] or name in found.made:
            yield Step(name, set_)
    for name, one in new.items():
        if name in old and name not in found.made:
            yield from _comment_steps(one, comments(old[name]))


def _make_steps(definition: Definition, members: list[Definition]) -> Iterator[Step]:
    parts = [part for part in members if part is not definition]
    yield from (Step(definition.object, sql) for sql in make(definition, parts))
    for part in (definition, *parts):
        yield from (Step(part.object, sql) for sql in set_after(part))
    for part in (definition, *parts):
        yield from _comment_steps(part, {})


def _caught_up(definition: Definition, new: Mapping[str, Definition], found: States) -> Iterator[Step]:
    """A new sequence that was given to a column that is not new."""
    if (
        definition.kind == "ownership"
        and definition.facts["sequence"] in found.made
        and definition.facts["of"] not in found.made
    ):
        column = new[definition.facts["of"]]
        if column.facts["type"] in WHOLE:
            own = new[definition.facts["sequence"]]
            yield Step(own.object, caught_up(own.facts, holder(column), pg_name(column.facts["name"])))


def _drop_statements(action: Action, definition: Definition, found: States) -> Iterator[str]:
    if definition.object not in found.replaced:
        yield from drop(definition)
        return
    away = fit(f"{_OLD}{definition.facts['name']}")
    if action.what == DROP:
        yield f"ALTER {named(definition)} RENAME TO {pg_name(away)}"
    else:
        yield f"DROP {word_of(definition)} {pg_name(definition.facts['schema'], away)}"


def _comment_steps(definition: Definition, before: Mapping[str, str | None]) -> Iterator[Step]:
    """Comments that are not what they were."""
    for on, text in comments(definition).items():
        if text != before.get(on):
            yield Step(definition.object, f"COMMENT ON {on} IS {'NULL' if text is None else pg_text(text)}")
