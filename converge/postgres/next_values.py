"""The next values of sequences: set behind the rows and the source's counters, and seen to be too low."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.quote import pg_name, pg_text
from converge.model.recorded import Made
from converge.model.table_plan import ColumnPlan, Identity
from converge.postgres.query import lock_room, value

_MOST_AT_ONCE = 100
_LOCKS = 64
"""Of a table, its sequence and its indexes: more than most have."""
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
"""Types whose largest value is the largest number."""


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


def record_next_values(
    connection: psycopg.Connection[Any],
    run: int,
    plan: Plan,
    numbers: Mapping[str, int],
    counters: Mapping[str, int],
) -> None:
    """Keeps what a load is about to set by `next_value_statements`, for `recover`.

    A sequence of which others have taken numbers since the run began is left out: it is not to be set back.
    """
    each = [_record(run, *one) for one in _to_set(connection, plan, numbers, counters)]
    for query in _together(connection, each, ";"):
        connection.execute(query)


def next_value_statements(
    connection: psycopg.Connection[Any], plan: Plan, numbers: Mapping[str, int], counters: Mapping[str, int]
) -> list[str]:
    """The next value becomes max(the source's AUTO_INCREMENT, max(column) + 1), and never less than it is.

    `numbers` are the AUTO_INCREMENT values by the source's tables, and `counters` the next values that its
    counters give, as they are now.

    A column that has reached its type's end stays there: the next insert fails, as it does in MySQL. A
    sequence that others have dropped is left out; `made.changed_since` names it.
    """
    return [_setval(*one) for one in _to_set(connection, plan, numbers, counters)]


def _to_set(
    connection: psycopg.Connection[Any], plan: Plan, numbers: Mapping[str, int], counters: Mapping[str, int]
) -> Iterator[tuple[str, str]]:
    """Sequences, by their quoted names, each with an expression of what it is to give next at least."""
    gone = gone_sequences(connection, plan)
    for identity, column, place in _identities(plan):
        sequence = gone[column.sequence].instead if column.sequence in gone else column.sequence
        if not sequence:
            continue
        next_value = numbers.get(identity.table, 1) if identity.auto_increment else 1
        # Several columns may share a sequence of the target's own, so it is one statement after the other.
        # Of a sequence that counts by 50 Hibernate takes the 49 numbers before the one that it gets, too.
        free = f"greatest({next_value}, floor({_largest(column, place)}::numeric) + 1)"
        yield sequence, f"{free} + greatest(q.seqincrement - 1, 0)"
    for one in plan.counters:
        sequence = pg_name(plan.schema, one.target)
        if one.table in counters and sequence not in gone:
            yield sequence, str(counters[one.table])


def _largest(column: ColumnPlan, place: str) -> str:
    """The column's largest number. A map may make texts of them, of which '9' is larger than '10'."""
    name = pg_name(column.target)
    if not _is_number(column):
        name = f"CASE WHEN {name}::text ~ '^[0-9]{{1,20}}$' THEN {name}::text::numeric END"
    return f"(SELECT max({name}) FROM {place})"


def _is_number(column: ColumnPlan) -> bool:
    return column.target_type.partition("(")[0] in _NUMBERS


def _setval(sequence: str, next_value: str) -> str:
    return (
        "SELECT setval(q.seqrelid, least(n.next, q.seqmax)::bigint, n.next > q.seqmax) "
        f"{_from(sequence, next_value)}"
    )


def _record(run: int, sequence: str, next_value: str) -> str:
    name, number = pg_text(sequence), next_number(sequence)
    return (
        # Several columns may share the sequence.
        f"UPDATE converge.run SET next_values = next_values || jsonb_build_object({name}, "
        f"greatest(least(n.next, q.seqmax::numeric + q.seqincrement), (next_values ->> {name})::numeric)) "
        f"{_from(sequence, next_value)} AND id = {run} AND n.next > {number} "
        # It stands as before the run, or where an earlier attempt has set it.
        f"AND ((evidence #> ARRAY['existing', 'sequences', {name}])::jsonb "
        f"= (SELECT jsonb_build_array(last_value, is_called) FROM {sequence}) "
        f"OR (next_values ->> {name})::numeric = {number})"
    )


def _from(sequence: str, next_value: str) -> str:
    return (
        f"FROM pg_sequence q, LATERAL (SELECT greatest({next_value}, {next_number(sequence)})) n(next) "
        f"WHERE q.seqrelid = {pg_text(sequence)}::regclass"
    )


def next_number(sequence: str) -> str:
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
        "SELECT o - 1 FROM unnest(%s::text[], %s::text[], %s::text[], %s::bool[]) WITH ORDINALITY "
        "n(s, t, c, number, o) WHERE has_sequence_privilege(to_regclass(s), 'SELECT') AND EXISTS ("
        "SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = to_regclass(n.t) AND a.attname = c AND (t.typcategory = 'N' OR NOT number)) "
        "ORDER BY o",
        (
            [column.sequence for _, column, _ in numbered],
            [place for _, _, place in numbered],
            [column.target for _, column, _ in numbered],
            [_is_number(column) for _, column, _ in numbered],
        ),
    ).fetchall()
    queries = []
    for (number,) in readable:
        _, column, place = numbered[number]
        largest = f"coalesce({_largest(column, place)}, 0)::text"
        step = f"(SELECT seqincrement FROM pg_sequence WHERE seqrelid = {pg_text(column.sequence)}::regclass)"
        queries.append(f"SELECT {number}, {next_number(column.sequence)}, {largest}, greatest({step}, 1)")
    for query in _together(connection, queries, " UNION ALL "):
        for number, next_value, most, step in connection.execute(query).fetchall():
            identity, column, _ = numbered[number]
            free = int(Decimal(most)) + step
            yield f"{identity.table}.{identity.column}", column.sequence, int(next_value), free
    for counter in plan.counters:
        sequence = pg_name(plan.schema, counter.target)
        if value(connection, "SELECT has_sequence_privilege(to_regclass(%s), 'SELECT')", (sequence,)):
            next_value = value(connection, f"SELECT {next_number(sequence)}")
            yield counter.table, sequence, int(next_value), 1


def unread_sequences(connection: psycopg.Connection[Any], plan: Plan) -> list[tuple[str, str, str]]:
    """Column or counter, sequence and GRANT, of those that the role may not read."""
    of = [(f"{one.table}.{one.column}", column.sequence) for one, column, _ in _identities(plan)]
    of += [(one.table, pg_name(plan.schema, one.target)) for one in plan.counters]
    query = (
        "SELECT o, s, format('GRANT SELECT ON SEQUENCE %%s TO %%I;', s, current_user) "
        "FROM unnest(%s::text[], %s::text[]) n(o, s) "
        "WHERE NOT has_sequence_privilege(to_regclass(s), 'SELECT')"
    )
    return connection.execute(query, [[one[place] for one in of] for place in range(2)]).fetchall()


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


def _together(connection: psycopg.Connection[Any], each: Sequence[str], separator: str) -> Iterator[bytes]:
    """Queries of one table each, as few of many: a query locks its tables with all of their indexes."""
    at_once = max(1, min(_MOST_AT_ONCE, lock_room(connection) // _LOCKS))
    for start in range(0, len(each), at_once):
        yield separator.join(each[start : start + at_once]).encode()
