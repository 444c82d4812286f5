"""`converge status`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
import psycopg

from converge.cli.many import look_at, merges_of, only, with_shards
from converge.cli.options import any_schema_option, output_options, target_options
from converge.cli.outputs import show
from converge.cli.watch import run_verdict, watch
from converge.merge.compare import stale
from converge.model.documents import head
from converge.model.event import Sink
from converge.model.words import counted
from converge.postgres.connect import connect
from converge.postgres.following import following_now
from converge.postgres.history import Move, last_run, last_verification, other_schema
from converge.postgres.lock import at_work, who
from converge.report.document import Verdict, facts
from converge.report.text import to_text
from converge.report.words import Tone, in_utc, proof_age
from converge.run.connections import explained
from converge.settings.addresses import Chosen, Where, databases, with_merged

_NEXT = dict.fromkeys(("interrupted", "failed"), "converge migrate --resume") | {
    "recovering": "converge recover"
}


@click.command("status")
@target_options
@any_schema_option
@click.option(
    "--watch",
    "watching",
    is_flag=True,
    help="show the run until it ends: progress, sessions, who waits for whom",
)
@click.option(
    "--interval", type=click.FloatRange(0.1), default=2, metavar="SECONDS", help="with --watch: how often"
)
@output_options
def command(where: Where, watching: bool, interval: float, as_json: bool, emit: Sink) -> int:
    """Show the state of the last run, from the ledger in the target.

    \b
    Examples:
      converge status
      converge status --watch
      converge status --json
    """
    if watching:
        one = only(databases(where, source="unused"), "--watch")
        run = watch(one.target, partial(_run, move=one.move), interval, as_json=as_json)
        return show(_document(run), _text(run), as_json=as_json)

    chosen = databases(where, source="unused")
    merges = merges_of(chosen)

    def look(one: Chosen) -> tuple[dict[str, Any], str]:
        with explained(one.target, one.target), connect(one.target) as connection:
            run = _run(connection, one.move)
            if run is not None and one in merges:
                run["out_of_date"] = stale(connection, *with_shards(one, merges[one]))
            missing = other_schema(connection, one.move) if run is None else ""
        return _document(run), _text(run, missing)

    return show(*look_at("status", with_merged(chosen), look, emit), as_json=as_json)


def _run(connection: psycopg.Connection[Any], move: Move | None) -> dict[str, Any] | None:
    run = last_run(connection, move)
    if run is not None:
        for key, full in ("verification", False), ("full_verification", True):
            found = last_verification(connection, run["id"], full=full, standing=not full)
            run[key] = found and {name: found[name] for name in ("at", "level", "verdict")}
        run["follow"] = following_now(connection, run["id"])
        run["at_work"] = at_work(connection)
    return run


def _document(run: dict[str, Any] | None) -> dict[str, Any]:
    return head("status", run_verdict(run) if run else "never run") | {"run": run}


def _text(run: dict[str, Any] | None, missing: str = "") -> str:
    """`missing` says where a run is that is not meant."""
    if run is None:
        return to_text(Verdict("never run", missing or "no converge run found in this target", "warn"))
    word = run_verdict(run)
    state = f"run {run['id']} is {run['state']}"
    tone: Tone = "good" if word in ("verified", "running") else "warn" if word == "migrated" else "bad"
    undone = run["state"] == "recovered"
    copied = f", {run['chunks_done']:,} of {counted(run['chunks'], 'chunk')} copied"
    return to_text(
        Verdict(word, f"{state}{' (rolled back): its rows are removed' if undone else copied}", tone),
        facts(
            ("source", run["source"]),
            ("schema", run["target_schema"]),
            ("snapshot", run["snapshot"] or "not taken"),
            ("began", in_utc(run["started_at"])),
            ("ended", in_utc(run["finished_at"]) if run["finished_at"] else "not yet"),
            ("rows", "" if undone else f"{run['rows']:,}"),
            *_verified(run),
            ("out of date", run.get("out_of_date", "")),
            ("at work", who(run["at_work"]) if run["at_work"] else ""),
            *_following(run["follow"], run["at_work"]),
            ("next", _NEXT.get(run["state"], "")),
        ),
    )


def _verified(run: dict[str, Any]) -> list[tuple[str, str]]:
    """The last comparison, and the one before it that has compared more."""
    last, full = run["verification"], run["full_verification"]
    shown = [one for one in (last, full if full != last else None) if one]
    return [("verify", f"{in_utc(one['at'])}: {one['verdict']}, level {one['level']}") for one in shown]


def _following(follow: dict[str, Any] | None, holder: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Up to where the source is followed; nothing where no epoch has been yet."""
    if follow is None or not follow["epoch"]:
        return []
    proof, cut = follow.get("proof"), follow["certificate"]
    lag = f"epoch {follow['epoch']:,} of {counted(follow['keys'], 'key')}, {follow['lag']:,.0f} s ago"
    lag += f"; {counted(follow['rows'], 'row')} replaced"
    if holder is None:
        lag = f"not at work: `converge follow` goes on; {lag}"
    return [
        ("follow", f"cut over at {in_utc(cut['at'])}" if cut else lag),
        ("proof", proof_age(proof) if proof else ""),
    ]
