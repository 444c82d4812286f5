"""A validation as values, the same for text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converge.model.validation import Affected, Compared, Validation
from converge.model.validation import Verdict as Word
from converge.report.parts import Cell, Grid, Mark, Tone, Verdict, grid
from converge.report.units import counted, seconds

_TONES: Mapping[Word, Tone] = {"validated": "good", "unreviewed": "warn", "differs": "bad", "failed": "bad"}

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class ValidationParts:
    verdict: Verdict
    figures: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    affected: Grid
    compared: Grid
    deviations: Grid
    not_restored: tuple[str, ...]
    advice: tuple[str, str]
    """What to do next, and the command for it."""


def validation_parts(result: Validation) -> ValidationParts:
    """All of a validation that people read."""
    rows = sum(one.changed + one.added + one.removed for one in result.affected)
    return ValidationParts(
        verdict=Verdict(result.verdict, _words(result), _TONES[result.verdict]),
        figures=(
            (f"{rows:,}", "rows affected"),
            (f"{len(result.affected):,}", "tables affected"),
            (f"{sum(result.tables.values()):,}", "rows compared"),
            (seconds(sum(took for _, took in result.phases)), "time"),
        ),
        facts=tuple((name, words) for name, words in _facts(result) if words),
        affected=_affected(result.affected),
        compared=_compared(result.compared),
        deviations=_deviations(result.compared),
        not_restored=tuple(result.not_restored),
        advice=_advice(result),
    )


def _words(result: Validation) -> str:
    if result.failure:
        return result.failure
    if result.downgrade == "differs":
        return f"the downgrade does not restore {counted(len(result.not_restored), 'object')}"
    if result.verdict == "differs":
        wrong = [one for one in result.compared if not one.equal]
        return f"affected rows of {counted(len(wrong), 'table')} are not as the reference has them"
    if result.verdict == "unreviewed":
        return "rows are affected, and no reference says how they should be"
    if not result.affected:
        return "no row is affected"
    if result.accepted:
        return "the affected rows are the reference now"
    return "every affected row is as the reference has it"


def _facts(result: Validation) -> Sequence[tuple[str, str]]:
    return (
        ("revision", f"{result.revision} {result.name}".strip()),
        ("database", f"PostgreSQL {result.server_version} {result.target}".replace("  ", " ")),
        ("copy", result.copied),
        ("original", "only read" if result.copied else ""),
        ("downgrade", _downgrade(result)),
        ("reference", result.reference + (" (written now)" if result.accepted else "")),
        ("artifacts", result.artifacts),
        ("began", result.started.replace("T", " ").replace("+00:00", " UTC")),
        ("time", ", ".join(f"{name} {seconds(took)}" for name, took in result.phases)),
    )


def _downgrade(result: Validation) -> str:
    """What was seen of it, and no more."""
    catalog = f"restores the catalog of schema {result.schema}"
    if result.downgrade == "restored":
        rows = any(result.tables.values())
        return f"{catalog} and all rows" if rows else f"{catalog}; no table had rows that it could lose"
    return {
        "catalog": f"{catalog}, but not {', '.join(result.not_restored[:_MOST_NAMED])}",
        "differs": "does not restore what it promises",
        "no promise": "promises nothing",
    }.get(result.downgrade, "")


def _affected(found: Sequence[Affected]) -> Grid:
    return grid(
        "Affected rows",
        (("table", "name"), ("key", "name"), ("changed", "number"), ("added", "number"),
         ("removed", "number"), ("columns", "words"), ("file", "name")),
        ((one.table, ", ".join(one.key), f"{one.changed:,}", f"{one.added:,}", f"{one.removed:,}",
          _columns(one.columns), one.file) for one in found),
    )  # fmt: skip


def _columns(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _compared(found: Sequence[Compared]) -> Grid:
    def row(one: Compared) -> Sequence[Cell]:
        mark = Mark("equal", "good") if one.equal else Mark("differs", "bad")
        counts = f"{one.missing:,}", f"{one.extra:,}"
        return (one.table, f"{one.rows:,}", mark, *counts, _columns(one.columns), ", ".join(one.not_compared))

    return grid(
        "Reference",
        (("table", "name"), ("rows", "number"), ("equal", "words"), ("missing", "number"),
         ("extra", "number"), ("columns that differ", "words"), ("not compared", "words")),
        map(row, found),
    )  # fmt: skip


def _deviations(found: Sequence[Compared]) -> Grid:
    def value(text: str | None, column: str | None) -> str:
        return "(no such row)" if text is None and column is None else "NULL" if text is None else repr(text)

    return grid(
        "Deviations",
        (("table", "name"), ("key", "name"), ("column", "name"), ("reference", "code"), ("found", "code")),
        (
            (
                one.table,
                one.key,
                one.column or "(row)",
                value(one.reference, one.column),
                value(one.found, one.column),
            )
            for each in found
            for one in each.deviations
        ),
    )


def _advice(result: Validation) -> tuple[str, str]:
    validate = f"converge migrations validate {result.revision}"
    if result.verdict == "validated":
        ways = "run and revert it" if result.downgrade == "restored" else "run it, but not revert it"
        return f"Exactly this text of the revision has passed: you may {ways}.", "converge migrations run"
    if result.verdict == "unreviewed":
        return (
            f"Look at the files in {result.artifacts}; when they are right, make them the reference.",
            f"{validate} --reference reference/{result.revision} --accept",
        )
    return "Repair the revision and validate it again: its new text needs a new validation.", validate
