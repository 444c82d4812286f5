"""The plan's tables for people: source and target side by side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from converge.model.finding import Finding
from converge.model.plan import Outcome, Plan
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.model.words import counted
from converge.report.document import Cell, Grid, Mark, grid, owner
from converge.report.findings import LEVELS
from converge.report.words import Tone, size

OF_TABLES = ("table", "column", "index", "foreign key", "check")
"""Kinds of object that are shown with their table."""
NO_TABLES = "The source has no tables that are selected."
_STATES: dict[str, Tone] = {"not migrated": "warn"}


def tables_grid(plan: Plan) -> Grid:
    """A line for each table; it unfolds to its columns, and to its keys, indexes and CHECK constraints."""
    names = {one.source for one in plan.tables}
    outcomes: dict[str | None, list[Outcome]] = defaultdict(list)
    for outcome in plan.outcomes:
        if outcome.kind in OF_TABLES:
            outcomes[owner(outcome.name, names)].append(outcome)
    found: dict[str | None, list[Finding]] = defaultdict(list)
    for finding in plan.findings:
        found[owner(finding.object, names)].append(finding)
    following = {(one.table, one.column): one.next_value for one in plan.identities}
    kinds = Counter((statement.object, statement.phase) for statement in plan.statements)
    return Grid(
        "Tables",
        (("table", "name"), ("target", "name"), ("rows ~", "number"), ("size ~", "number"),
         ("columns", "number"), ("indexes", "number"), ("foreign keys", "number"), ("findings", "words")),
        tuple(
            (one.source, f"{plan.schema}.{one.target}", f"{one.rows_estimate:,}", size(one.data_bytes),
             f"{len(one.columns)}", f"{kinds[one.source, 'index']}", f"{kinds[one.source, 'foreign key']}",
             _severities(found[one.source]))
            for one in plan.tables
        ),
        anchored=True,
        details=tuple(
            (
                _columns(one, outcomes[one.source], following),
                outcomes_grid(
                    f"Keys, indexes and checks of {one.source}",
                    [outcome for outcome in outcomes[one.source] if outcome.kind != "column"],
                ),
            )
            for one in plan.tables
        ),
        unfolds="Columns, keys and indexes",
        pages=frozenset({"target", "findings"}),
    )  # fmt: skip


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


def _severities(found: Iterable[Finding]) -> Cell:
    """``2 blockers, 1 note``: how many there are of each that occurs, in the tone of the worst."""
    counts = Counter[str](finding.level for finding in found)
    levels = [
        (counted(counts[name], one, title.lower()), tone) for name, one, title, tone in LEVELS if counts[name]
    ]
    return Mark(", ".join(words for words, _ in levels), levels[0][1]) if levels else ""
