"""The schema that a run has made: what it is at the run's end, and what others have changed since."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.existing import OwnForeignKey, difference, text_of
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.recorded import READER, Made
from converge.model.words import said
from converge.postgres.catalog import shape_now
from converge.postgres.existing import read_existing
from converge.postgres.following import Following
from converge.postgres.next_values import sequence_values, too_low
from converge.postgres.recorded import (
    keep_there,
    objects_there,
    record_made,
    recorded_made,
    runs_with_tables,
)

_TUNING = frozenset(
    {"owner", "rights", "extensions", "place", "options", "storage", "usual storage", "compression",
     "statistics", "target", "tablespace", "method", "replica identity", "row identity", "clustered",
     "local", "inherited"}
)  # fmt: skip
"""What operators set: neither the plan makes it, nor do rows or statements depend on it."""
_OTHERS = ("schema ", "publication ", "statistics ")
"""Kinds of object that no plan makes."""
_ACTING = ("constraint ", "rule ", "trigger ", "policy ")
"""Kinds of object that change or refuse the rows of their table."""
_FOLLOWING = ("constraint ", "index ", "sequence ")
"""Kinds of object whose texts follow the types of columns."""
_HINT = "undo the change; or run it as a revision by `converge migrations run`, which records it"


class Record:
    """What a run has made of its schema, kept in the ledger at a few moments of each attempt.

    What others have changed since the last of them stays in it as the run had made it. The run's own
    statements only add objects, and facts to those that are there: a comment, an identity. So a fact that is
    another one, or gone, is the work of others; where a hook may have changed it, the run says so (`own`).
    """

    def __init__(
        self, connection: psycopg.Connection[Any], plan: Plan, run: int, now: Mapping[str, str], steps: int
    ) -> None:
        """At the start of an attempt, where `now` is the schema and `steps` statements are done."""
        self._plan, self._run, self._shape = plan, run, now
        made = recorded_made(connection, run)
        self._made = made if made and made.reader == READER else Made({}, {}, READER)
        if self._made.steps == steps and plan.mode == "create":
            # The run has added nothing since: after a kill it may have.
            then = self._made.objects
            keep_there(connection, run, now.keys() - then.keys())
            mine = {name: text for name, text in now.items() if name in then}
            self._made = replace(self._made, objects=_as_made(then, mine, whole=True))
            record_made(connection, run, self._made)

    def keep(
        self,
        connection: psycopg.Connection[Any],
        steps: int,
        loaded: Mapping[str, str] | None = None,
        *,
        own: bool = False,
        numbers: bool = False,
    ) -> Made:
        """Keeps what is made by now, of a load the shape that it is to leave; with `numbers` next values.

        With `own` the run itself has changed what is not as it was last time.
        """
        values = self._made.next_values
        if numbers:
            values = {name: number for _, name, number, _ in sequence_values(connection, self._plan)}
        objects = self._objects(connection, own=own) if loaded is None else loaded
        self._made = Made(objects, values, READER, steps)
        record_made(connection, self._run, self._made)
        return self._made

    def _objects(self, connection: psycopg.Connection[Any], *, own: bool) -> dict[str, str]:
        now, there = shape_now(connection, self._plan.schema), objects_there(connection, self._run)
        then = self._made.objects
        if own:
            then = {name: text for name, text in then.items() if text != self._shape.get(name)}
        self._shape = now
        return _as_made(then, {name: text for name, text in now.items() if name not in there})


def _as_made(then: Mapping[str, str], now: Mapping[str, str], *, whole: bool = False) -> dict[str, str]:
    """The objects of now, with the facts that they had then and have no longer, and those that are gone; with
    `whole` without facts that are new.

    The type of a column may change: that is one way to let rejected rows in. What follows it changes, too.
    """
    differing = {
        name: (was, now.get(name))
        for name, was in then.items()
        if now.get(name) not in (was, _validated(was))
    }
    retyped = {
        name for name, (was, text) in differing.items() if text and _type(name, was) != _type(name, text)
    }
    follow = retyped | {json.loads(then[name])["of"] for name in retyped}
    objects = dict(now)
    for name, (was, text) in differing.items():
        if text is None:
            objects[name] = was
        elif not (name.startswith(_FOLLOWING) and _belongs(was, follow)):
            old, new = json.loads(was), json.loads(text)
            asked = old.keys() - new.keys() if name in retyped else old.keys() | new.keys() if whole else old
            others = {key: old.get(key) for key in asked if key not in _ignored(name)}
            objects[name] = text_of({key: fact for key, fact in (new | others).items() if fact is not None})
    return objects


def _type(name: str, text: str) -> object:
    return json.loads(text)["type"] if name.startswith("column ") else None


def changed_since(
    connection: psycopg.Connection[Any], plan: Plan, made: Made, following: Following | None = None
) -> list[Finding]:
    """A finding for each object that is gone, no longer the same, or new and acting on a table's rows.

    While epochs bring rows, foreign keys that have not been validated again are as they are to be, and so are
    sequences that are too low.
    """
    followed = following is not None and following.epoch > 0 and following.certificate is None
    now, then = _judged(shape_now(connection, plan.schema)), _judged(made.objects)
    unchecked = {
        name for name, text in now.items() if followed and _validated(text) == then.get(name) != text
    }
    # A key that was NOT VALID, and is valid now, promises more.
    surer = {name for name, text in now.items() if then.get(name, text) != text == _validated(then[name])}
    now |= {name: then[name] for name in unchecked | surer}
    gone = then.keys() - now.keys()
    found = []
    if unchecked:
        words = said(
            len(unchecked), "are NOT VALID since rows were replaced, until the cutover", "foreign key"
        )
        found.append(Finding(Code.V111, "note", plan.schema, words, evidence=", ".join(sorted(unchecked))))
    found += [
        Finding(Code.V111, "block", name, words, _HINT)
        for name, was in sorted(then.items())
        if not name.startswith(_OTHERS)
        and (words := difference(was, now.get(name), _ignored(name)))
        and not _belongs(was, gone)
    ]
    added = sorted((name, now[name]) for name in now.keys() - then.keys())
    found += [
        Finding(Code.V111, "block", name, difference(None, text), _HINT)
        for name, text in added
        if (name.startswith(_ACTING) or _only_unique(name, text, dict(added))) and _belongs(text, then.keys())
    ]
    low = too_low(connection, plan, made)
    if followed:
        low = (replace(one, severity="note", hint="converge cutover sets it") for one in low)
    return [*found, *low]


def unchecked_keys(
    connection: psycopg.Connection[Any], plan: Plan, made: Made | None
) -> Sequence[OwnForeignKey]:
    """Foreign keys that epochs have left unchecked, and that were valid when the run ended."""
    objects = made.objects if made else {}
    return [
        key
        for key in read_existing(connection, plan.schema).foreign_keys
        if not key.validated
        for text in [objects.get(key.object)]
        if text and json.loads(text).get("definition") == key.definition
    ]


def note_validated(connection: psycopg.Connection[Any], run: int, keys: Sequence[OwnForeignKey]) -> None:
    """Records the keys that the run has left NOT VALID and that are valid by now: those that epochs leave
    unchecked become valid again."""
    made = recorded_made(connection, run)
    objects = made.objects if made else {}
    surer = {
        key.object: _validated(objects[key.object]) for key in keys if key.validated and key.object in objects
    }
    if made and any(objects[name] != text for name, text in surer.items()):
        record_made(connection, run, replace(made, objects={**objects, **surer}))


def validate_keys(connection: psycopg.Connection[Any], plan: Plan, made: Made | None) -> None:
    """Validate them again; skip keys with orphan rows."""
    for key in unchecked_keys(connection, plan, made):
        with suppress(psycopg.errors.ForeignKeyViolation):
            if check := replace(key, validated=True).validate:
                connection.execute(check.encode())


@contextmanager
def revisions_recorded(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """What revisions change inside, also where one of them fails, is as it is meant to be from then on.

    What others had changed before stays a difference.
    """
    runs = runs_with_tables(connection)
    before = {schema: shape_now(connection, schema) for schema in {schema for _, schema, _ in runs}}
    try:
        yield
    finally:
        # A revision may have dropped the ledger.
        there = {run for run, _, _ in runs_with_tables(connection)}
        for schema, then in before.items():
            now = shape_now(connection, schema)
            changed = {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
            whole = {name: _whole(name, now) for name in now.keys() - then.keys()}
            in_schema = [(run, made) for run, of, made in runs if of == schema and run in there]
            for run, made in in_schema:
                # New tables, views and functions are the last run's.
                wholes = {*made.objects, *(whole if run == in_schema[0][0] else ())}
                objects = dict(made.objects)
                for name in changed:
                    was, found = objects.get(name, ""), then.get(name, "")
                    if _validated(was) != _validated(found) or whole.get(name, name) not in wholes:
                        continue
                    objects.pop(name, None)
                    if text := now.get(name):
                        # A key that only epochs have left NOT VALID is to be valid again.
                        objects[name] = _validated(text) if was == _validated(found) != found else text
                record_made(connection, run, replace(made, objects=objects))


def _judged(shape: Mapping[str, str]) -> dict[str, str]:
    """Without the triggers of `rollback --prepare`, which change no row; it looks after them itself."""
    return {
        name: text
        for name, text in shape.items()
        if not (name.startswith("trigger converge_") and "EXECUTE FUNCTION converge." in text)
    }


def _validated(text: str) -> str:
    return text.replace(' NOT VALID"', '"')


def _ignored(name: str) -> frozenset[str]:
    """Options of a view are no tuning: they say whose privileges count, and which rows it takes."""
    return _TUNING - {"options"} if name.startswith(("view ", "materialized view ")) else _TUNING


def _only_unique(name: str, text: str, added: Container[str]) -> bool:
    """Whether this is a unique index that no new constraint has brought."""
    of = json.loads(text).get("of", "")
    constraint = f"constraint {name.rpartition('.')[2]} on {of.partition(' ')[2]}"
    return '"definition": "CREATE UNIQUE ' in text and name.startswith("index ") and constraint not in added


def _belongs(text: str, others: Collection[str]) -> bool:
    """Whether the object is a part of one of these tables, views or columns."""
    return json.loads(text).get("of") in others


def _whole(name: str, shape: Mapping[str, str]) -> str:
    """What the object is a part of in the end: the table of a column's sequence; else the object itself."""
    while of := json.loads(shape.get(name, "{}")).get("of"):
        name = of
    return name
