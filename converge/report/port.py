"""What is left to port by hand: the conversion rate, the estimate, and a file for each object."""

from __future__ import annotations

import re
from collections.abc import Iterator

from converge.model.plan import Plan
from converge.model.port import Hours, Port, Work, all_work, hours
from converge.model.words import counted
from converge.report.document import Fold, Grid, Paste, Section, Words, facts, grid, section
from converge.report.words import one_line, visible

_ESTIMATE = (
    "The estimate only counts: the hours of each rule, times how often it counts in the text. "
    "Replace them by your own where you know the code, its tests and the people better."
)
_NOT_IN_NAMES = re.compile(r"[^\w.-]")
_LONGEST = 100


def conversion_section(plan: Plan) -> Section:
    """How many objects of each kind are migrated."""
    rows = [
        (one.kind, f"{one.objects:,}", f"{one.migrated:,}", rate(one.migrated, one.objects))
        for one in plan.conversion
    ]
    part, whole = _migrated(plan), _objects(plan)
    counts = grid(
        "Conversion rate",
        (("kind", "words"), ("objects", "number"), ("migrated", "number"), ("rate", "number")),
        rows,
        ("all", f"{whole:,}", f"{part:,}", rate(part, whole)),
    )
    return section("conversion", "Conversion rate", counts, nothing="the source has no objects")


def port_section(plan: Plan) -> Section:
    """What is left to port: the estimate, then each object with its signature and its source."""
    estimate = (Words(_ESTIMATE), work_grid(all_work(plan.ports))) if plan.ports else ()
    return section(
        "port",
        "Left to port",
        *estimate,
        *map(_port, plan.ports),
        nothing="no routine, trigger or event is left to port",
        tone="warn",
    )


def _port(one: Port) -> Fold:
    known = facts(
        ("definer", one.definer),
        ("options", one.characteristics),
        ("why", one.why),
        ("work", "; ".join(_counts(one.work))),
        ("estimate", hours_words(hours(one.work))),
        ("pg_cron", one.schedule),
        ("refused", one.refused and f"the target refuses the skeleton: {one.refused}"),
    )
    return Fold(f"{one.kind} {one.signature}", (known, Paste(one.source, "sql")), name=True)


def work_grid(work: tuple[Work, ...]) -> Grid:
    """The rules of the estimate with their counts, and the sum."""
    return grid(
        "Estimate",
        (("rule", "words"), ("count", "number"), ("hours each", "number"), ("hours", "number"),
         ("in PostgreSQL", "words")),
        [(one.name, f"{one.count:,}", _range(one.hours), _range(hours([one])), one.words) for one in work],
        ("all", "", "", hours_words(hours(work)), ""),
    )  # fmt: skip


def converted_words(plan: Plan) -> str:
    """``46 of 49 objects (93 %); 3 to port in 1 to 5 hours (--show port)``."""
    part, whole = _migrated(plan), _objects(plan)
    done = f"{part:,} of {counted(whole, 'object')} ({rate(part, whole)})"
    if not plan.ports:
        return done
    estimate = hours_words(hours(all_work(plan.ports)))
    return f"{done}; {len(plan.ports):,} to port in {estimate} (--show port)"


def hours_words(of: Hours) -> str:
    """``15 minutes to 1 hour``, ``1.5 to 6 hours``, ``6 to 25 hours``: no more exact than an estimate is."""
    least, most = map(_plain, of)
    (number, unit), unit_of_most = least.split(), most.split()[1]
    same = unit.rstrip("s") == unit_of_most.rstrip("s")
    return most if least == most else f"{number if same else least} to {most}"


def _plain(value: float) -> str:
    """Minutes below an hour, halves of an hour below five."""
    if value < 0.95:
        return f"{5 * round(value * 12)} minutes"
    value = round(value * 2) / 2 if value < 5 else round(value)
    return f"{value:g} hour{'s' if value != 1 else ''}"


def rate(part: int, whole: int) -> str:
    """``93 %``: 100 only where it is all."""
    return f"{part * 100 // whole} %" if whole else ""


def _range(of: Hours) -> str:
    least, most = (f"{value:.2f}".rstrip("0").rstrip(".") for value in of)
    return least if least == most else f"{least} to {most}"


def _counts(work: tuple[Work, ...]) -> list[str]:
    return [f"{one.count:,} {one.name}" for one in work]


def _objects(plan: Plan) -> int:
    return sum(one.objects for one in plan.conversion)


def _migrated(plan: Plan) -> int:
    return sum(one.migrated for one in plan.conversion)


# ---- files -----------------------------------------------------------------------------------------------


def port_files(plan: Plan) -> Iterator[tuple[str, str]]:
    """A name and a text for each object: a skeleton that PostgreSQL takes, and the source in comments."""
    names: set[str] = set()
    for one in plan.ports:
        # Names that differ only in case are one file on some systems.
        name = wanted = _NOT_IN_NAMES.sub("_", f"{one.kind}_{one.name}")[:_LONGEST]
        number = 1
        while name.lower() in names:
            number += 1
            name = f"{wanted}_{number}"
        names.add(name.lower())
        yield f"{name}.sql", _file(plan, one)


def _file(plan: Plan, one: Port) -> str:
    """Of the source's own words nothing is outside of comments: each of its lines gets a mark of its own."""
    lines = [
        f"{one.kind} {one.signature}",
        f"of {plan.source}, for PostgreSQL {plan.target_version}",
        f"definer   {one.definer}",
        *([f"options   {one.characteristics}"] if one.characteristics else []),
        f"why       it is not migrated: {one.why}",
        f"estimate  {hours_words(hours(one.work))}, by counting, of {counted(one.lines, 'line')}",
        *(f"look at   {work.count:,} {work.name}: {work.words}" for work in one.work[1:]),
        *([f"refused   {one.refused}"] if one.refused else []),
    ]
    head = "".join(f"-- {one_line(line)}\n" for line in lines)
    schedule = f"When it is ported (hours in GMT, which pg_cron has without cron.timezone):\n{one.schedule}"
    source = f"The source, in MySQL:\n\n{one.source}"
    return "\n".join([head, f"{one.skeleton};\n", *map(_comment, [schedule] * bool(one.schedule) + [source])])


def _comment(text: str) -> str:
    return "".join(f"-- {visible(line)}\n" for line in re.split(r"\r\n|\r|\n", text))
