"""What comes after a cutover, with the application at work: foreign keys are valid again, statistics are new.

It needs no source and may take its time, so it may be lost: with a server, or with the command. The ledger
has the certificate by then, and `converge cutover`, again, finishes what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import ConvergeError, Interrupted
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.recorded import Recorded
from converge.model.result import Result, TableResult
from converge.postgres.connect import connect
from converge.postgres.existing import read_existing
from converge.postgres.following import read_following
from converge.postgres.ledger import upgrade
from converge.postgres.lock import lock
from converge.postgres.made import changed_since, validate_keys
from converge.run.compared import recorded_run, require_whole
from converge.run.connections import explained
from converge.run.options import Options


def finished(
    source: Endpoint,
    target: Endpoint,
    options: Options,
    emit: Sink,
    result: Result,
    on_certificate: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Finishes what an earlier cutover of the run has left; its certificate, or {} where there was none.

    Raises BlockedError where tables of other runs were not cut over to by it.
    """
    run = recorded_run(source, target, options)
    if not isinstance(run, Recorded) or run.state != "finished":
        return {}
    with explained(source, target), connect(target) as there:
        lock(there, "cutover")
        upgrade(target)
        following = read_following(there, run.id)
        if following is None or not (certificate := following.certificate):
            return {}
        require_all_runs(run, options)
        with cut_over(certificate, source, target):
            on_certificate(certificate)
            finish(run, there, emit, result)
    result.tables = compared_tables(run.plan, certificate["proof"]["tables"])
    result.verdict = "verified"
    result.cut_over = certificate["at"]
    words = f"cut over at {result.cut_over}; nothing is compared anew"
    result.findings.append(Finding(Code.W014, "note", "target", words))
    return certificate


def require_all_runs(run: Recorded, options: Options) -> None:
    """Raises BlockedError where the schema has tables of other runs, and the options name no run."""
    hint = (
        "converge migrate --recreate --follow (in load mode: --truncate) makes all by one run; or "
        f"--run {run.id} cuts over to its tables alone, and sync --run brings the others"
    )
    require_whole(run, options, Code.W010, hint)


@contextmanager
def cut_over(certificate: dict[str, Any], source: Endpoint, target: Endpoint) -> Iterator[None]:
    """Add to an error that the cutover has happened."""
    try:
        with explained(source, target):
            yield
    except (ConvergeError, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            error = Interrupted("stopped", code=Code.R130)
        error.message = (
            f"the cutover was at {certificate['at']}: the application may start on the target; what comes "
            f"afterwards is not finished: {error.message}"
        )
        error.hint = "\n".join(filter(None, ("converge cutover, again, finishes it", error.hint)))
        raise error from None


def finish(run: Recorded, there: psycopg.Connection[Any], emit: Sink, result: Result) -> None:
    """With the application at work: foreign keys are valid again, statistics are new."""
    with phase(result, emit, "validate"):
        # A row without a parent came with the last epoch: `changed_since` names the key.
        validate_keys(there, run.plan, run.made)
    with phase(result, emit, "analyze"):
        for table in read_existing(there, run.plan.schema).tables:
            there.execute(f"ANALYZE {table.quoted}".encode())
    if run.made is not None:
        result.findings += changed_since(there, run.plan, run.made)


def compared_tables(plan: Plan, proven: Sequence[Mapping[str, Any]]) -> list[TableResult]:
    """Of the rolling proof's tables (`RollingProof.tables`), where they have been compared."""
    rows = {one["source"]: one["rows"] for one in proven if one["rows"] is not None}
    return [
        TableResult(
            one.source, f"{plan.schema}.{one.target}", rows_source=rows[one.source],
            rows_target=rows[one.source], verified=True,
        )
        for one in plan.tables if one.source in rows
    ]  # fmt: skip
