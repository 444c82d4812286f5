"""What a run's verdict and a table's comparison mean, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from converge.codes import Code
from converge.model.check import CheckResult
from converge.model.result import OF_SCHEMA, GoingBack, Result, TableResult, ViewResult
from converge.model.result import Verdict as Word
from converge.report.document import Mark, Tone, Verdict
from converge.report.words import counted, missing_words

SNAPSHOTS = {
    "locked": "all readers saw one snapshot of the source",
    "quiet": "no lock was allowed; the source did not move while the readers began",
    "none": "no lock was allowed and the source may have moved between the readers",
}
_TONES: dict[Word, Tone] = {"verified": "good", "migrated": "warn", "ready": "good"}
_KINDS = {"table": "", "column": "", "view": "", "index": "indexes", "schema": ""}


def run_verdict(result: Result) -> Verdict:
    """Good only where nothing is missing: a verified run that lost something calls for a look."""
    tone = _TONES.get(result.verdict, "bad")
    if tone == "good" and (result.not_migrated or result.losses):
        tone = "warn"
    return Verdict(result.verdict, verdict_words(result), tone)


def verdict_words(result: Result) -> str:
    """What the verdict means for this run, and what the target lacks, in one line."""
    words = "data verified" if result.verdict == "verified" else _outcome_words(result)
    if result.verdict in ("blocked", "failed", "interrupted"):
        return words
    kinds = Counter[str](one.kind for one in result.not_compared)
    kinds.update(one.kind for one in result.views if one.state == "not compared")
    listed = ", ".join(counted(kinds[kind], kind, more) for kind, more in _KINDS.items() if kinds[kind])
    skipped = f" · {listed} not compared" if listed else ""
    return f"{words}{skipped} · {missing_words(len(result.not_migrated), result.losses)}"


def _outcome_words(result: Result) -> str:
    tables = counted(len(result.tables), "table")
    match result.verdict:
        case "migrated":
            verb = "is" if len(result.tables) == 1 else "are"
            return f"{tables} {verb} there, and no values were compared"
        case "differs" | "failed" if words := _of_revisions(result):
            return words
        case "differs":
            return _differs_words(result, tables)
        case "failed":
            return "the run has not come to its end"
        case "interrupted":
            return "the run was stopped before its end"
        case "ready":
            return "nothing was written"
        case _:
            return "nothing was written; see the findings"


def _differs_words(result: Result, tables: str) -> str:
    if result.rejects:
        words = f"the target refused {counted(len(result.rejects), 'row')}, which were left out"
        return f"{words}; all else is equal on both servers" if _only_rejects(result) else words
    if words := _of_schema(result):
        return words
    count = sum(equality(result, one).tone == "bad" for one in result.tables)
    views, checks = views_words(result.views), checks_words(result.checks)
    if not count:
        return "; ".join(filter(None, (views, checks)))
    words = f"{count:,} of {tables} {'differs' if count == 1 else 'differ'} from the source"
    if any(one.state == "differs" for one in result.views):
        words += f"; {views}"
    if any(check.failed for check in result.checks):
        words += f"; {checks}"
    return words


def _of_schema(result: Result) -> str:
    """How many objects are no longer as the run has made them; empty where all are."""
    codes = Counter(one.code for one in result.findings if one.code in OF_SCHEMA)
    gone = codes.pop(Code.V115, 0)
    if not codes:
        return f"{counted(gone, 'table')} can no longer be compared" if gone else ""
    wrong = sum(equality(result, one).tone == "bad" for one in result.tables)
    rows = f"; {counted(wrong, 'table')} with rows that differ" if wrong else ""
    return f"{counted(codes.total(), 'object')} not as the run has made it{rows}"


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
    if not results:
        return ""
    states = Counter(one.state for one in results)
    total = counted(len(results), "view or index expression", "views and index expressions")
    words = [f"{states['equal']:,} of {total} equal"]
    if states["differs"]:
        words.append(f"{states['differs']:,} with other rows")
    if states["not compared"]:
        words.append(f"{states['not compared']:,} not compared")
    return ", ".join(words)


def checks_words(results: Sequence[CheckResult]) -> str:
    """How many hold; empty without checks."""
    if not results:
        return ""
    failed = sum(one.failed for one in results)
    over = sum(one.state == "passed over" for one in results)
    held = len(results) - failed - over
    words = [f"{held:,} of {counted(len(results), 'check')} hold" + ("s" if held == 1 else "")]
    if failed:
        words.append(f"{failed:,} failed")
    if over:
        words.append(f"{over:,} passed over")
    return ", ".join(words)


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


def rows_that_differ(one: TableResult) -> str:
    """How many of a table's rows differ, and how; empty where none was found."""
    found = (
        (one.rows_missing, "missing in the target"),
        (one.rows_extra, "only in the target"),
        (one.rows_different, "with other values"),
    )
    return ", ".join(f"{counted(count, 'row')} {words}" for count, words in found if count)


def stand_words(back: GoingBack) -> str:
    """What is known of the source since the snapshot, in one sentence without its end."""
    match back.stand:
        case "still":
            return f"the source is as it was at the snapshot: {back.how}"
        case "moved" if back.named:
            count = counted(len(back.tables), "table")
            return f"the source has moved in {count} since the snapshot: {back.how}"
        case "moved":
            return f"the source may have moved: {back.how}; a run with its full comparison names the tables"
    return f"it is not known whether the source has moved since the snapshot: {back.how}"


def proof_words(result: Result) -> str:
    """What a verified run has compared; empty for any other."""
    if result.verdict != "verified":
        return ""
    rows = sum(one.rows_source or 0 for one in result.tables)
    changes = sum(one.rows for one in result.changes)
    kinds = {one.kind for one in result.not_compared} | {one.kind for one in result.not_migrated}
    columns = "every column but those left out" if "column" in kinds else "every column"
    declared = f", except for {counted(changes, 'value')} that the map changes" if changes else ""
    tables = counted(len(result.tables), "table")
    return f"every row and {columns} of {tables}, {rows:,} rows, is equal on both servers{declared}"
