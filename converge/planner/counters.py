"""Tables that hold a next value, as Hibernate's do, where the target has a sequence: one number arrives.

So nothing else may be in them: no second row, no value in a column that no map skips, and no number that
the sequence cannot give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from converge.codes import Code
from converge.mapping.rules import setting
from converge.model.catalog import Column, Table
from converge.model.plan import Outcome
from converge.model.quote import my_name, pg_name
from converge.model.words import counted
from converge.planner.columns import left_out
from converge.planner.decision import column_entry
from converge.planner.draft import Draft
from converge.planner.load.match import Loading
from converge.types import NUMBERS

_LAST = 2**63 - 1
"""The last number of a sequence that is made without a MAXVALUE; its first one is 1."""


def counter_conditions(draft: Draft, table: Table) -> Iterator[str]:
    """Rows that the scan should count: what a sequence in place of the table would not have."""
    yield from (_filled(column) for column in _others(draft, table))
    if table.name in draft.counters:
        yield from _beyond(draft, table)


def plan_counters(draft: Draft) -> None:
    """The sequences: made in create mode, the application's own in load mode."""
    for table in draft.catalog.tables:
        if (counter := draft.counters.get(table.name)) is None:
            continue
        if draft.loading is None:
            name = draft.own(counter.target)
            why = "the table is a counter"
            draft.do("create", table.name, f"CREATE SEQUENCE {name}", why, makes=f"SEQUENCE {name}")
        skipped = [one.name for one in table.columns if _setting(draft, table, one, "skip")]
        for column in skipped:
            left_out(draft, f"{table.name}.{column}")
        draft.outcomes += [
            Outcome(kind, part, "translated", f"sequence {counter.target}", counter.why)
            for kind, part in table.objects()
            if (kind, part) not in {("column", f"{table.name}.{column}") for column in skipped}
        ]
        _note_lost(draft, table)


def _note_lost(draft: Draft, table: Table) -> None:
    """Blocks for what the sequence would not have; says where it has no number left."""
    facts, (least, most), name = draft.evidence.table(table.name), _range(draft, table), table.name
    below, above = (draft.evidence.count(name, one) for one in _beyond(draft, table))
    filled = list(_holding(draft, table))
    if facts is None or facts.unseen or below is None or above is None:
        message = "a sequence takes the place of one row, and the scan has not seen how many there are"
        draft.find(Code.P160, name, message, "converge plan, without --no-scan")
    elif facts.rows > 1:
        message = f"a sequence takes the place of one row, and the table has {facts.rows:,}"
        draft.find(Code.P160, name, message, f"remove next_value from the map, or --exclude {name}")
    elif filled:
        message = f"a sequence cannot keep the values of {', '.join(one.name for one in filled)}"
        draft.find(Code.P160, name, message, "\n".join(_skips(table, filled)))
    elif below.rows:
        message = f"the next value is not a whole number from {least:,} on, as the sequence gives"
        draft.find(Code.P160, name, message, "another next_value in the map")
    elif above.rows:
        message = f"the next value is beyond {most:,}, where the target's sequence ends"
        sequence = pg_name(draft.schema, draft.counters[name].target)
        draft.find(Code.P158, name, message, f"ALTER SEQUENCE {sequence} AS bigint NO MAXVALUE;")


def note_sequences(draft: Draft, loading: Loading) -> None:
    """In load mode: tables for which the target has a sequence that no map names, or that is not ours."""
    for table in draft.catalog.tables:
        own = None if table.name in loading.matches else loading.sequence(draft.schema, table)
        if own is None:
            continue
        if table.name not in draft.counters:
            message = f"the target has a sequence {own['name']} in place of this table"
            draft.find(Code.L140, table.name, f"{message}; its next value is not set", _rule(draft, table))
        elif own["owner"] not in {one.owner for one in loading.existing.tables if one.owned}:
            draft.find(
                Code.L009, table.name,
                f"the target's sequence {own['name']} belongs to {own['owner']}: only its owner can set it",
                f"GRANT {pg_name(own['owner'])} TO CURRENT_USER; as a member that may grant it",
            )  # fmt: skip


def _rule(draft: Draft, table: Table) -> str:
    """What makes the table a counter, where one number is all that it has."""
    column, facts = _column(draft, table), draft.evidence.table(table.name)
    if column is None or (facts and facts.rows > 1):
        rows = counted(facts.rows, "row") if facts else "no number"
        return f"set the next value by hand, by setval() in the target: the table has {rows}"
    ways = [column_entry(table, column, 'next_value = "{}"'), *_skips(table, _holding(draft, table))]
    return "\n".join([*ways, '# or: next_value = "{} + 1", where the row has the last value'])


def _skips(table: Table, columns: Iterable[Column]) -> Iterator[str]:
    return (column_entry(table, column, "skip = true") for column in columns)


# ---- what the table has --------------------------------------------------------------------------------


def _column(draft: Draft, table: Table) -> Column | None:
    """The column with the next value: a map's, or the first number where the target has a sequence."""
    if table.name in draft.counters:
        return next(one for one in table.columns if _setting(draft, table, one, "next_value"))
    if draft.loading and table.name not in draft.loading.matches:
        numbers = (one for one in table.columns if one.type in NUMBERS)
        return next(numbers, None) if draft.loading.sequence(draft.schema, table) else None
    return None


def _others(draft: Draft, table: Table) -> Iterator[Column]:
    """The columns beside it whose values nothing makes again, and that no map skips."""
    column = _column(draft, table)
    for other in table.columns if column else ():
        if other is not column and not other.generated and not _setting(draft, table, other, "skip"):
            yield other


def _holding(draft: Draft, table: Table) -> Iterator[Column]:
    """Those that have values."""
    for column in _others(draft, table):
        if (count := draft.evidence.count(table.name, _filled(column))) and count.rows:
            yield column


def _filled(column: Column) -> str:
    return f"{my_name(column.name)} IS NOT NULL"


def _beyond(draft: Draft, table: Table) -> tuple[str, str]:
    """Conditions: the next value is below what the sequence gives, or none of its numbers; it is above."""
    value, (least, most) = f"({draft.counters[table.name].next_value})", _range(draft, table)
    return f"({value} < {least} OR {value} <> FLOOR({value}))", f"({value} > {most})"


def _range(draft: Draft, table: Table) -> tuple[int, int]:
    own = draft.loading.sequence(draft.schema, table) if draft.loading else None
    return (own["min"], own["max"]) if own else (1, _LAST)


def _setting(draft: Draft, table: Table, column: Column, name: str) -> object:
    return setting(draft.map.for_column(table, column, identity=False), name)[0]
