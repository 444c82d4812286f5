"""The merged schema: what the planner makes of the shards' catalog, with the shard column in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from converge.codes import Code
from converge.errors import BlockedError, first_of
from converge.model.catalog import Column, Index, IndexPart, Table
from converge.model.evidence import Count, Evidence, TableFacts
from converge.model.plan import Outcome, Plan, Statement, digest
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions, make_plan
from converge.planner.rehearsal import changes
from converge.planner.rows import EXACTLY

_LENGTH = 64
"""Of a name in MySQL, in characters of at most 4 bytes."""
_SHOWN = 20
_HOOKS = ("after create", "after copy", "after finish")
_SET_NULL_OF_COLUMNS = 15
"""PostgreSQL manual, "CREATE TABLE": ON DELETE SET NULL (column)."""
_KEY = re.compile(
    r'FOREIGN KEY \("(?:[^"]|"")*", (?P<columns>.*?)\) REFERENCES .* ON DELETE (?P<delete>[A-Z ]+) '
    r"ON UPDATE (?P<update>SET NULL|[A-Z]+)"
)
"""Of which the shard's column is the first."""


def merged_plan(inputs: Inputs, column: str) -> Plan:
    """How the schema of a shard becomes the merged one, into which all shards' rows fit.

    Without a shard column it is the shard's. Raises BlockedError for tables that cannot have the column.
    """
    views = inputs.catalog.views
    if column:
        inputs = replace(inputs, catalog=replace(inputs.catalog, tables=_tables(inputs, column), views=()))
        inputs = replace(inputs, evidence=_answered(inputs, column))
    plan = make_plan(inputs)
    statements = [one for one in plan.statements if one.phase not in _HOOKS]
    outcomes = plan.outcomes
    if column:
        statements = [_keeping(one, plan, column) for one in statements]
        why = "it may join or count rows of different shards: write it with the shard column"
        outcomes += tuple(Outcome("view", view.name, "not migrated", "", why) for view in views)
    # A number of each shard's own is what the shard column is for.
    findings = tuple(one for one in plan.findings if not (column and one.code == Code.P153))
    plan = replace(
        plan, statements=tuple(statements), outcomes=outcomes, findings=findings, checks=(), computed=()
    )
    return replace(plan, digest=digest(plan))


def require_same(shards: dict[str, Plan]) -> Plan:
    """The plan of all shards. Raises BlockedError where one is planned otherwise than the first."""
    (first, plan), *others = shards.items()
    for name, other in others:
        if _decided(other) != _decided(plan):
            raise BlockedError(
                f"the shards {first} and {name} do not have the same schema",
                code=Code.P170,
                details=differences(plan, other),
                hint="alter one of them, or decide the columns by a map",
            )
    return plan


def _decided(plan: Plan) -> str:
    """The plan's digest without the states of columns: a shard with odd values is of the same schema."""
    outcomes = tuple(
        replace(one, state="translated") if one.state == "translated with a note" else one
        for one in plan.outcomes
    )
    return digest(replace(plan, outcomes=outcomes))


def differences(plan: Plan, other: Plan) -> list[str]:
    """What the other plan decides otherwise, each in a line; the first of them."""
    return first_of(changes(plan, other), _SHOWN)


def with_longest(shards: Mapping[str, Inputs]) -> dict[str, Inputs]:
    """Each shard as if its longest values were those of all shards, on which hangs how an index is made."""
    longest = dict[str, dict[str, int]]()
    for table, facts in (item for one in shards.values() for item in one.evidence.tables.items()):
        of_all = longest.setdefault(table, {})
        for column, length in facts.longest.items():
            of_all[column] = max(length, of_all.get(column, 0))

    def lengthened(evidence: Evidence) -> Evidence:
        tables = {name: replace(facts, longest=longest[name]) for name, facts in evidence.tables.items()}
        return replace(evidence, tables=tables)

    return {name: replace(one, evidence=lengthened(one.evidence)) for name, one in shards.items()}


def inputs_of_all(shards: Sequence[Inputs], plan: Plan) -> Inputs:
    """Those of the first shard, with rows and counts of all of them; no keys, which several may have.

    The shards are those of `with_longest`. Tables that the plan does not fill, which are counters with
    one row, stay the first shard's.
    """
    first = shards[0]
    tables = []
    for table in first.catalog.tables:
        same = [one for shard in shards for one in shard.catalog.tables if one.name == table.name]
        rows, size = sum(one.rows_estimate for one in same), sum(one.data_bytes for one in same)
        tables.append(replace(table, rows_estimate=rows, data_bytes=size))
    facts = {
        name: _facts_of_all([one.evidence.tables[name] for one in shards if name in one.evidence.tables])
        for name in sorted(first.evidence.tables.keys() & {table.source for table in plan.tables})
    }
    return replace(
        first,
        catalog=replace(first.catalog, tables=tuple(tables)),
        evidence=replace(first.evidence, tables={**first.evidence.tables, **facts}),
    )


def _facts_of_all(facts: Sequence[TableFacts]) -> TableFacts:
    return replace(
        facts[0],
        rows=sum(one.rows for one in facts),
        counts=_sums([one.counts for one in facts]),
        found=_sums([one.found for one in facts]),
        unseen=next((one.unseen for one in facts if one.unseen), ""),
    )


def _sums(counts: Iterable[Mapping[str, Count]]) -> dict[str, Count]:
    sums = dict[str, Count]()
    for key, count in (item for one in counts for item in one.items()):
        known = sums.get(key, Count(0))
        sums[key] = Count(known.rows + count.rows, of=known.of + count.of)
    return sums


def _tables(inputs: Inputs, name: str) -> tuple[Table, ...]:
    """With the column in front, also in each key that rows are told apart by, or refer to.

    Raises BlockedError for a table that has it: names are compared without their case, as MySQL does.
    """
    taken = [table for table in inputs.catalog.tables if inputs.takes(table.name)]
    if having := [
        one.name for one in taken if name.lower() in {column.name.lower() for column in one.columns}
    ]:
        raise BlockedError(
            f"{', '.join(having)}: has a column {name} already", code=Code.P171, hint="merge = { column = … }"
        )
    column = Column(
        name, f"varchar({_LENGTH})", "varchar", nullable=False, length=_LENGTH, charset="utf8mb4",
        collation="utf8mb4_bin",
    )  # fmt: skip
    names = {table.name for table in taken}
    return tuple(
        replace(
            table,
            columns=(column, *table.columns),
            indexes=tuple(_index(index, table, name) for index in table.indexes),
            foreign_keys=tuple(
                replace(key, columns=(name, *key.columns), parent_columns=(name, *key.parent_columns))
                if key.parent in names
                else key
                for key in table.foreign_keys
            ),
        )
        if table.name in names
        else table
        for table in inputs.catalog.tables
    )


def _index(index: Index, table: Table, name: str) -> Index:
    """With the column in front where the index is of a key: rows of a parent are asked for with it."""
    columns = [part.column for part in index.parts]
    refers = index.kind == "BTREE" and any(
        set(columns[: len(key.columns)]) == set(key.columns) for key in table.foreign_keys
    )
    return replace(index, parts=(IndexPart(name), *index.parts)) if index.unique or refers else index


def _answered(inputs: Inputs, column: str) -> Evidence:
    """What the shard's scan has seen, and that the names of databases are nothing odd."""
    known = dict(inputs.evidence.tables)
    for asked in all_questions(inputs):
        if (facts := known.get(asked.table)) is not None:
            conditions = [*asked.conditions, *(one.condition for one in asked.oversize)]
            known[asked.table] = replace(
                facts,
                counts=dict.fromkeys(conditions, Count(0)) | dict(facts.counts),
                longest={column: 4 * _LENGTH} | dict(facts.longest),
                # With its own shard's column a key of numbers is one of texts, too.
                found={
                    one.name: facts.found.get(one.name.removesuffix(EXACTLY), Count(0))
                    for one in asked.searches
                },
            )
    return replace(inputs.evidence, tables=known)


def _keeping(statement: Statement, plan: Plan, column: str) -> Statement:
    """The statement; of a key that forgets its parent, so that it keeps the shard. Raises BlockedError."""
    key = _KEY.search(statement.sql) if statement.phase == "foreign key" else None
    if key is None or "SET NULL" not in (key["delete"], key["update"]):
        return statement
    if key["update"] == "SET NULL" or int(plan.target_version.split(".")[0]) < _SET_NULL_OF_COLUMNS:
        way = "" if key["update"] == "SET NULL" else "PostgreSQL 15 or newer; or "
        raise BlockedError(
            f"{statement.object}: a foreign key that sets columns to NULL would do so with {column}, too",
            code=Code.P171,
            hint=f"{way}leave the key out by a map",
        )
    end = key.end("delete")
    return replace(statement, sql=f"{key.string[:end]} ({key['columns']}){key.string[end:]}")
