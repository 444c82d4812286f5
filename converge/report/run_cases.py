"""A run's cases for continuous integration."""

from __future__ import annotations

from dataclasses import replace

from converge.model.check import CheckResult
from converge.model.finding import Finding
from converge.model.result import OF_CHECKS, Result, TableResult, ViewResult
from converge.model.words import counted
from converge.report.junit import Case, State, Suite
from converge.report.run_words import equality, verdict_words
from converge.report.words import short

_VIEW_STATES: dict[str, State] = {"equal": "ok", "differs": "failure", "not compared": "skipped"}


def run_suites(result: Result, prefix: str = "") -> list[Suite]:
    """Differing tables and blockers fail; what was not compared, and losses, are skipped.

    `prefix` is the database's name where there are several.
    """
    whole = Case("converge", result.command, sum(took for _, took in result.phases))
    if result.exit_code:
        whole = replace(whole, state="failure", message=f"{result.verdict}: {verdict_words(result)}")
    # Notes are no cases of their own, and checks have theirs already.
    told = (one for one in result.findings if one.severity != "note" and one.code not in OF_CHECKS)
    suites = {
        "verdict": [whole],
        "tables": [_table_case(result, one) for one in result.tables],
        "views": [_view_case(result, one) for one in result.views],
        "checks": [_check_case(one) for one in result.checks],
        "not compared": [
            Case("converge.not_compared", f"{one.kind} {one.name}", 0, "skipped", one.why)
            for one in result.left_uncompared
        ],
        "findings": [finding_case(one) for one in told],
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
        if cases
    ]


def _differences(result: Result, name: str) -> str:
    return "\n".join(str(found) for found in result.differences if found.table == name)


def _table_case(result: Result, one: TableResult) -> Case:
    equal = equality(result, one)
    case = Case("converge.tables", one.source, one.seconds, "ok" if one.verified else "skipped", str(equal))
    if one.rows_rejected or equal.tone == "bad":
        words = f"{counted(one.rows_rejected, 'row')} rejected" if one.rows_rejected else f"equal: {equal}"
        return replace(case, state="failure", message=words, text=_differences(result, one.source))
    return case


def _view_case(result: Result, one: ViewResult) -> Case:
    text = _differences(result, one.name)
    words = one.why or short(text.partition("\n")[0])
    return Case("converge.views", one.name, one.seconds, _VIEW_STATES[one.state], words, text)


def _check_case(one: CheckResult) -> Case:
    case = Case(
        "converge.checks", one.name, one.seconds, "ok" if one.state == "ok" else "skipped", one.message
    )
    if one.failed:
        words = "\n".join(filter(None, (str(one), one.why, one.place)))
        return replace(case, state="failure", message=short(str(one)), text=words)
    return case


def finding_case(finding: Finding) -> Case:
    """Fails where it blocks; else it is skipped."""
    words = "\n".join(filter(None, (finding.message, finding.evidence, finding.hint)))
    state: State = "failure" if finding.severity == "block" else "skipped"
    return Case(f"converge.findings.{finding.code}", finding.object, 0, state, short(finding.message), words)
