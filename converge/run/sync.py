"""What `sync` would load: the chunks of the last run that the source no longer has as they are."""

from __future__ import annotations

from contextlib import ExitStack

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.plan import Finding
from converge.model.recorded import Recorded
from converge.model.result import Result
from converge.model.words import counted
from converge.postgres.ledger import Ledger
from converge.run import recheck
from converge.run.compared import compared
from converge.run.copy import by_table
from converge.run.options import Options
from converge.run.proof import take_snapshot
from converge.run.workers import Workers


def require_made(run: Recorded) -> None:
    """Raises UsageError for a run that has filled tables of the application."""
    if run.plan.mode == "load":
        raise UsageError(
            f"run {run.run} has loaded tables that the application made, and sync knows only its own",
            code=Code.U021,
            hint="converge verify --repair, or converge migrate --mode load --truncate",
        )


def preview(source: Endpoint, target: Endpoint, options: Options, emit: Sink) -> Result:
    """Compares each chunk of the last run with the source as it is now; writes nothing.

    Raises UsageError where the ledger knows no run.
    """
    result = Result("sync", str(source), str(target), verdict="ready")
    with ExitStack() as stack:
        workers = stack.enter_context(Workers(options.jobs))
        with phase(result, emit, "plan"):
            both = stack.enter_context(compared(source, target, options, emit))
        if both.run is None:
            raise UsageError(
                "the ledger knows no run of this source", code=Code.T010, hint="converge migrate"
            )
        require_made(both.run)
        result.source_version, result.target_version = both.catalog.version, both.facts.version
        workers.connect(source, target)
        then, _ = take_snapshot(
            both.source, both.catalog, both.plan, lambda: workers.everyone("begin"), result
        )
        done = [one for one in Ledger(both.target, both.run.run).chunks() if one.done]
        with phase(result, emit, recheck.PHASE, len(done)):
            still = both.run.position is not None and both.run.position == then.logs.position
            moved = {} if still else recheck.moved(workers, both.plan, by_table(done), emit)
    count = sum(map(len, moved.values()))
    message = f"compared: {counted(len(done), 'chunk')}; to be loaded again: {count}"
    listed = ", ".join(f"{table} {len(chunks)}" for table, chunks in moved.items() if chunks)
    result.findings += [*both.findings, Finding(Code.V002, "note", "source", message, evidence=listed)]
    return result
