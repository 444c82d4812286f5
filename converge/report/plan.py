"""A plan as a document, for a terminal, as JSON and as SQL."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from converge.codes import Code, explained
from converge.model.catalog import RoutineKind
from converge.model.documents import head
from converge.model.plan import Finding, Outcome, Phase, Plan, count_losses
from converge.model.port import all_work, hours
from converge.model.quote import pg_name
from converge.model.rehearsal import Drift
from converge.model.words import counted
from converge.report.charts import size_bars
from converge.report.document import (
    LEVELS,
    Block,
    Cell,
    Document,
    Facts,
    Findings,
    Fold,
    Grid,
    Group,
    Mark,
    Paste,
    Section,
    Verdict,
    Words,
    facts,
    findings,
    grid,
    section,
    subject,
    table_section,
    toned,
    work_sections,
)
from converge.report.plan_tables import NO_TABLES, OF_TABLES, outcomes_grid, tables_grid
from converge.report.port import conversion_section, converted_words, port_section
from converge.report.text import on_terminal, to_text
from converge.report.words import (
    blocked_words,
    for_people,
    missing_words,
    moment,
    now,
    one_line,
    seconds,
    short,
    size,
    visible,
)

SECTIONS = ("findings", "port", "types", "tables", "columns", "since", "checks", "facts")
"""What `plan_text` can show in full."""
_PHASES: tuple[Phase, ...] = get_args(Phase)
_MOST_DRIFTED = 50
_URGENT = ("block", "lossy")
"""Levels of findings that are shown unasked."""
_SCREEN = 20
"""Lines of a terminal that a summary may take."""
_MOST_UNMATCHED = 2
_MOST_NAMES = 8
_MOST_CODES = 4


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of a summary a terminal has room for: blockers, losses, and codes of the other findings."""

    blocks: int = 4
    losses: int = 2
    codes: int = _MOST_CODES
    tight: bool = False
    """Whether each message is one line, cut at its end, and codes are counted in one line."""


_ROOMS = (_Room(), _Room(codes=2), *(_Room(most, min(most, 2), 0, True) for most in (4, 3, 2, 1)))
"""From the widest on: the first whose lines fit on a `_SCREEN` is shown."""


def plan_document(plan: Plan) -> Document:
    """All of a plan that people read."""
    others = [one for one in plan.outcomes if one.kind not in OF_TABLES and one.state != "not migrated"]
    changes = (
        (one.source, column.source, change.trap, change.policy, f"rows {change.words}")
        for one in plan.tables
        for column in one.columns
        for change in column.changes
    )
    checks = ((one.name, one.wants, one.source, one.target, one.why, one.place) for one in plan.checks)
    work, absent, *rest = work_sections(plan.findings, plan.not_migrated)
    sizes = [(one.source, one.data_bytes, one.rows_estimate) for one in plan.tables]
    return Document(
        "plan",
        subject(plan.source, plan.target or f"PostgreSQL {plan.target_version}"),
        (moment(now()), f"MySQL {plan.source_version} → PostgreSQL {plan.target_version}"),
        _verdict(plan),
        _figures(plan),
        (
            work,
            absent,
            port_section(plan),
            section("facts", "Facts", _all_facts(plan)),
            conversion_section(plan),
            section("since", "Since the last run", *_drift(plan.since), nothing="there was no run before"),
            section("sizes", "Size", size_bars("Largest tables, estimated", sizes)),
            section("tables", "Tables", tables_grid(plan), nothing="no table of the source is selected"),
            table_section(
                "changes",
                "Declared value changes",
                (("table", "name"), ("column", "name"), ("policy", "code"), ("becomes", "code"),
                 ("which", "words")),
                changes,
                "no value is changed",
            ),
            table_section(
                "checks",
                "Checks",
                (("check", "words"), ("wants", "words"), ("source", "code"), ("target", "code"),
                 ("why", "words"), ("where it stands", "words")),
                checks,
                "the maps declare no checks",
            ),
            *rest,
            section("types", "Type decisions", _types(plan), folded=True),
            section("others", "Views and other objects", outcomes_grid("Views and other objects", others),
                    nothing="the source has no views or other objects that are migrated", folded=True),
            _sql(plan),
        ),
    )  # fmt: skip


def plan_text(plan: Plan, *, shown: Collection[str] = (), following: Sequence[tuple[str, str]] = ()) -> str:
    """What is to be known first, or these `SECTIONS`; at the end facts about what follows.

    What is to be known first fits on a screen of a terminal: what it has no room for is counted. Elsewhere,
    in a file or a log, each blocker and loss is whole.
    """
    if shown:
        return to_text(_summed_up(plan), *_blocks(plan, shown), facts(*following))
    if not on_terminal():
        return to_text(_summed_up(plan), *_summary(plan), facts(*following))
    for room in _ROOMS:
        text = _fitted(plan, room, following)
        if text.count("\n") < _SCREEN:
            break
    return text


def _summed_up(plan: Plan) -> Verdict:
    """The verdict, and how much there is to read and to port."""
    missing = missing_words(len(plan.not_migrated), count_losses(plan.findings))
    notes = sum(finding.level == "note" for finding in plan.findings)
    routines = sum(one.kind in get_args(RoutineKind) for one in plan.not_migrated)
    more = [missing] * bool(plan.blocks) + [f"{counted(notes, 'note')} to read"] * bool(notes)
    after = sum(finding.level == "after" for finding in plan.findings)
    more += [f"{after:,} for after the cutover"] * bool(after)
    more += [f"{counted(routines, 'routine')} to port"] * bool(routines)
    verdict = _verdict(plan)
    return replace(verdict, words=" · ".join([verdict.words, *more]))


def _fitted(plan: Plan, room: _Room, following: Sequence[tuple[str, str]]) -> str:
    """The summary in so much room."""
    most = {"block": room.blocks, "lossy": room.losses}
    known, urgent, others = _summary(plan, room.codes)
    levels = (one.cut(most[one.name]) for one in urgent.levels)
    levels = (replace(one, groups=tuple(map(_brief, one.groups))) for one in levels)
    if not room.tight:
        return to_text(_summed_up(plan), known, Findings(tuple(levels)), others, facts(*following))
    verdict = _verdict(plan)
    if plan.blocks:
        missing = missing_words(len(plan.not_migrated), count_losses(plan.findings))
        first = f"resolve {counted(len(plan.blocks), 'finding')} first"
        verdict = replace(verdict, words=f"{first} · {missing}")
    counts = Counter(one.code for one in plan.findings if one.level not in _URGENT)
    rest = ", ".join(f"{count:,} {code}" for code, count in counts.most_common())
    last = facts(("findings", rest), *following)
    known = Facts(tuple((name, words) for name, words in known.pairs if name != "missing"))
    return to_text(verdict, known, Findings(tuple(levels), clipped=True), last)


def _summary(plan: Plan, codes: int = _MOST_CODES) -> tuple[Facts, Findings, Grid]:
    """Both sides and how much there is; what stops a run and what is lost; the rest by so many codes."""
    forecast, since = plan.forecast, plan.since
    took = f"; {seconds(forecast.seconds)}, {size(forecast.target_bytes)} in the target" if forecast else ""
    known = dict(_facts(plan).pairs)
    drift = dict(next(one for one in _drift(since) if isinstance(one, Facts)).pairs) if since else {}
    changed = since and (since.changes or since.growth)
    # What a rule of a map was to decide is not decided: a slip may change every value of a column.
    unmatched = [one for one in plan.findings if one.code == Code.M180 and one.severity == "note"]
    most = _MOST_UNMATCHED if on_terminal() else len(unmatched)
    about = facts(
        ("source", known["source"]),
        ("target", known["target"]),
        *((name, known.get(name, "")) for name in ("schema", "mode") if known.get(name) != "public"),
        ("size", known["size"] + took),
        ("migrated", converted_words(plan)),
        ("missing", _missing(plan.not_migrated)),
        (
            "since",
            f"last run: {drift['changes']} changed, rows {drift['rows']}; --show since" if changed else "",
        ),
        *(("unmatched", f"{one.object}: {one.message}") for one in unmatched[:most]),
        ("unmatched", f"and {len(unmatched) - most} more; --show findings" if len(unmatched) > most else ""),
    )
    urgent = findings(one for one in plan.findings if one.level in _URGENT)
    return about, urgent, _counts((one for one in plan.findings if one.level not in _URGENT), codes)


def _brief(group: Group) -> Group:
    """As a screen has room for it: the rows beside the message, and of a fix its first way, in one line."""

    def brief(finding: Finding) -> Finding:
        way = finding.hint.partition("\n# or")[0].splitlines()
        if way and way[0].startswith("[["):
            settings = (line for line in way if line and not line.startswith(("[[", "match ")))
            way = ["; ".join(dict.fromkeys(settings))]
        rows = f" ({finding.evidence})" if finding.evidence else ""
        return replace(finding, message=finding.message + rows, evidence="", hint="".join(way[:1]))

    return Group(group.code, tuple(map(brief, group.findings)))


def _missing(left: Sequence[Outcome]) -> str:
    """The objects that the target will not have, by kind; each by its name in a file or a log."""
    kinds: dict[str, list[str]] = {}
    for one in left:
        kinds.setdefault(one.kind, []).append(one.name)
    most = max(1, _MOST_NAMES // max(1, len(kinds))) if on_terminal() else sys.maxsize
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
        yield _all_facts(plan)
    if "types" in shown:
        yield _types(plan)
    if "tables" in shown:
        yield tables if plan.tables else Words(NO_TABLES)
    if "columns" in shown:
        for one, details in zip(plan.tables, tables.details, strict=True):
            yield Fold(f"{one.source} → {plan.schema}.{one.target}", details[:1])
    if "since" in shown and plan.since:
        yield Fold("since the last run", tuple(_drift(plan.since, _MOST_DRIFTED, short)))
    if "checks" in shown and plan.checks:
        checks = "\n".join(one_line(f"{one.name} ({one.wants})") for one in plan.checks)
        yield Fold(f"checks ({len(plan.checks):,}), after the load", (Words(checks),))
    # What blocks is shown in any case.
    yield findings(plan.findings if "findings" in shown else plan.blocks)
    if "port" in shown and plan.ports:
        yield from port_section(plan).blocks


def plan_json(plan: Plan) -> dict[str, Any]:
    """The --json document: the contract's keys, and the whole plan."""
    document = plan.to_json()
    tables = (
        {"source": one.source, "target": f"{plan.schema}.{one.target}", "rows_estimate": one.rows_estimate}
        for one in plan.tables
    )
    work = all_work(plan.ports)
    return head("plan", "blocked" if plan.blocks else "ready", 3 if plan.blocks else 0) | {
        "source": {"url": plan.source, "version": plan.source_version},
        "target": {"url": plan.target, "version": plan.target_version},
        "tables": list(tables),
        "findings": document["findings"],
        "not_migrated": [asdict(one) for one in plan.not_migrated],
        "losses": count_losses(plan.findings),
        "conversion": [asdict(one) for one in plan.conversion],
        "effort": {"hours": hours(work), "work": [asdict(one) for one in work]},
        "phases": [],
        "plan": document,
    }


def plan_sql(plan: Plan) -> str:
    """The target's SQL, phase by phase, each statement with its reason."""
    lines = [f"-- {plan.source} → PostgreSQL {plan.target_version}, digest {plan.digest}"]
    for phase, statements in _statements(plan):
        lines += ["", f"-- {phase}", *statements]
    return "\n".join(lines) + "\n"


def _statements(plan: Plan) -> Iterator[tuple[str, list[str]]]:
    if not plan.schema_exists:
        yield "schema", [f"CREATE SCHEMA {pg_name(plan.schema)};"]
    for phase in _PHASES:
        statements = [one for one in plan.statements if one.phase == phase]
        if statements:
            yield phase, [f"-- {_reason(one.object, one.why)}\n{one.sql};" for one in statements]


def _reason(object_: str, why: str) -> str:
    return visible(" ".join(f"{object_}: {why}".split()))


def _sql(plan: Plan) -> Section:
    folds = (
        Fold(phase, (Paste("\n".join(statements), "sql"),), len(statements))
        for phase, statements in _statements(plan)
    )
    return section("sql", "SQL", *folds, folded=True, on_pages=True)


def _verdict(plan: Plan) -> Verdict:
    if plan.blocks:
        return Verdict("blocked", blocked_words(len(plan.blocks)), "bad")
    losses = count_losses(plan.findings)
    words = missing_words(len(plan.not_migrated), losses)
    return Verdict(for_people("ready"), words, "warn" if plan.not_migrated or losses else "good")


def _figures(plan: Plan) -> tuple[tuple[Cell, str], ...]:
    figures: list[tuple[Cell, str]] = [
        (f"{len(plan.tables):,}", "tables"),
        (f"{sum(one.rows_estimate for one in plan.tables):,}", "rows, estimated"),
        (size(sum(one.data_bytes for one in plan.tables)), "in the source"),
    ]
    if plan.forecast:
        figures.append((size(plan.forecast.target_bytes), "in the target"))
        figures.append((seconds(plan.forecast.seconds), "forecast"))
    counts: Counter[str] = Counter(finding.level for finding in plan.findings)
    return (
        *figures,
        toned(len(plan.blocks), "blockers", "bad"),
        toned(counts["lossy"], "losses"),
        toned(len(plan.not_migrated), "objects not migrated"),
        toned(counts["note"], "notes", "quiet"),
    )


def _facts(plan: Plan) -> Facts:
    rows = sum(one.rows_estimate for one in plan.tables)
    data = sum(one.data_bytes for one in plan.tables)
    states = Counter(outcome.state for outcome in plan.outcomes if not outcome.part)
    return facts(
        ("source", f"MySQL {plan.source_version} {plan.source}"),
        ("target", f"PostgreSQL {plan.target_version} {plan.target or '(no target named)'}"),
        ("schema", plan.schema + ("" if plan.schema_exists else ", which the run makes")),
        ("mode", "load: into the tables that are there" if plan.mode == "load" else ""),
        ("size", f"{counted(len(plan.tables), 'table')}, about {counted(rows, 'row')}, {size(data)}"),
        ("objects", ", ".join(f"{count:,} {state}" for state, count in sorted(states.items()))),
        ("snapshot", plan.snapshot),
        ("TOAST", "lz4 for long values" if plan.compression == "lz4" else ""),
        ("scan", plan.scan),
        ("digest", plan.digest),
    )


def _all_facts(plan: Plan) -> Facts:
    """The facts with the forecast."""
    if (forecast := plan.forecast) is None:
        return _facts(plan)
    time = f"{seconds(forecast.seconds)} for the whole run with its full comparison"
    space = f"{size(forecast.target_bytes)} in the target, tables and indexes"
    return Facts((*_facts(plan).pairs, ("forecast", f"{time}; {space}"), ("", forecast.basis)))


def _types(plan: Plan) -> Grid:
    """A row for each kind of decision, most frequent first."""
    decisions = Counter(
        (_general(column.source_type), _general(column.target_type), column.why, column.rule)
        for one in plan.tables
        for column in one.columns
    )
    return grid(
        "Type decisions",
        (("columns", "number"), ("type", "code"), ("becomes", "code"), ("why", "words"), ("rule", "words")),
        [(f"{count:,}", *decision) for decision, count in decisions.most_common()],
        pages=("rule",),
    )


def _general(type_: str) -> str:
    """``varchar(45)`` → ``varchar(n)``; the name of a native enum → ``enum``."""
    if type_.startswith(("enum(", "set(")):
        return type_.partition("(")[0]
    if type_.startswith('"') and type_.endswith('"'):
        return "enum"
    return re.sub(r"\(\d+(,\d+)?\)", lambda match: "(p,s)" if match[1] else "(n)", type_)


def _drift(
    drift: Drift | None, most: int = sys.maxsize, cut: Callable[[str], str] = str
) -> Iterator[Facts | Grid | Words]:
    """What has changed since the last run: the first `most` things, each cell cut."""
    if drift is None:
        return
    more = sum(one.now - one.before for one in drift.growth)
    rows = f"{more:+,} in {counted(len(drift.growth), 'table')}" if drift.growth else "unchanged"
    forecast = drift.forecast
    yield facts(
        ("last run", drift.since),
        ("changes", counted(len(drift.changes), "thing") if drift.changes else "none"),
        ("rows", rows),
        ("forecast", f"{seconds(forecast.seconds)}, {forecast.basis}" if forecast else ""),
    )
    changed = grid(
        "Changed since the last run",
        (("what", "words"), ("which", "name"), ("before", "code"), ("now", "code")),
        [
            (one.what, cut(one.object), cut(one.before or "not there"), cut(one.now or "not there"))
            for one in drift.changes
        ],
    )
    grown = grid(
        "Rows since the last run",
        (("table", "name"), ("before", "number"), ("now", "number"), ("more", "number")),
        [
            (cut(one.table), f"{one.before:,}", f"{one.now:,}", f"{one.now - one.before:+,}")
            for one in drift.growth
        ],
    )
    for table in (changed, grown):
        yield replace(table, rows=table.rows[:most])
        if len(table.rows) > most:
            yield Words(f"… {len(table.rows) - most:,} more; --md FILE has all")
