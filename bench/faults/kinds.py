"""All kinds of rounds that the long form makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from faults import rounds
from faults.every import FAULTS, MORE
from faults.own import kill_a_load
from faults.rounds import Outcome, Pair

_KILLS_A_ROUND = 10

Round = Callable[[Pair, str, int], Outcome]
"""Servers, URL of the source, seed."""


@dataclass(frozen=True)
class Kind:
    """A line of docs/faults.md."""

    name: str
    one: Round
    bound: str = "seeds"
    """The option that says how many rounds there are; `kills`: how many faults in all rounds together."""
    alone: bool = False
    """Whether nothing else may run beside it: what it shows is a rate."""


KINDS = (
    Kind(
        "snapshot while four writers commit",
        lambda servers, _, seed: rounds.one_snapshot(servers, seed),
        "snapshots",
        alone=True,
    ),
    *(Kind(fault.name, partial(rounds.one_fault, fault=fault)) for fault in (*FAULTS, *MORE)),
    *(
        Kind(f"source moved after a kill in phase {phase}", partial(rounds.source_moved, phase=phase))
        for phase in ("copy", "validate")
    ),
    Kind("full disk (53100)", rounds.full_disk),
    Kind("kill in load mode, then --resume or recover", kill_a_load, "loads"),
    Kind("random kills of all sorts", partial(rounds.random_kills, most=_KILLS_A_ROUND), "kills"),
)
