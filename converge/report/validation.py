"""A validation as a document, for a terminal and for continuous integration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from converge.errors import first_of, listed
from converge.model.validation import Affected, Compared, Validation
from converge.model.validation import Verdict as Word
from converge.model.words import counted
from converge.report.charts import phase_line
from converge.report.document import (
    Cell,
    Document,
    Facts,
    Grid,
    Mark,
    Paste,
    Verdict,
    Words,
    facts,
    figure,
    grid,
    section,
    subject,
)
from converge.report.junit import Case, Suite
from converge.report.text import to_text
from converge.report.words import Tone, moment, seconds

_TONES: Mapping[Word, Tone] = {"validated": "good", "unreviewed": "warn", "differs": "bad", "failed": "bad"}
_MOST_NAMED = 3
_MOST_LINES = 20


def validation_document(result: Validation) -> Document:
    """All of a validation that people read."""
    rows = sum(one.changed + one.added + one.removed for one in result.affected)
    words, command = _advice(result)
    revision = f"{result.revision} {result.name}".strip()
    versions = f"PostgreSQL {result.server_version}" if result.server_version else ""
    return Document(
        "migrations validate",
        f"revision {revision} on {subject('', result.target)}",
        (moment(result.started), versions),
        _verdict(result),
        (
            figure(rows, "row affected", "rows affected"),
            figure(len(result.affected), "table affected", "tables affected"),
            figure(sum(result.tables.values()), "row compared", "rows compared"),
            (seconds(sum(took for _, took in result.phases)), "time"),
        ),
        (
            section("deviations", "Differences", _differences(result.compared), nothing="no value differs",
                    tone="bad"),
            section(
                "not-restored",
                "Not restored",
                grid("Not restored", (("what", "name"),), [(name,) for name in result.not_restored]),
                nothing="the downgrade restores what it promises" if result.downgrade != "no promise" else "",
                tone="bad",
            ),
            section("affected", "Affected rows", _affected(result.affected), nothing="no row is affected"),
            section("reference", "Reference", _compared(result.compared),
                    nothing="" if result.reference else "no reference was given"),
            section("facts", "Facts", _facts(result)),
            section("time", "Time line", phase_line(result.phases)),
        ),
        advice=(Words(words), Paste(command)),
    )  # fmt: skip


def validation_text(result: Validation) -> str:
    """Affected rows, differences from the reference, and what to do next."""
    grids = (grid for grid in (_affected(result.affected), _compared(result.compared)) if grid.rows)
    return to_text(_verdict(result), *grids, facts(*_lines(result)))


def _lines(result: Validation) -> Iterator[tuple[str, str]]:
    yield from (("differs", line) for line in _difference_lines(result.compared, _MOST_LINES))
    yield from (("not back", name) for name in first_of(result.not_restored, _MOST_LINES))
    yield from (pair for pair in _facts(result).pairs if pair[0] != "began")
    words, command = _advice(result)
    yield from (("next", words), ("", command))


def validation_suites(result: Validation) -> list[Suite]:
    """A case for the validation, for each table of the reference, and for the downgrade."""
    group, seen = "converge.validate", dict(_facts(result).pairs)
    whole = Case(group, result.revision, sum(took for _, took in result.phases))
    if result.exit_code:
        verdict = _verdict(result)
        whole = replace(whole, state="failure", message=f"{verdict.word}: {verdict.words}")
    back = Case(group, "downgrade")
    if result.downgrade == "differs":
        back = Case(group, "downgrade", 0, "failure", seen["downgrade"], "\n".join(result.not_restored))
    elif result.downgrade != "restored":
        back = Case(group, "downgrade", 0, "skipped", seen.get("downgrade", "not reached"))
    return [Suite(result.revision, result.started, [whole, *map(_case, result.compared), back], seen)]


def _case(one: Compared) -> Case:
    group = "converge.validate.tables"
    if one.equal:
        return Case(group, one.table)
    values = counted(sum(one.columns.values()), "different value")
    words = f"{counted(one.missing, 'row')} missing, {one.extra:,} extra, {values}"
    return Case(group, one.table, 0, "failure", words, "\n".join(_difference_lines([one])))


def _verdict(result: Validation) -> Verdict:
    return Verdict(result.verdict, _words(result), _TONES[result.verdict])


def _words(result: Validation) -> str:
    if result.failure:
        return result.failure
    if result.downgrade == "differs":
        return f"the downgrade does not restore {counted(len(result.not_restored), 'object')}"
    if result.verdict == "differs":
        wrong = [one for one in result.compared if not one.equal]
        return f"affected rows of {counted(len(wrong), 'table')} are not as the reference has them"
    if result.verdict == "unreviewed":
        return "rows or sequences are affected, and no reference says how they should be"
    if not result.affected:
        return "no row is affected"
    if result.accepted:
        return "the affected rows are the reference now"
    return "every affected row is as the reference has it"


def _facts(result: Validation) -> Facts:
    return facts(
        ("revision", f"{result.revision} {result.name}".strip()),
        ("database", f"PostgreSQL {result.server_version} {result.target}".replace("  ", " ")),
        ("copy", result.copied),
        ("original", "only read" if result.copied else ""),
        ("downgrade", _downgrade(result)),
        ("reference", result.reference + (" (written now)" if result.accepted else "")),
        ("artifacts", result.artifacts),
        ("began", moment(result.started)),
        ("time", ", ".join(f"{name} {seconds(took)}" for name, took in result.phases)),
    )


def _downgrade(result: Validation) -> str:
    """What was seen of it, and no more."""
    catalog = f"restores the catalog of schema {result.schema}"
    if result.downgrade == "restored":
        if not any(result.tables.values()):
            return f"{catalog}; no table had rows that it could lose"
        later = listed(result.untested_values, _MOST_NAMED)
        untested = f"; {later} may later hold values that validation did not test" if later else ""
        return f"{catalog} and all rows{untested}"
    return {
        "catalog": f"{catalog}, but not {listed(result.not_restored, _MOST_NAMED)}",
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


def _differences(found: Sequence[Compared]) -> Grid:
    def value(text: str | None, column: str | None) -> str:
        return "(no such row)" if text is None and column is None else "NULL" if text is None else repr(text)

    return grid(
        "Differences",
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
        count=sum(one.missing + one.extra + sum(one.columns.values()) for one in found),
    )


def _difference_lines(found: Sequence[Compared], most: int | None = None) -> list[str]:
    every = _differences(found)
    shown = every.rows[:most]
    lines = [
        f"{table} {key} {column}: reference {was}, found {now}" for table, key, column, was, now in shown
    ]
    more = len(every.rows) + every.more - len(shown)
    return [*lines, f"and {more:,} more"] if more else lines


def _advice(result: Validation) -> tuple[str, str]:
    validate = f"converge migrations validate {result.revision}"
    if result.verdict == "validated":
        ways = {
            "restored": "run it. To revert it, name it with --accept-data-loss: values written after the "
            "upgrade may be lost"
            if result.untested_values
            else "run and revert it",
            "no promise": "run it. Its downgrade promises nothing: it may leave the schema as it is",
        }.get(result.downgrade, "run it, but not revert it")
        return f"Exactly this text of the revision has passed: you may {ways}.", "converge migrations run"
    if result.verdict == "unreviewed":
        return (
            f"Look at the files in {result.artifacts}; when they are right, make them the reference.",
            f"{validate} --reference reference/{result.revision} --accept",
        )
    return "Repair the revision and validate it again: its new text needs a new validation.", validate
