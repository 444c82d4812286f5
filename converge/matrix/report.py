"""A matrix as a document, for a terminal and for continuous integration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from converge.matrix.result import Cell, Content, Matrix, MatrixVerdict, Step, Varied
from converge.model.check import CheckResult
from converge.model.words import counted, said
from converge.report.document import Cell as GridCell
from converge.report.document import (
    Document,
    Facts,
    Grid,
    Kind,
    Mark,
    Section,
    Verdict,
    Words,
    facts,
    figure,
    grid,
    missing_figures,
    place,
    section,
    subject,
)
from converge.report.findings import findings
from converge.report.junit import Case, Suite
from converge.report.run import CHECK_TONES
from converge.report.run_cases import finding_case
from converge.report.text import to_text
from converge.report.words import Tone, missing_words, moment, seconds, short

_VERDICTS: dict[MatrixVerdict, Tone] = {"verified": "good", "differs": "bad", "failed": "bad"}
_DIGEST_SHOWN = 10
_MOST_DIFFERENCES = 20


def matrix_document(matrix: Matrix) -> Document:
    """All of a matrix that people read."""
    matrix = _by_version(matrix)
    digests = _digests(matrix)
    intro = "Sums over all rows and columns, made inside each server by the comparison with the source."
    return Document(
        "matrix",
        subject(matrix.source, f"PostgreSQL {', '.join(cell.name for cell in matrix.cells)}"),
        (moment(matrix.started), f"MySQL {matrix.source_version}" if matrix.source_version else ""),
        _verdict(matrix),
        _figures(matrix),
        (
            section("red", "What is red", findings(matrix.reasons), tone="bad"),
            section("versions", "Versions and steps", _overview(matrix)),
            section("steps", "What came of each step", _details(matrix)),
            section("checks", "Checks", _checks(matrix), nothing="no check of a map was made"),
            section(
                "digests",
                "Digests",
                Words(intro) if digests.rows else None,
                digests,
                nothing="no table was compared",
            ),
            section("not-compared", "Not compared", _not_compared(matrix), tone="warn"),
            _differences("plans", "Differences of plans", matrix.plans, "decisions"),
            _differences("catalogs", "Differences of catalogs", matrix.catalog, "objects"),
            section("lacking", "Losses and objects not migrated", findings(matrix.lacking), folded=True),
            section("facts", "Facts", facts(("source", matrix.source))),
        ),
    )


def _by_version(matrix: Matrix) -> Matrix:
    """The same with versions for names, where a server was given by its address."""
    many = Counter(cell.version for cell in matrix.cells)
    names = {
        cell.name: cell.version + f" at {place(cell.name)}" * (many[cell.version] > 1)
        for cell in matrix.cells
        if cell.version and "://" in cell.name
    }

    def named(all_: Sequence[Varied]) -> tuple[Varied, ...]:
        return tuple(
            replace(one, cells={names.get(cell, cell): text for cell, text in one.cells.items()})
            for one in all_
        )

    return replace(
        matrix,
        cells=tuple(replace(cell, name=names.get(cell.name, cell.name)) for cell in matrix.cells),
        contents=named(matrix.contents),
        revised=named(matrix.revised),
        plans=named(matrix.plans),
        catalog=named(matrix.catalog),
    )


def matrix_text(matrix: Matrix) -> str:
    """Versions and steps, what differs between versions, and why a cell is red."""
    matrix = _by_version(matrix)
    lines = (*_listed("plan", matrix.plans), *_listed("catalog", matrix.catalog), ("digests", _same(matrix)))
    return to_text(_verdict(matrix), _overview(matrix), findings(matrix.reasons), Facts(lines))


def matrix_suites(matrix: Matrix) -> list[Suite]:
    """A suite for each version, with a case for each step and for each object that was not compared, and one
    of what is lost."""
    lost = Suite("findings", matrix.started, [finding_case(one) for one in matrix.lacking])
    return [
        *(
            Suite(
                f"PostgreSQL {cell.name}",
                matrix.started,
                [*(_case(cell, step) for step in cell.steps), *_uncompared_cases(cell)],
                {"version": cell.version, "provider": cell.provider, "source": matrix.source},
            )
            for cell in matrix.cells
        ),
        lost,
    ]


def _case(cell: Cell, step: Step) -> Case:
    group, reason = f"converge.matrix.{cell.name}", step.reason
    if reason is not None:
        said = f"{reason.code}: {reason.message}"
        full = "\n".join(filter(None, (said, reason.evidence, reason.hint)))
        return Case(group, step.name, step.seconds, "failure", short(said), full)
    if step.state == "not run":
        return Case(group, step.name, step.seconds, "skipped", "a step before it is red")
    if step.untried:
        return Case(group, step.name, step.seconds, "skipped", step.words)
    return Case(group, step.name, step.seconds)


def _uncompared_cases(cell: Cell) -> Iterator[Case]:
    for one in cell.not_compared:
        yield Case(
            f"converge.matrix.{cell.name}.not_compared", f"{one.kind} {one.name}", 0, "skipped", one.why
        )


def _listed(title: str, differences: Sequence[Varied]) -> Iterator[tuple[str, str]]:
    """A line a difference: the object, and what is there on which versions."""
    for one in differences[:_MOST_DIFFERENCES]:
        said = (f"{names} {there.rstrip(';') or 'nothing'}" for there, names in one.grouped)
        yield title, f"{short(one.object)}: {short('; '.join(said))}"
    if (more := len(differences) - _MOST_DIFFERENCES) > 0:
        yield title, f"and {more:,} more, in --html and --json"


def _same(matrix: Matrix) -> str:
    reached = sum(bool(cell.tables) for cell in matrix.cells)
    if not reached:
        return "not compared: no version reached the end"
    tables, revised = matrix.table_count, matrix.revised_count
    words = said(tables - len(matrix.contents), "have the same rows and digests", "table", of=f"{tables:,}")
    words += f" on {reached:,} of {counted(len(matrix.cells), 'version')}"
    if not revised:
        return words
    cells = sum(bool(cell.revised) for cell in matrix.cells)
    return f"{words}; after the revisions {revised - len(matrix.revised):,} of {revised:,} on {cells:,}"


def _verdict(matrix: Matrix) -> Verdict:
    cells = counted(len(matrix.cells), "version")
    if red := [cell.name for cell in matrix.red]:
        words = f"{len(red):,} of {cells} {'is' if len(red) == 1 else 'are'} red: {', '.join(red)}"
    else:
        words = f"all steps are green on {cells}"
        if len(matrix.cells) > 1:
            words += f", and {counted(matrix.table_count, 'table')} have the same rows and digests on all"
            if revised := matrix.revised_count:
                words += f", as have {counted(revised, 'table')} after the revisions"
    tone = _VERDICTS[matrix.verdict]
    if matrix.not_compared:
        words += f" · {counted(matrix.not_compared, 'object')} not compared"
        tone = "warn" if tone == "good" else tone
    if matrix.missing:
        words += f" · {missing_words(*matrix.missing)}"
        tone = "warn" if tone == "good" and any(matrix.missing) else tone
    return Verdict(matrix.verdict, words, tone)


def _figures(matrix: Matrix) -> tuple[tuple[GridCell, str], ...]:
    green = len(matrix.cells) - len(matrix.red)
    rows = max((sum(one.rows for one in cell.tables.values()) for cell in matrix.cells), default=0)
    return (
        (f"{green:,} of {len(matrix.cells):,}", "versions green"),
        figure(matrix.table_count, "table"),
        figure(rows, "row on each", "rows on each"),
        *(missing_figures(*matrix.missing) if matrix.missing else ()),
        figure(len(matrix.plans), "plan difference"),
        figure(len(matrix.catalog), "catalog difference"),
        (seconds(matrix.seconds), "total"),
    )


def _overview(matrix: Matrix) -> Grid:
    steps: list[tuple[str, Kind]] = [(name, "number") for name in matrix.steps]
    return grid(
        "Versions and steps",
        [("PostgreSQL", "name"), ("server", "words"), *steps, ("total", "number")],
        [
            (
                cell.name,
                ", ".join(filter(None, (cell.version, cell.provider))),
                *(_mark(cell.step(name)) for name in matrix.steps),
                seconds(cell.seconds),
            )
            for cell in matrix.cells
        ],
    )


def _mark(step: Step) -> Mark:
    """Green and its time, or RED and the code: the word tells without its colour."""
    if step.reason is not None:
        return Mark(f"RED {step.reason.code}", "bad")
    if step.state == "not run":
        return Mark("not run", "quiet")
    if step.untried:
        return Mark("not tried", "warn")
    return Mark(f"ok {seconds(step.seconds)}" if step.seconds else "ok", "good")


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


def _not_compared(matrix: Matrix) -> Grid:
    found = [(cell.name, one) for cell in matrix.cells for one in cell.not_compared]
    columns: list[tuple[str, Kind]] = [("PostgreSQL", "name"), ("kind", "words"), ("name", "name")]
    rows = [(name, one.kind, one.name, one.why) for name, one in found]
    return grid("Not compared", [*columns, ("why", "words")], rows)


def _digests(matrix: Matrix) -> Grid:
    """A row a table: rows and digest once where all versions have the same."""
    tables = [cell.tables for cell in matrix.cells if cell.tables]
    revised = [cell.revised for cell in matrix.cells if cell.revised]
    return grid(
        "Digests",
        (("table", "name"), ("rows", "number"), ("digest", "code"), ("the same on", "words")),
        [
            *_contents(tables, len(matrix.cells), matrix.contents, ""),
            *_contents(revised, len(matrix.cells), matrix.revised, ", revised"),
        ],
    )


def _contents(
    held: Sequence[Mapping[str, Content]], cells: int, differ: Sequence[Varied], suffix: str
) -> Iterator[tuple[GridCell, ...]]:
    wrong = {one.object: one for one in differ}
    for table in dict.fromkeys(name for own in held for name in own):
        if table in wrong:
            groups = (f"{names}: {text or 'none'}" for text, names in wrong[table].grouped)
            yield f"{table}{suffix}", "", "", Mark("; ".join(groups), "bad")
            continue
        one = held[0][table]
        many = f"all {cells:,}" if len(held) == cells else f"{len(held):,} of {cells:,}"
        same = Mark(many if cells > 1 else "one version", "good")
        yield f"{table}{suffix}", f"{one.rows:,}", one.digest[:_DIGEST_SHOWN], same


def _differences(id_: str, title: str, differences: Sequence[Varied], same: str) -> Section:
    """A row a text, with the versions that have it."""
    intro = "Told, not judged: versions have different features, and print some definitions in their own way."
    rows = [(one.object, names, there or "nothing") for one in differences for there, names in one.grouped]
    table = grid(title, (("object", "name"), ("versions", "words"), ("what is there", "code")), rows)
    nothing = f"all versions have the same {same}"
    return section(id_, title, *[Words(intro)] * bool(rows), table, nothing=nothing)
