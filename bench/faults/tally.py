"""What came of all rounds of one kind, and the page that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from faults.rounds import Outcome

_HEAD = """# Faults

    make faults                                     # every fault with 20 seeds, 1,000 random kills: hours
    python -m bench.faults --seeds 2 --kills 20     # a smoke run
    python -m bench.faults --only mysqld            # the faults whose name has this word

Each round migrates 22 MB in some 40 chunks: tables with a number, a text or two columns as key, two without
a key (one of them with thousands of equal rows), foreign keys that cascade, generated columns. MySQL and
PostgreSQL are real and durable; a proxy stands before each. The fault comes when a random number of chunks
is done, in the middle of a COPY. A run that gives up is resumed with `converge migrate --resume`. Then the
judge of the tests, which shares no code with converge, compares all tables row by row: *lost* are rows that
only the source has, *doubled* rows that only the target has, second copies of a row included; *changed* are
values that differ. A round is *wrong* when it did not end well after all, or said what is not so; its rows
count too, although no run called them verified. `tests/test_faults.py` is the bounded form for every run of
the tests.
"""


@dataclass
class Tally:
    """A line of the page. `wrong` has the rounds that were not as they must be, with their seeds."""

    fault: str
    rounds: int = 0
    injected: int = 0
    lost: int = 0
    doubled: int = 0
    changed: int = 0
    alone: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, seed: int) -> None:
        self.rounds += 1
        self.injected += outcome.injected
        self.lost += outcome.verdict.lost
        self.doubled += outcome.verdict.doubled
        self.changed += outcome.verdict.changed
        if outcome.wrong:
            self.wrong.append(f"{self.fault}, seed {seed}: {outcome.wrong}")
        else:
            self.alone += outcome.alone

    def fail(self, seed: int, why: str) -> None:
        """A round that did not come to its end."""
        self.rounds += 1
        self.wrong.append(f"{self.fault}, seed {seed}: {why}")

    @property
    def line(self) -> str:
        resumed = self.rounds - self.alone - len(self.wrong)
        counts = (self.rounds, self.injected, self.lost, self.doubled, self.changed)
        cells = (*counts, self.alone, resumed, len(self.wrong))
        return f"| {self.fault} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


def page(versions: str, tallies: Sequence[Tally]) -> str:
    """docs/faults.md."""
    head = (
        "| fault | rounds | faults | lost | doubled | changed | ended by itself | after `--resume` | wrong |"
    )
    lines = [_HEAD, f"{versions}:", "", head, "|---|" + "--:|" * 8, *(tally.line for tally in tallies)]
    wrong = [f"- {' '.join(one.split())[:300]}" for tally in tallies for one in tally.wrong]
    if wrong:
        lines += ["", "## Wrong", "", *wrong]
    return "\n".join(lines) + "\n"
