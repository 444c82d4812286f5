"""`sync`: the target of a finished run is made equal to the source again, by `run.repair`.

All rows are compared in a new snapshot, those that differ are replaced in one transaction, and the sums of
both sides are compared: of the target's rows those are digested that were written since, and all are counted.
So a verified target is never worse than before, whatever the source has come to hold.
"""

from __future__ import annotations

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.result import Result
from converge.postgres.following import require_not_cut_over
from converge.postgres.recorded import Unseen
from converge.run.attempt import MigrateOptions
from converge.run.blockers import check_source
from converge.run.compared import recorded_run
from converge.run.extend import extend
from converge.run.migrate import with_fixed_options
from converge.run.options import Options
from converge.run.prepare import prepare
from converge.run.repair import Repair
from converge.run.verify import verify


def sync(source: Endpoint, target: Endpoint, options: Options, emit: Sink, *, dry_run: bool) -> Result:
    """Brings the target up to date; with `dry_run` a note says how many rows would be replaced.

    In create mode tables that are new in the source are made, and come with the others; those that are gone
    are named. Raises UsageError where the ledger knows no run, or for options that are not the run's;
    BlockedError when the schema of other tables has changed since, or the run did not finish.
    """
    run = recorded_run(source, target, options)
    if isinstance(run, Unseen):
        message = f"nothing to bring up to date: {run.reason}"
        raise UsageError(message, code=Code.T010, hint="converge migrate")
    options = with_fixed_options(source, target, MigrateOptions(common=options, resume=True)).common
    with prepare(source, target, options, emit, as_recorded=True, resuming=True, first=check_source) as now:
        assert now.target is not None
        require_not_cut_over(now.target, run.plan.schema, run.plan.targets.values())
        # A new view or index is not in the run's plan, and would be left out in silence.
        extend(run, now, source, target, options, emit, dry_run=dry_run)
    repair = Repair(on_sql=(lambda _: None) if dry_run else None, catches_up=True)
    result = verify(source, target, options, "full", emit, repair=repair)
    result.command = "sync"
    return result
