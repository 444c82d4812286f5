"""The plan's tables for people: source and target side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converge.model.plan import ColumnPlan, Finding, Outcome, Plan, TablePlan
from converge.report.parts import Cell, Grid, Mark, Tone, grid, owner, severities
from converge.report.units import size

OF_TABLES = ("table", "column", "index", "foreign key", "check")
"""Kinds of object that are shown with their table."""
_MOST_COLUMNS = 20_000
_STATES: dict[str, Tone] = {"not migrated": "warn"}


@dataclass(frozen=True, slots=True)
class TablePart:
    """One table, source and target side by side."""

    source: str
    target: str
    rows: str
    size: str
    indexes: int
    keys: int
    findings: tuple[Mark, ...]
    open: bool
    """Whether a page has room for its columns; of very many tables it shows those with findings first."""
    columns: Grid
    objects: Grid
    """Indexes, foreign keys and checks, and the table itself."""


def overview(tables: Sequence[TablePart]) -> Grid:
    """A line for each table."""
    return grid(
        "Tables",
        (
            ("table", "name"), ("target", "name"), ("rows ~", "number"), ("size ~", "number"),
            ("columns", "number"), ("keys, indexes", "number"), ("foreign keys", "number"),
            ("findings", "words"),
        ),
        [
            (
                one.source, one.target, one.rows, one.size, f"{len(one.columns.rows)}", f"{one.indexes}",
                f"{one.keys}", ", ".join(str(mark) for mark in one.findings),
            )
            for one in tables
        ],
    )  # fmt: skip


def table_parts(plan: Plan) -> tuple[TablePart, ...]:
    """Every table of the plan with what is said about it."""
    names = {one.source for one in plan.tables}
    outcomes: dict[str | None, list[Outcome]] = defaultdict(list)
    for outcome in plan.outcomes:
        if outcome.kind in OF_TABLES:
            outcomes[owner(outcome.name, names)].append(outcome)
    findings: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in plan.findings:
        findings[owner(finding.object, names)].append(finding)
    kinds = Counter((statement.object, statement.phase) for statement in plan.statements)
    opened = _opened(plan.tables, findings)
    following = {(one.table, one.column): one.next_value for one in plan.identities}
    return tuple(
        TablePart(
            source=one.source,
            target=f"{plan.schema}.{one.target}",
            rows=f"{one.rows_estimate:,}",
            size=size(one.data_bytes),
            indexes=kinds[one.source, "index"],
            keys=kinds[one.source, "foreign key"],
            findings=severities(findings[one.source]),
            open=one.source in opened,
            columns=_columns(one, outcomes[one.source], following),
            objects=_objects(one, outcomes[one.source]),
        )
        for one in plan.tables
    )


def _opened(tables: Sequence[TablePlan], findings: Mapping[str | None, Sequence[Finding]]) -> set[str]:
    """The tables whose columns a page has room for."""
    opened = set()
    columns = 0
    for table in sorted(tables, key=lambda one: not findings.get(one.source)):
        columns += len(table.columns)
        if columns > _MOST_COLUMNS:
            break
        opened.add(table.source)
    return opened


def _columns(one: TablePlan, outcomes: Sequence[Outcome], following: Mapping[tuple[str, str], int]) -> Grid:
    rows: list[tuple[Cell, ...]] = [
        (
            column.source,
            column.source_type,
            column.target,
            column.target_type,
            "yes" if column.nullable else "no",
            "; ".join(_traits(one, column, following.get((one.source, column.source)))),
            f"{column.rule}: {column.why}",
            column.evidence,
        )
        for column in one.columns
    ]
    known = {f"{one.source}.{column.source}" for column in one.columns}
    rows += [
        (outcome.name[len(one.source) + 1 :], "", Mark(outcome.state, "warn"), "", "", "", outcome.why, "")
        for outcome in outcomes
        if outcome.kind == "column" and outcome.name not in known
    ]
    return grid(
        f"Columns of {one.source}",
        (
            ("source column", "name"), ("type", "code"), ("target column", "name"), ("becomes", "code"),
            ("null", "words"), ("properties", "words"), ("rule and why", "words"),
            ("seen in the data", "words"),
        ),
        rows,
    )  # fmt: skip


def _traits(one: TablePlan, column: ColumnPlan, following: int | None) -> list[str]:
    traits = ["primary key"] if column.source in one.key else []
    if column.identity:
        traits.append("identity" + ("" if following is None else f", next {following}"))
    if column.default is not None:
        traits.append(f"default {column.default}")
    if column.generated is not None:
        traits.append(f"generated as {column.generated}")
    if column.collation is not None:
        traits.append(f"collation {column.collation}")
    return traits + [f"{change.trap}: {change.policy}" for change in column.changes]


def _objects(one: TablePlan, outcomes: Sequence[Outcome]) -> Grid:
    found = [outcome for outcome in outcomes if outcome.kind != "column"]
    return outcomes_grid(f"Keys, indexes and checks of {one.source}", found)


def outcomes_grid(title: str, outcomes: Sequence[Outcome]) -> Grid:
    """What becomes of each of these objects."""
    return grid(
        title,
        (("kind", "words"), ("source", "name"), ("becomes", "code"), ("state", "words"), ("why", "words")),
        [
            (one.kind, one.name, one.becomes, Mark(one.state, _STATES.get(one.state, "quiet")), one.why)
            for one in outcomes
        ],
    )
