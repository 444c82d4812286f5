"""The library behind the command line, for programs: each command is a function with a typed result.

Addresses are URLs as the command line takes them, or `Endpoint`s. Nothing is read from the environment or
from `converge.toml`, nothing is printed, and errors are raised as `ConvergeError` with a code, a hint and an
exit code. Callbacks get the events of `converge.model.event`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from converge.codes import Code
from converge.errors import BlockedError as BlockedError
from converge.errors import ConvergeError as ConvergeError
from converge.errors import Interrupted as Interrupted
from converge.errors import SourceError as SourceError
from converge.errors import TargetError as TargetError
from converge.errors import UsageError as UsageError
from converge.errors import stopped
from converge.following.cutover import cutover as _cutover
from converge.following.follow import follow as _follow
from converge.following.follow import require_followable as _require_followable
from converge.following.window import Window as Window
from converge.merge import Merge as Merge
from converge.merge.compare import Shards
from converge.merge.compare import compare as _compare
from converge.merge.run import Merging
from converge.model.arguments import Within, checked
from converge.model.endpoint import Endpoint as Endpoint
from converge.model.endpoint import parse
from converge.model.event import Event as Event
from converge.model.event import silent
from converge.model.facts import Diagnosis as Diagnosis
from converge.model.finding import Finding as Finding
from converge.model.plan import Plan as Plan
from converge.model.recovery import Approve
from converge.model.recovery import Recovery as Recovery
from converge.model.recovery import Removal as Removal
from converge.model.result import Difference as Difference
from converge.model.result import Result as Result
from converge.model.result import Results as Results
from converge.model.result import TableResult as TableResult
from converge.planner.inputs import Selection as Selection
from converge.run.attempt import MigrateOptions as MigrateOptions
from converge.run.doctor import diagnose
from converge.run.many import Move as Move
from converge.run.many import migrate_several as _migrate_several
from converge.run.migrate import migrate as _migrate
from converge.run.options import Awaited as Awaited
from converge.run.options import Options as Options
from converge.run.prepare import prepare, since_last
from converge.run.proof import Tell
from converge.run.recover import recover as _recover
from converge.run.repair import Repair as Repair
from converge.run.sync import sync as _sync
from converge.run.throttle import Limits as Limits
from converge.run.verify import verify as _verify
from converge.settings.variables import of_kind

P = ParamSpec("P")
R = TypeVar("R")


def _public(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose arguments are checked, with Interrupted in place of KeyboardInterrupt."""
    call = checked(function)

    @wraps(function)
    def calling(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except KeyboardInterrupt:
            raise stopped(function.__name__) from None

    return calling


Address = str | Endpoint
"""``mysql://user:password@host:port/database`` or ``postgresql://…``."""


@_public
def doctor(source: Address | None, target: Address | None, options: Options | None = None) -> Diagnosis:
    """Looks at the sides that are named: versions, privileges, settings, disk space; writes nothing.

    With both sides also what blocks a plan without a scan: what the source's rows hold is left to `plan`.
    A side that cannot be reached is a finding. Raises UsageError for a map that cannot be read.
    """
    if source is None and target is None:
        raise UsageError("no source and no target is named", code=Code.U001)
    return diagnose(
        _source(source) if source else None, _target(target) if target else None, options or Options()
    )


@_public
def plan(
    source: Address,
    target: Address | None = None,
    options: Options | None = None,
    *,
    on_event: Callable[[Event], None] = silent,
) -> Plan:
    """What becomes of every object of the source, and why; writes nothing.

    Without a target it is planned for the newest PostgreSQL. What stands in the way of a run is in `blocks`.
    Raises ConvergeError when a side cannot be reached or lacks privileges.
    """
    with prepare(
        _source(source), _target(target) if target else None, options or Options(), on_event
    ) as prepared:
        return since_last(prepared, None)


@_public
def migrate(
    source: Address,
    target: Address,
    options: MigrateOptions | None = None,
    *,
    on_event: Callable[[Event], None] = silent,
    result: Result | None = None,
) -> Result:
    """Creates the schema, copies, builds indexes and compares; the result has verdict, tables and findings.

    Rows that differ are no error: look at `verdict`. Give a `result` of your own to read what is known of a
    run that raises. Raises BlockedError before anything is written, else SourceError, TargetError or
    Interrupted (on KeyboardInterrupt); the ledger then knows how to go on, with `resume` among the options.
    """
    here, there = _source(source), _target(target)
    result = Result("migrate", str(here), str(there)) if result is None else result
    _migrate(here, there, options or MigrateOptions(), on_event, result)
    return result


@_public
def sync(
    source: Address,
    target: Address,
    options: Options | None = None,
    *,
    dry_run: bool = False,
    on_event: Callable[[Event], None] = silent,
) -> Result:
    """Brings the target of a finished run up to date: rows that differ are replaced in one transaction.

    All rows are compared in a new snapshot of the source, before and after. Raises UsageError where there was
    no run, and BlockedError where the source's schema is another one. With `dry_run` nothing is written, and
    a note says how many rows would be replaced.
    """
    return _sync(_source(source), _target(target), options or Options(), on_event, dry_run=dry_run)


@_public
def require_followable(source: Address) -> None:
    """Raises SourceError where the source's log or its user's privileges do not let `follow` work."""
    _require_followable(_source(source))


@_public
def follow(
    source: Address,
    target: Address,
    options: Options | None = None,
    *,
    once: bool = False,
    interval: Annotated[float, Within(0)] = 1.0,
    prove_share: Annotated[float, Within(0, 1)] = 0.1,
    on_event: Callable[[Event], None] = silent,
    result: Result | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Result:
    """Keeps the target of a finished run equal to the source, by its binary log: every `interval` seconds the
    rows that have changed are replaced in one transaction, until KeyboardInterrupt, or until `stopped` is
    true after one of them, which raises Interrupted.

    In `prove_share` of that time rows are compared, a part of a table after the other: where some differ, it
    returns, and the result has them. With `once` it returns after the first time. Raises SourceError for what
    the log cannot tell, and BlockedError for tables that cannot be followed; the target stays as it is.
    """
    here, there = _source(source), _target(target)
    result = Result("follow", str(here), str(there)) if result is None else result
    _follow(
        here, there, options or Options(), on_event, once=once, interval=interval, prove_share=prove_share,
        result=result, stopped=stopped,
    )  # fmt: skip
    return result


@_public
def cutover(
    source: Address,
    target: Address,
    options: Options | None = None,
    window: Window | None = None,
    *,
    on_event: Callable[[Event], None] = silent,
    result: Result | None = None,
) -> dict[str, Any]:
    """Cuts over to a target that is followed; returns the certificate: {} where rows differ, or of a dry run.

    `result` has the comparison. Raises BlockedError where the window would be too long or the source does not
    stand still: then the target can be followed as before.
    """
    here, there = _source(source), _target(target)
    result = Result("cutover", str(here), str(there)) if result is None else result
    return _cutover(here, there, options or Options(), window or Window(), on_event, result)


@_public
def migrate_several(
    moves: Sequence[Move],
    *,
    parallel: Annotated[int, Within(1)] = 1,
    merges: Sequence[Merge] = (),
    on_event: Callable[[Event], None] = silent,
) -> Results:
    """Migrates several databases in their order; all are planned before any is written.

    With `parallel` so many at a time, in processes of their own: they share the jobs and the rate of their
    options, and their events come as `OfDatabase`. Each of `merges` then merges some of them into one schema.
    What came of each, an error too, is in the results.
    """
    if not moves:
        raise UsageError("no database is named", code=Code.U001)
    return _migrate_several(moves, on_event, parallel, [Merging(one) for one in merges])


@_public
def verify(
    source: Address,
    target: Address,
    options: Options | None = None,
    *,
    level: Literal["full", "counts"] = "full",
    on_event: Callable[[Event], None] = silent,
    on_differences: Tell | None = None,
    repair: Repair | None = None,
) -> Result:
    """Compares every row and column, and the target's schema; with the level ``counts`` only numbers of rows.

    By the plan that the ledger in the target keeps. `on_differences` gets all rows that differ, in lists; the
    result has the first of each table. With `repair` the rows that differ are replaced by the source's in one
    transaction, and all is compared again. Raises TargetError when no run has made the tables, and
    BlockedError for privileges that are missing, or for tables that cannot be repaired.
    """
    ends = _source(source), _target(target)
    return _verify(*ends, options or Options(), level, on_event, on_differences, repair)


@_public
def verify_merge(merge: Merge, shards: Shards, selection: Selection | None = None) -> Result:
    """Compares the rows of merged tables with those that the merge has proven, and says where the shards have
    changed since.

    `shards` has the source's address and the own schema of each shard, by its name.
    """
    return _compare(merge, shards, (selection or Selection()).takes)


@_public
def recover(
    target: Address,
    schema: str | None = None,
    *,
    on_event: Callable[[Event], None] = silent,
    approve: Approve | None = None,
) -> Recovery:
    """Rolls back a load that did not finish: its rows go, keys and triggers come back.

    `approve` is asked before rows are removed and may raise. May be stopped and called again. Raises
    BlockedError when another run is at work, TargetError when the catalog is not as it was before the load.
    """
    return _recover(_target(target), schema, on_event, approve)


@_public
def endpoint(url: str) -> Endpoint:
    """An address as `Move` and `Merge` take it. Raises UsageError."""
    return parse(url, origin="the address")


def _source(address: Address) -> Endpoint:
    return of_kind(parse(address, origin="the source") if isinstance(address, str) else address, "mysql")


def _target(address: Address) -> Endpoint:
    return of_kind(parse(address, origin="the target") if isinstance(address, str) else address, "postgres")
