"""A matrix as values, the same for text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from converge.model.check import CheckResult
from converge.model.matrix import Cell, Content, Matrix, MatrixVerdict, State, Step, Varied
from converge.model.plan import Finding
from converge.report.check_parts import TONES as CHECK_TONES
from converge.report.parts import Cell as GridCell
from converge.report.parts import Grid, Kind, Mark, Tone, Verdict, grid
from converge.report.units import counted, seconds

_TONES: dict[State, Tone] = {"green": "good", "red": "bad", "not run": "quiet"}
_VERDICTS: dict[MatrixVerdict, Tone] = {"verified": "good", "differs": "bad", "failed": "bad"}
_DIGEST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a cell is red: its first line, all that is known of it, and the fix."""

    cell: str
    step: str
    finding: Finding

    @property
    def title(self) -> str:
        return f"{self.cell}, {self.step}"


@dataclass(frozen=True, slots=True)
class MatrixParts:
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    overview: Grid
    """Versions and steps, with times."""
    reasons: tuple[Reason, ...]
    details: Grid
    """What came of each step, in words."""
    checks: Grid
    digests: Grid
    plans: Grid
    catalog: Grid


def matrix_parts(matrix: Matrix) -> MatrixParts:
    """All of a matrix that people read."""
    return MatrixParts(
        verdict=Verdict(matrix.verdict, _words(matrix), _VERDICTS[matrix.verdict]),
        figures=_figures(matrix),
        facts=(
            ("source", f"MySQL {matrix.source_version} {matrix.source}"),
            ("began", matrix.started.replace("T", " ").replace("+00:00", " UTC")),
        ),
        overview=_overview(matrix),
        reasons=tuple(_reasons(matrix)),
        details=_details(matrix),
        checks=_checks(matrix),
        digests=_digests(matrix),
        plans=_differences("Plans", matrix.plans),
        catalog=_differences("Catalog", matrix.catalog),
    )


def _words(matrix: Matrix) -> str:
    cells = counted(len(matrix.cells), "version")
    if not matrix.red:
        tables = counted(len(matrix.tables), "table")
        same = f", and {tables} have the same rows and digests on all" if len(matrix.cells) > 1 else ""
        if same and (revised := len(matrix.revised_tables)):
            same += f", as have {counted(revised, 'table')} after the revisions"
        return f"all steps are green on {cells}{same}"
    are = "is" if len(matrix.red) == 1 else "are"
    return f"{len(matrix.red):,} of {cells} {are} red: {', '.join(cell.name for cell in matrix.red)}"


def _figures(matrix: Matrix) -> tuple[tuple[str, str], ...]:
    green = len(matrix.cells) - len(matrix.red)
    rows = max((sum(one.rows for one in cell.tables.values()) for cell in matrix.cells), default=0)
    return (
        (f"{green:,} of {len(matrix.cells):,}", "versions green"),
        (f"{len(matrix.tables):,}", "tables"),
        (f"{rows:,}", "rows on each"),
        (f"{len(matrix.plans):,}", "differences of plans"),
        (f"{len(matrix.catalog):,}", "differences of catalogs"),
        (seconds(matrix.seconds), "in all"),
    )


def _overview(matrix: Matrix) -> Grid:
    columns: list[tuple[str, Kind]] = [("PostgreSQL", "name"), ("server", "words")]
    columns += [(name, "number") for name in matrix.steps]
    return grid(
        "Versions and steps",
        [*columns, ("in all", "number")],
        [
            (
                cell.name,
                _server(cell),
                *(_mark(cell.step(name)) for name in matrix.steps),
                seconds(cell.seconds),
            )
            for cell in matrix.cells
        ],
    )


def _server(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.version, cell.provider)))


def _mark(step: Step) -> Mark:
    """Green and its time, or RED and the code: the word tells without its colour."""
    if step.state == "not run":
        return Mark("not run", _TONES[step.state])
    if step.reason is not None:
        return Mark(f"RED {step.reason.code}", _TONES[step.state])
    return Mark(f"ok {seconds(step.seconds)}" if step.seconds else "ok", _TONES[step.state])


def _reasons(matrix: Matrix) -> list[Reason]:
    return [
        Reason(cell.name, step.name, step.reason)
        for cell in matrix.cells
        for step in cell.steps
        if step.reason is not None
    ]


def _details(matrix: Matrix) -> Grid:
    def said(cell: Cell, name: str) -> GridCell:
        step = cell.step(name)
        return Mark("RED", "bad") if step.state == "red" else step.words

    return grid(
        "What came of each step",
        [("step", "name"), *((cell.name, "words") for cell in matrix.cells)],
        [(name, *(said(cell, name) for cell in matrix.cells)) for name in matrix.steps],
    )


def _checks(matrix: Matrix) -> Grid:
    """Checks and versions; what one gave is said where it failed."""
    cells = [cell for cell in matrix.cells if cell.checks]
    asked = {check.place: check for cell in cells for check in cell.checks}
    given = [{check.place: check for check in cell.checks} for cell in cells]

    def state(check: CheckResult | None) -> GridCell:
        return Mark(check.state, CHECK_TONES[check.state]) if check else ""

    return grid(
        "Checks",
        [("check", "words"), ("wants", "words"), *((cell.name, "words") for cell in cells)],
        [(one.name, one.wants, *(state(own.get(place)) for own in given)) for place, one in asked.items()],
    )


def _digests(matrix: Matrix) -> Grid:
    """A row a table: rows and digest once where all versions have the same."""
    loaded = {cell.name: cell.tables for cell in matrix.cells if cell.tables}
    revised = {cell.name: cell.revised for cell in matrix.cells if cell.revised}
    return grid(
        "Digests",
        (("table", "name"), ("rows", "number"), ("digest", "code"), ("the same on", "words")),
        [
            *_contents(loaded, len(matrix.cells), matrix.contents, ""),
            *_contents(revised, len(matrix.cells), matrix.revised, ", revised"),
        ],
    )


def _contents(
    held: Mapping[str, Mapping[str, Content]], cells: int, differ: Sequence[Varied], suffix: str
) -> Iterator[tuple[GridCell, ...]]:
    wrong = {one.object: one for one in differ}
    for table in dict.fromkeys(name for own in held.values() for name in own):
        if table in wrong:
            groups = (f"{', '.join(names)}: {text or 'none'}" for text, names in wrong[table].grouped)
            yield f"{table}{suffix}", "", "", Mark("; ".join(groups), "bad")
            continue
        one = next(iter(held.values()))[table]
        many = f"all {cells:,}" if len(held) == cells else f"{len(held):,} of {cells:,}"
        same = Mark(many if cells > 1 else "one version", "good")
        yield f"{table}{suffix}", f"{one.rows:,}", one.digest[:_DIGEST_SHOWN], same


def _differences(title: str, differences: Sequence[Varied]) -> Grid:
    """A row a text, with the versions that have it."""
    return grid(
        title,
        (("object", "name"), ("versions", "words"), ("what is there", "code")),
        [
            (one.object if first else "", ", ".join(names), text or "nothing")
            for one in differences
            for first, (text, names) in _counted(one)
        ],
    )


def _counted(one: Varied) -> list[tuple[bool, tuple[str, tuple[str, ...]]]]:
    return [(place == 0, group) for place, group in enumerate(one.grouped)]
