"""What came of all rounds of one kind, and the page that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.faults.record import Ended

_HEAD = """# Faults

```sh
# every fault with 20 seeds, 1,000 random kills: hours; it writes this page
make faults
# a smoke run
python -m bench.faults --seeds 2 --kills 20 --record smoke.jsonl --output smoke.md
# the faults whose name has this word; it writes no page
python -m bench.faults --only mysqld --record mysqld.jsonl
```

Rounds run side by side, each with servers of its own. Every round that has ended is a line in `faults.jsonl`;
the same command goes on where an earlier one was stopped, and without that file it begins anew.

Each round migrates 11 MB in some 40 chunks: tables with a number, a text or two columns as key, two without
a key (one of them with thousands of equal rows), foreign keys that cascade, generated columns. MySQL and
PostgreSQL are real and durable; a proxy stands before each. The fault comes when a random number of chunks
is done, in the middle of a COPY. A run that gives up is resumed with `converge migrate --resume`. Then the
judge of the tests, which shares no code with converge, compares all tables row by row: *lost* are rows that
only the source has, *doubled* rows that only the target has, second copies of a row included; *changed* are
values that differ. A round is *wrong* when the run did not end with success, not even after `--resume`, or
when a message of it was not true. The rows of wrong rounds are counted, too, although no run called them
verified. `tests/faults/` is the bounded form for every run of the tests.

Where something stands in the way (values, privileges, tables of others, rows without a parent), a round
begins with the refusal: it has to name everything, and to leave the target as it was. Then the fix that it
names is carried out, and everything has to arrive. A run that could not hold off a change of its tables has
to end and to name the table; it does not go on, though it stands under `after --resume` here.
Snapshots without a lock are of readers that begin one after another, and move no rows: each that is called
quiet has to be one.
A `sync` is killed while an application writes to the source, in half of the cases within its transaction.
After each kill the target's rows and catalog have to be those from before, or the transaction has to be in
the ledger; after ten, the application stops, and a last `sync` has to make both sides equal.
"""


def page(versions: str, kinds: Iterable[str], rounds: Sequence[Ended]) -> str:
    """docs/faults.md: a line for each kind of round, and the rounds that were not as they must be."""
    titles = (
        "rounds",
        "faults",
        "lost",
        "doubled",
        "changed",
        "ended by itself",
        "after `--resume`",
        "wrong",
    )
    lines = [_HEAD, f"{versions}:", "", f"| fault | {' | '.join(titles)} |", "|---|" + "--:|" * len(titles)]
    for kind in kinds:
        if ended := [one for one in rounds if one.kind == kind]:
            lines.append(f"| {kind} | {' | '.join(f'{count:,}' for count in _counts(ended))} |")
    if wrong := [one for one in rounds if one.wrong]:
        lines += ["", "## Wrong", ""]
        lines += [f"- {one.kind}, seed {one.seed}: {' '.join(one.wrong.split())[:300]}" for one in wrong]
    return "\n".join(lines) + "\n"


def _counts(ended: Sequence[Ended]) -> Iterable[int]:
    wrong = sum(bool(one.wrong) for one in ended)
    alone = sum(one.alone and not one.wrong for one in ended)
    yield len(ended)
    yield sum(one.injected for one in ended)
    yield sum(one.lost for one in ended)
    yield sum(one.doubled for one in ended)
    yield sum(one.changed for one in ended)
    yield alone
    yield len(ended) - alone - wrong
    yield wrong
