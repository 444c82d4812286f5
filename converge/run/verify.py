"""`converge verify`: every row and column of both sides as they are now, and the schema that the run made."""

from __future__ import annotations

from contextlib import ExitStack

from converge.codes import Code
from converge.errors import TargetError, first_of
from converge.model.endpoint import Endpoint, same_server
from converge.model.event import Sink, phase
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.result import NotCompared, Result
from converge.model.words import said
from converge.mysql.chunks import cut
from converge.mysql.snapshot import Snapshot, hold_schema, read_identities
from converge.postgres.digest import Moment
from converge.postgres.following import certificate_of, note_start, read_following, require_not_cut_over
from converge.postgres.history import record_verification
from converge.postgres.lock import lock
from converge.postgres.made import changed_since, validate_keys
from converge.postgres.next_values import too_low, unread_sequences
from converge.postgres.saved import without_idle_merges
from converge.run.compared import Compared, compared, lost, not_migrated_here, unfinished
from converge.run.comparison import Comparison
from converge.run.options import RESUME, Options
from converge.run.proof import Tell, VerifyLevel
from converge.run.repair import Repair, carry_out, require_repairable
from converge.run.scope import Scope
from converge.run.snapshot import created, take_snapshot
from converge.run.throttle import Throttle
from converge.run.workers import Workers


def verify(
    source: Endpoint,
    target: Endpoint,
    options: Options,
    level: VerifyLevel,
    emit: Sink,
    tell: Tell | None = None,
    repair: Repair | None = None,
) -> Result:
    """Compares the two databases by the plan that the ledger keeps. Writes nothing but its ledger entry.

    `tell` gets every row that differs; the result has the first of each table. With `repair` these rows are
    replaced by the source's, and all is compared again; the result is of what there is then.

    Raises TargetError when no run has made the planned tables, and BlockedError for privileges that either
    role lacks or for a plan that is blocked.
    """
    result = Result("verify", str(source), str(target))
    with ExitStack() as stack:
        workers = stack.enter_context(Workers(options.jobs, emit))
        with phase(result, emit, "plan"):
            both = stack.enter_context(compared(source, target, options, emit))
            dry = repair is not None and repair.catches_up and repair.on_sql is not None
            if repair is not None:
                require_repairable(both, repair)
                if not dry:
                    _keep_others_out(both, "sync" if repair.catches_up else "verify")
            plan, scope = _scope(both, result, come=dry and both.plan.mode == "create")
        workers.connect(source, target)
        workers.throttle = throttle = Throttle(options.limits, both.source, emit)
        here, catalog = both.source, both.catalog
        then, require_schema = take_snapshot(here, catalog, plan, workers.everyone, result)
        result.findings += [one for one in created(here, catalog, scope.takes) if one.severity == "block"]
        position = both.run.position if both.run else None
        if not (repair and repair.catches_up) and (position is None or position != then.logs.position):
            moved = Finding(Code.V001, "note", "source", "the source may have changed since the migration")
            result.findings.insert(0, moved)
        hold_schema(here)
        ranges = {table.source: list(cut(here, table.extent)) for table in plan.tables}
        comparison = Comparison(
            both=both,
            plan=plan,
            workers=workers,
            ranges=ranges,
            level=level,
            result=result,
            emit=emit,
            require_schema=require_schema,
        )
        if repair is None:
            comparison.prove(tell)
        elif repair.catches_up:
            _catch_up(comparison, target, repair, then)
        else:
            _repair(comparison, target, repair, tell)
        result.findings += throttle.findings()
        if level == "full":
            _compare_schema(both, result)
        _judge(both, result)
        if repair is None or repair.on_sql is None:
            # What a sync has brought the target to is the run's source from now on.
            synced = repair is not None and repair.catches_up
            _record(source, both, level, scope.partly, result, synced=synced)
    return result


def _judge(both: Compared, result: Result) -> None:
    """The verdict by the findings, and the command that goes on."""
    if both.run is not None and both.run.state != "finished":
        result.next_command = RESUME
    if any(finding.severity == "block" for finding in result.findings):
        result.verdict = "differs"
    elif result.verdict == "verified" and any(one.code == Code.V124 for one in result.findings):
        result.verdict = "ready"
    if both.run is not None and (certificate := certificate_of(both.target, both.run.id)):
        words = f"cut over at {certificate['at']}: rows that the application has changed since then differ"
        result.findings.append(Finding(Code.W014, "note", "target", words))
        result.cut_over = certificate["at"]
    elif result.verdict == "differs" and any(one.unequal for one in result.tables):
        result.next_command = result.next_command or "converge verify --repair"


def _keep_others_out(both: Compared, command: str) -> None:
    """Before the snapshot: what an epoch of `follow` brings after it would be reverted, and its place in the
    log is a later one. Raises BlockedError for others at work, and after a cutover."""
    lock(both.target, command)
    require_not_cut_over(both.target, both.plan.schema, both.plan.targets.values())


def _repair(on: Comparison, target: Endpoint, repair: Repair, tell: Tell | None) -> None:
    """Compares, repairs the tables that differ, and compares again."""
    result = on.result
    known, uncompared = list(result.findings), list(result.not_compared)
    on.know(on.prove(tell).totals.values())
    suspects = {one.source: one.unequal for one in result.tables if one.unequal}
    if suspects or _numbers_too_low(on.both):
        found = carry_out(on, target, suspects, repair)
        if repair.on_sql is None and found:
            result.begin_again(found[0])
            result.findings, result.not_compared = known, uncompared
            on.prove()
        result.findings += found
        if extra := next((one.hint for one in found if one.code == Code.V119), ""):
            result.next_command = f"converge verify --repair {extra}"


def _numbers_too_low(both: Compared) -> bool:
    run = both.run
    return bool(run and run.made and any(too_low(both.target, run.plan, run.made)))


def _catch_up(on: Comparison, target: Endpoint, repair: Repair, then: Snapshot) -> None:
    """Repairs what differs of all tables, compares, and looks at the source once more."""
    tables = [table.target for table in on.plan.tables]
    on.since = Moment.now(on.both.target, on.plan.schema, tables)
    found = carry_out(on, target, dict.fromkeys(on.ranges, 0), repair)
    if repair.on_sql is None:
        on.prove().look_back(then)
        if run := on.both.run:
            # Epochs of `follow` have left them unchecked.
            validate_keys(on.both.target, run.plan, run.made)
        _note_place(on, then)
    elif found:
        on.result.verdict = "ready"
    else:
        on.prove()
    on.result.findings += found


def _note_place(on: Comparison, then: Snapshot) -> None:
    """Lets `converge follow` go on from the snapshot, which the target is equal to now."""
    both, names = on.both, [table.source for table in on.plan.tables]
    if both.run is not None and on.result.verdict == "verified" and len(names) == len(both.run.plan.tables):
        identities = read_identities(both.source, both.catalog.database, names)
        note_start(both.target, both.run.id, then.log, identities)


def _scope(both: Compared, result: Result, *, come: bool) -> tuple[Plan, Scope]:
    """The plan of what can be compared; what cannot, and by which plan, is in `result`. New tables may be to
    `come`."""
    if both.run is None:
        missing = [one.target for one in both.plan.tables if one.target not in both.facts.names]
        if missing:
            raise TargetError(
                said(len(missing), f"are not in the target schema {both.plan.schema}", "planned table"),
                code=Code.T012,
                details=first_of(missing, 20),
                hint="converge migrate",
            )
    scope = Scope(both)
    result.source_version, result.target_version = both.catalog.version, both.facts.version
    elsewhere = both.run.elsewhere if both.run else {}
    result.not_migrated = not_migrated_here(scope.whole, elsewhere)
    result.not_compared = list(scope.not_compared())
    result.findings = [
        *both.findings,
        # Equal rows are no proof of a target that lacks what comes after the copy.
        *unfinished(both.run, "block"),
        *lost(scope.whole, elsewhere),
        *scope.gone,
        *scope.new(result.not_compared, come=come),
    ]
    return without_idle_merges(both.target, scope.plan), scope


def _compare_schema(both: Compared, result: Result) -> None:
    """Whether the target's schema is still what the run has made."""
    run, version = both.run, both.facts.version
    if run is not None and run.state != "finished":
        why = f"run {run.id}, which makes it, is {run.state}: {RESUME} finishes it"
    elif run is None:
        why = "the ledger knows no run that has made it"
    elif run.made is None:
        why = f"run {run.id} was recorded by another version of converge, whose texts cannot be compared"
    elif run.plan.target_version.split(".")[0] != version.split(".")[0]:
        why = f"it was made on PostgreSQL {run.plan.target_version}, and this is {version}"
    else:
        following = read_following(both.target, run.id)
        result.findings += changed_since(both.target, run.plan, run.made, following)
        result.not_compared += [
            NotCompared("sequence", name, f"the role may not read {sequence}, so it may be too low: {grant}")
            for name, sequence, grant in unread_sequences(both.target, run.plan)
        ]
        return
    result.not_compared.append(NotCompared("schema", both.plan.schema, why))


def _record(
    source: Endpoint, both: Compared, level: VerifyLevel, partly: str | None, result: Result, *, synced: bool
) -> None:
    """The ledger's entry, where there is a run that it belongs to, and the role may write: whether it is of
    the run's own plan and source, so that it says something of the run."""
    if both.run is None:
        return
    plan = both.run.plan
    same = same_server(source, both.run.source)
    own = both.plan.digest == plan.digest and (synced or same)
    unequal = [
        one.source
        for one in result.tables
        if not (one.verified or (level == "counts" and one.rows_source == one.rows_target is not None))
    ]
    words, report = ", ".join(filter(None, (level, partly))), {**result.to_json(), "of_run": own}
    if why := record_verification(both.target, both.run.id, words, report, unequal):
        result.findings.append(Finding(Code.V116, "note", "ledger", f"no entry in the ledger: {why}"))
