"""The judge's only entrance."""

from __future__ import annotations

from collections.abc import Collection

from .catalog import source_tables, target_tables
from .errors import JudgeError
from .names import pair_names
from .report import Missing, Report
from .servers import open_source, open_target
from .tables import compare_tables


def compare(
    source_url: str,
    target_url: str,
    *,
    schema: str = "public",
    tables: Collection[str] | None = None,
    cap: int = 100,
) -> Report:
    """Compare every table (or those of `tables`, by their source or target name), value by value.

    `cap` limits the differences that are kept of one table; all of them are counted.
    """
    report = Report()
    with open_source(source_url) as source, open_target(target_url) as target:
        left, right = source_tables(source), target_tables(target, schema)
        pairing = pair_names(left, right)
        wanted = _wanted(tables, {*left, *right})
        for name in pairing.source_only:
            if name in wanted:
                report.missing.append(Missing(name, None, "source"))
        for name in pairing.target_only:
            if name in wanted:
                report.missing.append(Missing(name, None, "target"))
        for name, other in pairing.pairs.items():
            if name in wanted or other in wanted:
                report.tables[name] = compare_tables(source, target, schema, left[name], right[other], cap)
    return report


def _wanted(tables: Collection[str] | None, known: set[str]) -> set[str]:
    wanted = known if tables is None else set(tables)
    if not wanted:
        raise JudgeError("there is no table to compare")
    if wanted - known:
        raise JudgeError(f"neither side has {', '.join(sorted(wanted - known))}")
    return wanted
