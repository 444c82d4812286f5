"""The schema that a run has made: what it is at the run's end, and what others have changed since."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.existing import Existing, OwnForeignKey, difference
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.quote import pg_name, pg_text
from converge.model.recorded import READER, Made
from converge.model.table_plan import ColumnPlan, Identity
from converge.model.words import said
from converge.postgres.catalog import shape_now
from converge.postgres.existing import read_existing
from converge.postgres.following import Following
from converge.postgres.query import lock_room, value
from converge.postgres.recorded import objects_there, record_made, runs_with_tables

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
_MOST_AT_ONCE = 100
_LOCKS = 64
"""Of a table, its sequence and its indexes: more than most have."""
_HINT = "undo the change; or run it as a revision by `converge migrations run`, which records it"


def record_schema(
    connection: psycopg.Connection[Any], plan: Plan, run: int, existing: Existing | None
) -> Made:
    """Keeps what the run has made in the ledger; in load mode that is what the schema was before."""
    if existing is not None:
        objects = existing.shape
    else:
        there = objects_there(connection, run)
        objects = {
            name: text for name, text in shape_now(connection, plan.schema).items() if name not in there
        }
    made = Made(objects, {name: number for _, name, number, _ in sequence_values(connection, plan)}, READER)
    record_made(connection, run, made)
    return made


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
    now |= {name: then[name] for name in unchecked}
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
    query = (
        "SELECT format('constraint %%I on %%I.%%I', conname, nspname, relname) FROM pg_constraint c "
        "JOIN pg_class t ON t.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE conrelid = to_regclass(%s) AND conname = %s"
    )
    objects = made.objects if made else {}
    return [
        key
        for key in read_existing(connection, plan.schema).foreign_keys
        if not key.validated
        for text in [objects.get(value(connection, query, (key.table, key.name)))]
        if text and json.loads(text).get("definition") == key.definition
    ]


def validate_keys(connection: psycopg.Connection[Any], plan: Plan, made: Made | None) -> None:
    """Validate them again; skip keys with orphan rows."""
    for key in unchecked_keys(connection, plan, made):
        with suppress(psycopg.errors.ForeignKeyViolation):
            if check := replace(key, validated=True).validate:
                connection.execute(check.encode())


def too_low(connection: psycopg.Connection[Any], plan: Plan, made: Made) -> Iterator[Finding]:
    """A finding for each sequence whose next value is used, or is lower than the run has left it."""
    at_end = {one.object for one in plan.findings if one.code == Code.P158}
    for column, sequence, next_value, free in sequence_values(connection, plan):
        if column in at_end:
            # The sequence has never had the column's next value.
            continue
        least = max(made.next_values.get(sequence, next_value), free)
        if next_value < least:
            message = f"the next value of {sequence} is {next_value}, and has to be {least} or more"
            hint = f"SELECT setval('{sequence}', {least}, false);"
            yield Finding(Code.V112, "block", column, message, hint)


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
                meant = {
                    name
                    for name in changed
                    if made.objects.get(name) == then.get(name) and whole.get(name, name) in wholes
                }
                kept = {name: text for name, text in made.objects.items() if name not in meant}
                objects = kept | {name: now[name] for name in meant if name in now}
                record_made(connection, run, Made(objects, made.next_values, READER))


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


@dataclass(frozen=True, slots=True)
class GoneSequence:
    """One that the plan names, and that is no longer there."""

    of: str
    """Column or counter of the source."""
    name: str
    """As `Made.objects` has it."""
    instead: str | None
    """What gives the column its values now, if a sequence does."""


def gone_sequences(connection: psycopg.Connection[Any], plan: Plan) -> dict[str, GoneSequence]:
    """By the plan's names."""
    of = [(column.sequence, f"{one.table}.{one.column}", place, column.target)
          for one, column, place in _identities(plan)]  # fmt: skip
    of += [(pg_name(plan.schema, one.target), one.table, "", "") for one in plan.counters]
    query = (
        "SELECT s, o, (SELECT 'sequence ' || string_agg(quote_ident(p), '.') FROM unnest(parse_ident(s)) p), "
        "(SELECT pg_get_serial_sequence(t, c) FROM pg_attribute "
        "WHERE attrelid = to_regclass(nullif(t, '')) AND attname = c AND NOT attisdropped) "
        "FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) n(s, o, t, c) "
        "WHERE to_regclass(s) IS NULL"
    )
    lists = [[one[place] for one in of] for place in range(4)]
    return {sequence: GoneSequence(*more) for sequence, *more in connection.execute(query, lists)}


def set_next_values(
    connection: psycopg.Connection[Any], plan: Plan, numbers: Mapping[str, int], counters: Mapping[str, int]
) -> None:
    """Carries out `next_value_statements`, as few at once as the server's locks allow."""
    for query in _together(connection, next_value_statements(connection, plan, numbers, counters), ";"):
        connection.execute(query)


def next_value_statements(
    connection: psycopg.Connection[Any], plan: Plan, numbers: Mapping[str, int], counters: Mapping[str, int]
) -> list[str]:
    """The next value becomes max(the source's AUTO_INCREMENT, max(column) + 1), and never less than it is.

    `numbers` are the AUTO_INCREMENT values by the source's tables, and `counters` the next values that its
    counters give, as they are now.

    A column that has reached its type's end stays there: the next insert fails, as it does in MySQL. A
    sequence that others have dropped is left out; `changed_since` names it.
    """
    statements = []
    gone = gone_sequences(connection, plan)
    for identity, column, place in _identities(plan):
        sequence = gone[column.sequence].instead if column.sequence in gone else column.sequence
        if not sequence:
            continue
        next_value = numbers.get(identity.table, 1) if identity.auto_increment else 1
        # Several columns may share a sequence of the target's own, so it is one statement after the other.
        # Of a sequence that counts by 50 Hibernate takes the 49 numbers before the one that it gets, too.
        largest = f"(SELECT max({pg_name(column.target)}) FROM {place})"
        free = f"greatest({next_value}, floor({largest}::numeric) + 1)"
        statements.append(_setval(sequence, f"{free} + greatest(q.seqincrement - 1, 0)"))
    statements += [
        _setval(pg_name(plan.schema, one.target), str(counters[one.table]))
        for one in plan.counters
        if one.table in counters and pg_name(plan.schema, one.target) not in gone
    ]
    return statements


def _setval(sequence: str, next_value: str) -> str:
    return f"""
            SELECT setval(q.seqrelid, least(n.next, q.seqmax)::bigint, n.next > q.seqmax)
              FROM pg_sequence q,
                   LATERAL (SELECT greatest({next_value}, {_next(sequence)})) n(next)
             WHERE q.seqrelid = {pg_text(sequence)}::regclass"""


def _next(sequence: str) -> str:
    """The number that the sequence, given by its quoted name, gives next."""
    return (
        f"(SELECT last_value::numeric + is_called::int * seqincrement FROM {sequence}, pg_sequence "
        f"WHERE seqrelid = {pg_text(sequence)}::regclass)"
    )


def _identities(plan: Plan) -> Iterator[tuple[Identity, ColumnPlan, str]]:
    """The columns that a sequence gives their next values, each with its table's quoted name."""
    for identity in plan.identities:
        table = plan.table(identity.table)
        column = next(column for column in table.columns if column.source == identity.column)
        yield identity, column, pg_name(plan.schema, table.target)


def sequence_values(connection: psycopg.Connection[Any], plan: Plan) -> Iterator[tuple[str, str, int, int]]:
    """Column or counter, sequence, next value and the least that no row has, where the role may read them.

    Of a sequence that counts by 50 none of the 49 numbers before has a row either, as `next_value_statements`
    sets it.
    """
    numbered = list(_identities(plan))
    readable = connection.execute(
        "SELECT o - 1 FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY n(s, t, c, o) "
        "WHERE has_sequence_privilege(to_regclass(s), 'SELECT') AND EXISTS ("
        "SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = to_regclass(n.t) AND a.attname = c AND t.typcategory = 'N') ORDER BY o",
        (
            [column.sequence for _, column, _ in numbered],
            [place for _, _, place in numbered],
            [column.target for _, column, _ in numbered],
        ),
    ).fetchall()
    queries = []
    for (number,) in readable:
        _, column, place = numbered[number]
        largest = f"(SELECT coalesce(max({pg_name(column.target)}), 0)::text FROM {place})"
        step = f"(SELECT seqincrement FROM pg_sequence WHERE seqrelid = {pg_text(column.sequence)}::regclass)"
        queries.append(f"SELECT {number}, {_next(column.sequence)}, {largest}, greatest({step}, 1)")
    for query in _together(connection, queries, " UNION ALL "):
        for number, next_value, most, step in connection.execute(query).fetchall():
            identity, column, _ = numbered[number]
            free = int(Decimal(most)) + step
            yield f"{identity.table}.{identity.column}", column.sequence, int(next_value), free
    for counter in plan.counters:
        sequence = pg_name(plan.schema, counter.target)
        if value(connection, "SELECT has_sequence_privilege(to_regclass(%s), 'SELECT')", (sequence,)):
            next_value = value(connection, f"SELECT {_next(sequence)}")
            yield counter.table, sequence, int(next_value), 1


def _together(connection: psycopg.Connection[Any], each: Sequence[str], separator: str) -> Iterator[bytes]:
    """Queries of one table each, as few of many: a query locks its tables with all of their indexes."""
    at_once = max(1, min(_MOST_AT_ONCE, lock_room(connection) // _LOCKS))
    for start in range(0, len(each), at_once):
        yield separator.join(each[start : start + at_once]).encode()
