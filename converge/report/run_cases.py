"""A run's cases for continuous integration."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from converge.model.check import CheckResult
from converge.model.plan import Finding
from converge.model.result import OF_CHECKS, Result, TableResult, ViewResult
from converge.report.junit import Case, Suite
from converge.report.run_words import equality, verdict_words
from converge.report.words import short


def run_suites(result: Result, prefix: str = "") -> list[Suite]:
    """Differing tables and blockers fail; what was not compared, and losses, are skipped.

    `prefix` is the database's name where there are several.
    """
    whole = Case("converge", result.command, sum(took for _, took in result.phases))
    if result.exit_code:
        whole = Case(
            whole.group, whole.name, whole.seconds, "failure", f"{result.verdict}: {verdict_words(result)}"
        )
    # Notes are no cases of their own, and checks have theirs already.
    told = (one for one in result.findings if one.severity != "note" and one.code not in OF_CHECKS)
    suites = {
        "verdict": [whole],
        "tables": [_table_case(result, one) for one in result.tables],
        "views": [_view_case(result, one) for one in result.views],
        "checks": [_check_case(one) for one in result.checks],
        "findings": [_finding_case(one) for one in told],
    }
    properties = {
        "verdict": result.verdict,
        "source": result.source,
        "source version": result.source_version,
        "target": result.target,
        "target version": result.target_version,
        "snapshot": result.snapshot or "",
        "not migrated": str(len(result.not_migrated)),
        "losses": str(result.losses),
    }
    return [
        Suite(
            f"{prefix}{name}",
            result.started,
            [replace(case, group=f"{prefix}{case.group}") for case in cases],
            properties if name == "verdict" else {},
        )
        for name, cases in suites.items()
    ]


def _table_case(result: Result, one: TableResult) -> Case:
    equal = equality(result, one)
    group = "converge.tables"
    if one.rows_rejected or equal.tone == "bad":
        words = f"{one.rows_rejected:,} rows rejected" if one.rows_rejected else f"equal: {equal}"
        differences = [str(found) for found in result.differences if found.table == one.source]
        return Case(group, one.source, one.seconds, "failure", words, "\n".join(differences))
    if not one.verified:
        return Case(group, one.source, one.seconds, "skipped", str(equal))
    return Case(group, one.source, one.seconds)


def _view_case(result: Result, one: ViewResult) -> Case:
    group = "converge.views"
    if one.state == "differs":
        differences = [str(found) for found in result.differences if found.table == one.name]
        return Case(group, one.name, one.seconds, "failure", short(differences[0]), "\n".join(differences))
    if one.state == "not compared":
        return Case(group, one.name, one.seconds, "skipped", one.why)
    return Case(group, one.name, one.seconds)


def _check_case(one: CheckResult) -> Case:
    group = "converge.checks"
    if one.failed:
        words = "\n".join(filter(None, (str(one), one.why, one.place)))
        return Case(group, one.name, one.seconds, "failure", short(str(one)), words)
    if one.state != "ok":
        return Case(group, one.name, one.seconds, "skipped", one.message)
    return Case(group, one.name, one.seconds)


def _finding_case(finding: Finding) -> Case:
    words = "\n".join(part for part in (finding.message, finding.evidence, finding.hint) if part)
    state: Literal["failure", "skipped"] = "failure" if finding.severity == "block" else "skipped"
    return Case(f"converge.findings.{finding.code}", finding.object, 0, state, short(finding.message), words)
