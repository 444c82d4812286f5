"""All kinds of rounds that the long form makes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from faults import busy, refusals, rounds
from faults.every import FAULTS, MORE
from faults.own import kill_a_load
from faults.rounds import Round
from faults.syncs import kill_syncs

from bench.faults import wide

_KILLS_A_ROUND = 10


@dataclass(frozen=True)
class Kind:
    """A line of docs/faults.md."""

    name: str
    one: Round
    bound: str = "seeds"
    """The option that says how many rounds there are; `kills`, `syncs`: how many faults in all of them."""
    alone: bool = False
    """Whether nothing else may run beside it: what it shows is a rate."""


KINDS = (
    Kind(
        "snapshot while four writers commit",
        lambda servers, _, seed: busy.one_snapshot(servers, seed),
        "snapshots",
        alone=True,
    ),
    Kind(
        "40 snapshots without a lock, while one commits now and then",
        lambda servers, _, seed: busy.quiet_snapshots(servers, seed),
    ),
    *(Kind(fault.name, partial(rounds.one_fault, fault=fault)) for fault in (*FAULTS, *MORE)),
    *(
        Kind(f"source moved after a kill in phase {phase}", partial(rounds.source_moved, phase=phase))
        for phase in ("copy", "validate")
    ),
    Kind("full disk (53100)", rounds.full_disk),
    Kind("a table of the source is altered", busy.schema_changes),
    Kind("read lock behind a long query", busy.long_query),
    Kind("values that PostgreSQL cannot hold, by policy", refusals.policies),
    Kind("values that PostgreSQL cannot hold, as rejects; no file for them", refusals.rejects),
    Kind("rows without a parent", refusals.orphans),
    Kind("tables of others in the target", refusals.tables_of_others),
    Kind("rights missing on both sides; then a kill under the least rights", refusals.least_rights),
    Kind("two runs at once", refusals.two_runs),
    Kind("rows of up to 300 MB", wide.rows),
    Kind("random kills of all sorts", partial(rounds.random_kills, most=_KILLS_A_ROUND), "kills"),
    Kind("kill of `sync` while an application writes, then `sync`", kill_syncs, "syncs"),
    Kind("kill in load mode, then --resume or recover", kill_a_load, "loads"),
)
