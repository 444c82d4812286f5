"""What is left to port by hand: routines, triggers and events with all that porting them takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from converge.model.catalog import RoutineKind

Hours = tuple[float, float]
"""From and to."""


@dataclass(frozen=True, slots=True)
class Work:
    """One rule of the estimate, and how often it counts: a construct of the text, or the text's length."""

    name: str
    count: int
    hours: Hours
    """Hours for each occurrence, from and to."""
    words: str
    """What becomes of it in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Port:
    """A routine, trigger or event that is not migrated."""

    kind: RoutineKind
    name: str
    signature: str
    """``pay(IN n int, OUT id int)``: of a trigger its time, event and table, of an event its schedule."""
    definer: str
    characteristics: str
    why: str
    """Why it is not migrated."""
    lines: int
    """Lines of its source, without empty ones."""
    work: tuple[Work, ...]
    source: str
    """Its CREATE statement in MySQL."""
    skeleton: str
    """Statements that make it in PostgreSQL with its whole signature; a call of it raises an error."""
    schedule: str = ""
    """The statement of an event that has pg_cron call it, or why there is none."""
    refused: str = ""
    """Why the target refuses the skeleton; empty where it does not, or was not asked."""


def hours(work: Iterable[Work]) -> Hours:
    """The sum of an estimate."""
    counted = [(one.count * one.hours[0], one.count * one.hours[1]) for one in work]
    least, most = (round(sum(side), 2) for side in (zip(*counted, strict=True) if counted else ((), ())))
    return least, most


def all_work(ports: Iterable[Port]) -> tuple[Work, ...]:
    """The rules that count, each once, with how often they do in all of these."""
    counts: Counter[Work] = Counter()
    for one in (one for port in ports for one in port.work):
        counts[Work(one.name, 0, one.hours, one.words)] += one.count
    return tuple(Work(one.name, count, one.hours, one.words) for one, count in counts.items())
