"""The closing table of a run: for a terminal, and as Markdown."""

from __future__ import annotations

from converge.model.result import Result, TableResult
from converge.report.units import seconds, size, table

_HEAD = ("table", "read", "written", "rejected", "bytes", "seconds", "equal")


def result_text(result: Result) -> str:
    """Tables, phases, findings, differences and, last, the verdict and the next command."""
    lines = []
    if result.tables:
        lines += table(_HEAD, [_row(one) for one in result.tables] + [_sum(result)])
        lines.append("")
    lines.append("phases    " + ", ".join(f"{name} {seconds(time)}" for name, time in result.phases))
    if result.snapshot:
        lines.append(f"snapshot  {result.snapshot}: {_SNAPSHOT[result.snapshot]}")
    lossy = [finding for finding in result.findings if finding.severity == "lossy"]
    notes = sum(finding.severity == "note" for finding in result.findings)
    lines += [f"lossy     {finding.object}: {finding.message}" for finding in lossy]
    if notes:
        lines.append(f"notes     {notes}; `converge plan` lists them with their reasons")
    lines += [f"differs   {difference}" for difference in result.differences]
    lines.append(f"verdict   {result.verdict}: {verdict_words(result)}")
    if result.next_command:
        lines.append(f"next      {result.next_command}")
    return "\n".join(lines)


def result_markdown(result: Result) -> str:
    """The same as Markdown."""
    lines = [
        f"# converge {result.command}: {result.verdict}",
        "",
        verdict_words(result) + ".",
        "",
        f"- source: `{result.source}`",
        f"- target: `{result.target}`",
        f"- snapshot: {result.snapshot}: {_SNAPSHOT.get(result.snapshot or '', '')}",
        "- phases: " + ", ".join(f"{name} {seconds(time)}" for name, time in result.phases),
        "",
        "| " + " | ".join(_HEAD) + " |",
        "|---" + "|---:" * (len(_HEAD) - 1) + "|",
    ]
    lines += ["| " + " | ".join(_cell(cell) for cell in _row(one)) + " |" for one in result.tables]
    if result.differences:
        lines += ["", "## Differences", ""]
        lines += [f"- {_cell(str(difference))}" for difference in result.differences]
    if result.findings:
        lines += ["", "## Findings", ""]
        lines += [
            f"- **{finding.severity}** {finding.code} `{_cell(finding.object)}`: {_cell(finding.message)}"
            for finding in result.findings
        ]
    return "\n".join(lines) + "\n"


def verdict_words(result: Result) -> str:
    """What the verdict means for this run, in one sentence."""
    tables = len(result.tables)
    rows = sum(one.rows_source or 0 for one in result.tables)
    match result.verdict:
        case "verified":
            return f"every row and every column of {tables} tables, {rows:,} rows, is equal on both servers"
        case "migrated":
            return f"{tables} tables are there, but their values were not compared"
        case "differs":
            count = sum(one.rows_source is not None and not one.verified for one in result.tables)
            return f"{count} of {tables} tables are not the same on both servers"
        case _:
            return "see the findings"


_SNAPSHOT = {
    "locked": "all readers saw the source at one instant",
    "quiet": "no lock was allowed; the source did not move while the readers began",
    "none": "no lock was allowed and the source may have moved between the readers",
}


def _row(one: TableResult) -> tuple[str, ...]:
    copied = one.rows_read is not None
    return (
        one.source,
        f"{one.rows_read:,}" if copied else "",
        f"{one.rows_written:,}" if copied else "",
        f"{one.rows_rejected:,}" if copied else "",
        size(one.bytes) if copied else "",
        f"{one.seconds:.2f}" if copied else "",
        "yes" if one.verified else "not compared" if one.rows_source is None else _counted(one),
    )


def _counted(one: TableResult) -> str:
    same = one.rows_source == one.rows_target
    return f"count only: {one.rows_source:,}" if same else f"NO: {one.rows_source:,} / {one.rows_target:,}"


def _sum(result: Result) -> tuple[str, ...]:
    tables = result.tables
    if tables[0].rows_read is None:
        return (f"{len(tables)} tables", "", "", "", "", "", "")
    return (
        f"{len(tables)} tables",
        f"{sum(one.rows_read or 0 for one in tables):,}",
        f"{sum(one.rows_written or 0 for one in tables):,}",
        f"{sum(one.rows_rejected for one in tables):,}",
        size(sum(one.bytes for one in tables)),
        f"{sum(one.seconds for one in tables):.2f}",
        f"{sum(one.verified for one in tables)} equal",
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
