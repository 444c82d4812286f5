"""A plan's summary for a terminal or a log, and its sections in full."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from converge.codes import Code, explained
from converge.model.catalog import RoutineKind
from converge.model.finding import Finding, count_losses
from converge.model.plan import Outcome, Plan
from converge.model.words import counted
from converge.report.document import Block, Cell, Facts, Fold, Grid, Mark, Verdict, Words, facts, grid
from converge.report.findings import LEVELS, Findings, findings
from converge.report.plan import all_facts, drift_blocks, drift_facts, plan_facts, plan_verdict, types_grid
from converge.report.plan_tables import NO_TABLES, tables_grid
from converge.report.port import converted_words, port_section
from converge.report.text import brief, fitted, on_terminal, to_text
from converge.report.words import blocked_words, missing_words, one_line, seconds, short, size

SECTIONS = ("findings", "port", "types", "tables", "columns", "since", "checks", "facts")
"""What `plan_text` can show in full."""
_MOST_DRIFTED = 50
_URGENT = ("block", "lossy")
"""Levels of findings that are shown unasked."""
_SCREEN = 20
"""Lines of a terminal that a summary may take."""
_MOST_UNMATCHED = 2
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of a summary a terminal has room for: blockers, losses, codes of the other findings, names of
    objects that are not migrated."""

    blocks: int = 4
    losses: int = 2
    codes: int = 4
    """With 0, all are counted in one line."""
    names: int = _MOST_NAMES
    whole: bool = True
    """Whether a fix is a rule to be pasted; else what it sets, in one line."""
    clipped: bool = False
    """Whether each message is one line, cut at its end."""


_ROOMS = (
    _Room(),
    *(_Room(codes=2, names=names) for names in (_MOST_NAMES, 1)),
    _Room(codes=0, names=1),
    *(_Room(codes=codes, names=1, whole=False) for codes in (2, 0)),
    *(_Room(codes=0, names=names, whole=False, clipped=True) for names in (1, 0)),
    *(_Room(most, min(most, 2), 0, 0, whole=False, clipped=True) for most in (3, 2, 1)),
)
"""From the widest on: the first whose lines fit on a `_SCREEN` is shown."""


def plan_text(plan: Plan, *, shown: Collection[str] = (), following: Sequence[tuple[str, str]] = ()) -> str:
    """What is to be known first, or these `SECTIONS`; at the end facts about what follows.

    What is to be known first fits on a screen of a terminal: what it has no room for is counted. Elsewhere,
    in a file or a log, each blocker and loss is whole.
    """
    if shown:
        return to_text(_summed_up(plan), *_blocks(plan, shown), facts(*following))
    if not on_terminal():
        return to_text(_summed_up(plan), *_summary(plan), facts(*following))
    return fitted((_in_room(plan, room, following) for room in _ROOMS), _SCREEN)


def _summed_up(plan: Plan) -> Verdict:
    """The verdict, and how much there is to read and to port."""
    missing = missing_words(len(plan.not_migrated), count_losses(plan.findings))
    notes = sum(finding.level == "note" for finding in plan.findings)
    routines = sum(one.kind in get_args(RoutineKind) for one in plan.not_migrated)
    more = [missing] * bool(plan.blocks) + [f"{counted(notes, 'note')} to read"] * bool(notes)
    after = sum(finding.level == "after" for finding in plan.findings)
    more += [f"{after:,} for after the cutover"] * bool(after)
    more += [f"{counted(routines, 'routine')} to port"] * bool(routines)
    verdict = plan_verdict(plan)
    return replace(verdict, words=" · ".join([verdict.words, *more]))


def _in_room(plan: Plan, room: _Room, following: Sequence[tuple[str, str]]) -> str:
    """The summary in so much room."""
    known, urgent, others = _summary(plan, room)
    most = {"block": room.blocks, "lossy": room.losses}
    levels = tuple(one.cut(most[one.name]) for one in urgent.levels)
    urgent = replace(urgent, levels=levels, clipped=room.clipped)
    urgent = urgent if room.whole else brief(urgent)
    if room.codes:
        return to_text(_summed_up(plan), known, urgent, others, facts(*following))
    verdict = plan_verdict(plan)
    if plan.blocks:
        missing = missing_words(len(plan.not_migrated), count_losses(plan.findings))
        verdict = replace(verdict, words=f"{blocked_words(len(plan.blocks), tight=True)} · {missing}")
    counts = Counter(one.code for one in plan.findings if one.level not in _URGENT)
    rest = ", ".join(f"{count:,} {code}" for code, count in counts.most_common())
    return to_text(verdict, known, urgent, facts(("findings", rest), *following))


def _summary(plan: Plan, room: _Room = _ROOMS[0]) -> tuple[Facts, Findings, Grid]:
    """Both sides and how much there is; what stops a run and what is lost; the rest by code."""
    forecast, since = plan.forecast, plan.since
    took = f"; {seconds(forecast.seconds)}, {size(forecast.target_bytes)} in the target" if forecast else ""
    known = dict(plan_facts(plan).pairs)
    drift = dict(drift_facts(since).pairs) if since and (since.changes or since.growth) else {}
    # What a rule of a map was to decide is not decided: a slip may change every value of a column.
    unmatched = [one for one in plan.findings if one.code == Code.M180 and one.severity == "note"]
    most = _MOST_UNMATCHED if on_terminal() else len(unmatched)
    about = facts(
        ("source", known["source"]),
        ("target", known["target"]),
        *((name, known.get(name, "")) for name in ("schema", "mode") if known.get(name) != "public"),
        ("size", known["size"] + took),
        ("migrated", converted_words(plan)),
        ("missing", _missing(plan.not_migrated, room.names if on_terminal() else sys.maxsize)),
        (
            "since",
            f"last run: {drift['changes']} changed, rows {drift['rows']}; --show since" if drift else "",
        ),
        *(("unmatched", f"{one.object}: {one.message}") for one in unmatched[:most]),
        ("unmatched", f"and {len(unmatched) - most} more; --show findings" if len(unmatched) > most else ""),
    )
    urgent = findings(one for one in plan.findings if one.level in _URGENT)
    return about, urgent, _counts((one for one in plan.findings if one.level not in _URGENT), room.codes)


def _missing(left: Sequence[Outcome], most: int) -> str:
    """The objects that the target will not have, by kind, with about so many names; empty for none."""
    kinds: dict[str, list[str]] = {}
    for one in left if most else ():
        kinds.setdefault(one.kind, []).append(one.name)
    most = max(1, most // max(1, len(kinds)))
    return "; ".join(
        counted(len(names), kind, "indexes" if kind == "index" else "")
        + f" ({', '.join([*names[:most], *['…'] * (len(names) > most)])})"
        for kind, names in kinds.items()
    )


def _counts(found: Iterable[Finding], most: int) -> Grid:
    """How many findings there are of each code, the most urgent first; those beyond `most` in one row."""
    counts = Counter((finding.level, finding.code) for finding in found)
    ranked = [
        (count, code, Mark(word, tone))
        for level, word, _, tone in LEVELS
        for (of, code), count in counts.most_common()
        if of == level
    ]
    # A row that says of one more code hides what it could show.
    most += len(ranked) == most + 1
    rows: list[tuple[Cell, ...]] = [
        (f"{count:,}", code, mark, explained(code).title) for count, code, mark in ranked[:most]
    ]
    if more := ranked[most:]:
        rest = sum(count for count, *_ in more)
        codes = " ".join(code for _, code, _ in more)
        rows.append((f"{rest:,}", "…", "", f"of {counted(len(more), 'more code')}: {codes}"))
    return grid(
        "Findings",
        (("findings", "number"), ("code", "code"), ("severity", "words"), ("what", "words")),
        rows,
    )


def _blocks(plan: Plan, shown: Collection[str]) -> Iterator[Block]:
    """These sections in full."""
    tables = tables_grid(plan)
    if "facts" in shown:
        yield all_facts(plan)
    if "types" in shown:
        yield types_grid(plan)
    if "tables" in shown:
        yield tables if plan.tables else Words(NO_TABLES)
    if "columns" in shown:
        for one, details in zip(plan.tables, tables.details, strict=True):
            yield Fold(f"{one.source} → {plan.schema}.{one.target}", details[:1])
    if "since" in shown and plan.since:
        yield Fold("since the last run", tuple(drift_blocks(plan.since, _MOST_DRIFTED, short)))
    if "checks" in shown and plan.checks:
        checks = "\n".join(one_line(f"{one.name} ({one.wants})") for one in plan.checks)
        yield Fold(f"checks ({len(plan.checks):,}), after the load", (Words(checks),))
    # What blocks is shown in any case.
    yield findings(plan.findings if "findings" in shown else plan.blocks)
    if "port" in shown and plan.ports:
        yield from port_section(plan).blocks
