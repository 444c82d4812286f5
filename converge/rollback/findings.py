"""What does not go back to the source, or not as it is, and what has to be done before anything can."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.quote import my_name, pg_name
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.model.words import counted
from converge.mysql.definitions import next_values
from converge.mysql.digest import changed_keys
from converge.mysql.privileges import read_privileges
from converge.postgres.next_values import sequence_values, unread_sequences
from converge.postgres.query import rows, value
from converge.rollback.inverse import noted_by, one_way, partly_lost
from converge.rollback.parents import unsure_parents
from converge.run.compared import Compared
from converge.types.as_number import FLOATS
from converge.types.floating import Floating
from converge.types.sql import base_name

WRITING = ("INSERT", "UPDATE", "DELETE", "CREATE TEMPORARY TABLES")
"""Privileges that --apply needs."""


def going_back(plan: Plan) -> list[TablePlan]:
    """Without those in which a load has kept rows of the target's own."""
    return [table for table in plan.tables if not table.rows]


def obstacles(both: Compared, tables: Sequence[TablePlan]) -> Iterator[Finding]:
    """What does not come back, or not as it is, and what has to be done before anything can."""
    yield from losses(both, tables)
    yield from _shared_keys(both, tables)
    own = read_privileges(both.source, both.catalog.database)
    yield from unsure_parents(both, own, tables)
    names = {table.source for table in tables}
    yield from filter(
        None, (without_transactions(table) for table in both.catalog.tables if table.name in names)
    )
    for words, statement in acting_triggers(both):
        message = f"{words}: it would act on the rows that come back"
        yield Finding(Code.V131, "note", "source", message, statement)
    if lacking := [one for one in WRITING if not own.may(one)]:
        message = f"the user lacks {', '.join(lacking)}, which only --apply needs"
        yield Finding(Code.V134, "note", "source", message, own.grant(", ".join(lacking)))


def losses(both: Compared, tables: Sequence[TablePlan]) -> Iterator[Finding]:
    """What changes in these tables and has no way back."""
    known = {table.name: table for table in both.catalog.tables}
    yield from _whole_changes(both, tables, known)
    # Last, as they may be many.
    yield from _replaced_values(tables, known)


def _whole_changes(
    both: Compared, tables: Sequence[TablePlan], known: Mapping[str, Table]
) -> Iterator[Finding]:
    """Columns and rows of which no change comes back."""
    columns = rows(both.target, "table_columns", schema=both.plan.schema)
    for table in tables:
        ours = {one.target for one in table.columns}
        if others := [column for name, column, *_ in columns if name == table.target and column not in ours]:
            words = f"the source has no column for {', '.join(others)}"
            yield Finding(Code.V130, "lossy", table.source, words)
        # Without a key, rows that differ are deleted and inserted.
        new = "new" if noted_by(table) else "new or changed"
        unset = {
            one.name: f"{new} rows get its default"
            if one.nullable or one.default is not None
            else f"it has no default, so no {new} row goes back"
            for one in known[table.source].columns
            if one.generated is None
        }
        arrived = {one.source for one in table.columns}
        for absent, words in unset.items():
            if absent not in arrived:
                yield Finding(Code.V130, "lossy", f"{table.source}.{absent}", words)
        if not noted_by(table):
            words = "it has no key that goes back: where a row changes, all rows are compared"
            yield Finding(Code.V130, "note", table.source, words)
        computed = {one.name for one in known[table.source].columns if one.generated}
        for column in table.copied:
            name = f"{table.source}.{column.source}"
            if column.source in computed:
                words = "the source computes it: another value in the target does not go back"
                yield Finding(Code.V130, "lossy", name, words)
            elif why := one_way(column):
                words = f"{unset[column.source]}; a change here does not go back: {why}"
                yield Finding(Code.V130, "lossy", name, words)
            elif (scale := _rounded(known[table.source].column(column.source), column)) is not None:
                words = (
                    f"MySQL rounds it: a new value with more than {counted(scale, 'decimal')} ends --apply"
                )
                yield Finding(Code.V130, "lossy", name, words)


def _replaced_values(tables: Sequence[TablePlan], known: Mapping[str, Table]) -> Iterator[Finding]:
    """Single values that have arrived as others."""
    for table in tables:
        for column in table.copied:
            computed = known[table.source].column(column.source).generated
            words = "" if computed or one_way(column) else partly_lost(column)
            if words:
                words = (
                    "a value that is changed in the target goes back as it is there: the source had another "
                    f"one in {words}"
                )
                yield Finding(Code.V130, "lossy", f"{table.source}.{column.source}", words)


def _rounded(column: Column, plan: ColumnPlan) -> int | None:
    """The decimals to which MySQL rounds a DOUBLE(M,D) or FLOAT(M,D), and the target's type does not."""
    floating = column.type in Floating.types and base_name(plan.target_type) in FLOATS
    return column.scale if floating else None


def _shared_keys(both: Compared, tables: Sequence[TablePlan]) -> Iterator[Finding]:
    """Tables in which rows of several keys of the source have one key in the target."""
    known = {table.name: table for table in both.catalog.tables}
    for table in tables:
        if not (noted_by(table) and changed_keys(table.keys, known[table.source])):
            continue
        name = pg_name(both.plan.schema, table.target)
        keys = ",".join(pg_name(column.target) for column in table.keys)
        if value(both.target, f"SELECT EXISTS (SELECT FROM {name} GROUP BY {keys} HAVING count(*) > 1)"):
            words = "several rows have one key in the target: a change of one of them ends --apply"
            hint = "give each of these rows a key of its own, in both databases"
            yield Finding(Code.V130, "lossy", table.source, words, hint)


def without_transactions(table: Table) -> Finding | None:
    """What is to be said of a table whose engine keeps what a statement has written."""
    if table.engine.lower() == "innodb":
        return None
    words = f"{table.engine} in the source cannot roll back: a change of this table ends --apply and --sql"
    first = {index.columns[0] for index in table.indexes if index.columns}
    # InnoDB counts by an index that begins with the column (error 1075).
    more = [one.name for one in table.columns if one.auto_increment and one.name not in first]
    keys = "".join(f"ADD KEY ({my_name(name)}), " for name in more)
    hint = (
        f"after the cutover, before rollback --apply: ALTER TABLE {my_name(table.name)} {keys}ENGINE=InnoDB;"
    )
    return Finding(Code.V136, "lossy", table.name, words, hint)


def acting_triggers(both: Compared) -> list[tuple[str, str]]:
    """Triggers of the source on tables that go back, and what is not known of them; with what to do."""
    tables = {table.source for table in going_back(both.plan)}
    found = [
        (f"{one.name} {one.when} on {one.table}", _removed(one.name))
        for one in both.catalog.routines
        if one.kind == "trigger" and one.table in tables
    ]
    if "triggers" in both.catalog.unreadable:
        own = read_privileges(both.source, both.catalog.database)
        found.append(("the source's user may not see which there are", own.grant("TRIGGER")))
    return found


def _removed(trigger: str) -> str:
    name = my_name(trigger)
    return f"SHOW CREATE TRIGGER {name}; -- keep it, to make the trigger again\nDROP TRIGGER {name};"


def given_out(both: Compared) -> Iterator[Finding]:
    """Numbers that the target has given out, and the source would give out again."""
    identities = [one for one in both.plan.identities if one.auto_increment]
    ours = next_values(both.source, sorted(one.table for one in identities))
    theirs = {name: number for name, _, number, _ in sequence_values(both.target, both.plan)}
    for one in identities:
        there = theirs.get(f"{one.table}.{one.column}", 0)
        if there > ours.get(one.table, 1):
            yield Finding(
                Code.V135, "note", one.table, f"the next number is {there:,} in the target",
                f"ALTER TABLE {my_name(one.table)} AUTO_INCREMENT = {there};",
            )  # fmt: skip
    for name, sequence, grant in unread_sequences(both.target, both.plan):
        yield Finding(
            Code.V135, "note", name, f"the role may not read {sequence}, nor its next number", grant
        )
    for counter in both.plan.counters:
        if counter.table not in theirs:
            continue
        words = f"the sequence {counter.target} gives {theirs[counter.table]:,} next; set the row to that"
        yield Finding(Code.V135, "note", counter.table, words)
