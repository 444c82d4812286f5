"""What a run's verdict and a table's comparison mean, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from converge.codes import Code
from converge.model.check import CheckResult
from converge.model.result import OF_CHECKS, OF_SCHEMA, GoingBack, Result, TableResult, ViewResult
from converge.model.result import Verdict as Word
from converge.model.words import counted
from converge.report.document import Mark, Verdict
from converge.report.words import Tone, for_people, missing_words

SNAPSHOTS = {
    "locked": "all readers saw one snapshot of the source",
    "quiet": "no lock was allowed; the source did not change while the readers began",
    "none": "no lock was allowed, and the source may have changed between the readers",
}
_TONES: dict[Word, Tone] = {"verified": "good", "migrated": "warn", "ready": "good"}
_UNFINISHED: dict[Word, str] = {
    "failed": "the run has not come to its end",
    "interrupted": "the run was stopped before its end",
    "ready": "nothing was written",
}
_CHANGED = "{} not as the run has made it"
_KINDS = {"table": "", "column": "", "view": "", "index": "indexes", "schema": ""}


def run_verdict(result: Result) -> Verdict:
    """Good only where nothing is left to do: a verified run that lost something calls for a look.

    Where all is equal and only a check failed, the word says that: nothing differs.
    """
    tone = _TONES.get(result.verdict, "bad")
    skipped = any(one.state == "skipped" for one in result.checks)
    skipped |= any(one.state == "not compared" for one in result.views)
    if tone == "good" and (result.not_migrated or result.losses or result.not_compared or skipped):
        tone = "warn"
    word = "check failed" if only_checks(result) else for_people(result.verdict, result.command)
    return Verdict(word, verdict_words(result), tone)


def verdict_words(result: Result) -> str:
    """What the verdict means for this run, and what the target lacks, in one line."""
    words = "data verified" if result.verdict == "verified" else _outcome_words(result)
    if result.cut_over and result.verdict == "verified":
        words = f"cut over at {result.cut_over}, {words}"
    if result.verdict in ("blocked", "failed", "interrupted"):
        return words
    skipped = uncompared_words([result])
    if result.command == "cutover" and (changed := _of_schema(result).total()):
        # Of the rows is the verdict.
        skipped = f" · {_CHANGED.format(counted(changed, 'object'))}{skipped}"
    return f"{words}{skipped} · {missing_words(len(result.not_migrated), result.losses)}"


def uncompared_words(results: Sequence[Result]) -> str:
    """`` · 1 column, 2 views not compared · 1 check skipped``; empty where all was."""
    kinds = Counter[str](one.kind for result in results for one in result.left_uncompared)
    kinds.update(one.kind for result in results for one in result.views if one.state == "not compared")
    listed = ", ".join(counted(kinds[kind], kind, more) for kind, more in _KINDS.items() if kinds[kind])
    checks = sum(one.state == "skipped" for result in results for one in result.checks)
    skipped = f" · {counted(checks, 'check')} skipped" if checks else ""
    return f" · {listed} not compared{skipped}" if listed else skipped


def _outcome_words(result: Result) -> str:
    if unreported := [one.message for one in result.findings if one.code in (Code.U009, Code.U111)]:
        return unreported[0]
    if result.verdict in ("migrated", "ready"):
        # What `follow` and `cutover` have come to.
        for one in result.findings:
            if one.code in (Code.W013, Code.W014):
                return one.message
    if result.verdict in ("differs", "failed") and (words := _of_revisions(result)):
        return words
    if result.verdict == "differs":
        return "; ".join(_differs_words(result))
    if result.verdict == "migrated":
        verb = "is" if len(result.tables) == 1 else "are"
        return f"{counted(len(result.tables), 'table')} {verb} there, and no values were compared"
    return _UNFINISHED.get(result.verdict, "nothing was written; see the findings")


def only_checks(result: Result) -> bool:
    """Whether a check has failed, and nothing that was compared differs."""
    return (
        result.verdict == "differs"
        and any(check.failed for check in result.checks)
        and not result.rejects
        and not any(equality(result, one).tone == "bad" for one in result.tables)
        and not any(one.state == "differs" for one in result.views)
        and not any(one.severity == "block" and one.code not in OF_CHECKS for one in result.findings)
    )


def _differs_words(result: Result) -> Iterator[str]:
    codes = _of_schema(result)
    unfinished = codes.pop(Code.V114, 0)
    all_equal = result.tables and all(one.verified for one in result.tables)
    if all_equal and (unfinished or only_checks(result)):
        yield f"every row of {counted(len(result.tables), 'table')} is equal"
    if unfinished:
        yield "the run did not finish"
    if codes.pop(Code.V117, 0):
        yield "a later comparison has found differences"
    if result.rejects:
        yield f"the target refused {counted(len(result.rejects), 'row')}, which were left out"
        if _only_rejects(result):
            yield "all else is equal on both servers"
            return
    if gone := codes.pop(Code.V115, 0):
        yield f"{counted(gone, 'table')} can no longer be compared"
    if codes:
        yield _CHANGED.format(counted(codes.total(), "object"))
    if count := sum(equality(result, one).tone == "bad" for one in result.tables):
        verb = "differs" if count == 1 else "differ"
        yield f"{count:,} of {counted(len(result.tables), 'table')} {verb} from the source"
    if any(one.state == "differs" for one in result.views):
        yield views_words(result.views)
    if any(check.failed for check in result.checks):
        yield checks_words(result.checks)


def _of_schema(result: Result) -> Counter[Code]:
    return Counter(one.code for one in result.findings if one.code in OF_SCHEMA and one.severity == "block")


def _of_revisions(result: Result) -> str:
    """What is wrong with the target's revisions, when only that is."""
    wrong = [one for one in result.findings if one.code.startswith("A") and one.severity == "block"]
    if not wrong or not all(one.verified for one in result.tables):
        return ""
    if result.verdict == "failed":
        return "every row is there and equal, but the revisions are not applied"
    count = counted(len(wrong), "object")
    return f"every row is there and equal, but {count} of the schema not as the revisions make it"


def _only_rejects(result: Result) -> bool:
    """Whether the comparison went through to its end and found no difference but rows that are missing."""
    if any(one.rows_target is None or one.rows_source is None for one in result.tables):
        return False
    missing = sum(one.rows_missing for one in result.tables)
    others = sum(one.rows_extra + one.rows_different for one in result.tables)
    return missing == len(result.rejects) and not others


def views_words(results: Sequence[ViewResult]) -> str:
    """How many are equal; empty where there is none."""
    states = Counter[str](one.state for one in results)
    total = counted(len(results), "view or index expression", "views and index expressions")
    return _shares(
        states["equal"], total, "equal", states, {"differs": "with other rows", "not compared": ""}
    )


def checks_words(results: Sequence[CheckResult]) -> str:
    """How many passed; empty without checks."""
    states = Counter[str]("failed" if one.failed else one.state for one in results)
    total = counted(len(results), "check")
    return _shares(states["ok"], total, "passed", states, {"failed": "", "skipped": ""})


def _shares(good: int, total: str, words: str, states: Mapping[str, int], others: Mapping[str, str]) -> str:
    """``2 of 3 checks passed, 1 failed``."""
    if not sum(states.values()):
        return ""
    more = (f"{states[state]:,} {said or state}" for state, said in others.items() if states[state])
    return ", ".join([f"{good:,} of {total} {words}", *more])


def equality(result: Result, one: TableResult) -> Mark:
    """What the comparison says of a table. Equal counts alone are never called equal."""
    if one.verified:
        return Mark("yes", "good")
    if one.rows_source is None:
        return Mark("not compared", "warn")
    if one.rows_source != one.rows_target:
        return Mark(f"NO: {one.rows_source:,} / {one.rows_target:,}", "bad")
    # Counts alone leave no table verified, and no difference.
    if result.differences or any(other.verified for other in result.tables):
        return Mark("NO: values differ", "bad")
    return Mark(f"count only: {one.rows_source:,}", "warn")


def tables_equal(result: Result) -> str:
    """How many tables are equal; of counts alone, how many counts."""
    tables = result.tables
    if any(one.verified for one in tables) or not any(equality(result, one).tone == "warn" for one in tables):
        return f"{sum(one.verified for one in tables)} equal"
    counts = [one for one in tables if one.rows_source is not None]
    same = sum(one.rows_source == one.rows_target for one in counts)
    return f"{same} of {counted(len(counts), 'count')} equal" if counts else "not compared"


def rows_that_differ(one: TableResult) -> str:
    """How many of a table's rows differ, and how; empty where none was found."""
    found = (
        (one.rows_missing, "missing in the target"),
        (one.rows_extra, "only in the target"),
        (one.rows_different, "with other values"),
    )
    return ", ".join(f"{counted(count, 'row')} {words}" for count, words in found if count)


def rows_differ(result: Result) -> bool:
    """Whether rows differ, and not only because the target refused some."""
    return result.verdict == "differs" and not result.rejects and any(map(rows_that_differ, result.tables))


def stand_words(back: GoingBack) -> str:
    """What is known of the source since the snapshot, in one sentence without its end."""
    match back.stand:
        case "still":
            return f"the source is as it was at the snapshot: {back.how}"
        case "moved" if back.named:
            count = counted(len(back.tables), "table")
            return f"the source has changed in {count} since the snapshot: {back.how}"
        case "moved":
            return f"the source may have changed: {back.how}; a run with its full comparison names the tables"
    return f"it is not known whether the source has changed since the snapshot: {back.how}"


def proof_words(result: Result) -> str:
    """What a verified run has compared; empty for any other."""
    if result.verdict != "verified":
        return ""
    rows = sum(one.rows_source or 0 for one in result.tables)
    changes = sum(one.rows for one in result.changes)
    kinds = {one.kind for one in result.not_compared} | {one.kind for one in result.not_migrated}
    columns = "every column but those left out" if "column" in kinds else "every column"
    declared = f", except for {counted(changes, 'declared value change')}" if changes else ""
    tables = counted(len(result.tables), "table")
    return f"every row and {columns} of {tables}, {counted(rows, 'row')}, is equal on both servers{declared}"
