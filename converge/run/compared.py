"""By which plan two databases are compared: the run's, as the ledger keeps it, or one of other options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, TargetError, UsageError, first_of, listed
from converge.mapping.read import load_documents
from converge.model.catalog import Catalog
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.finding import Finding, Severity
from converge.model.plan import Outcome, Plan
from converge.model.recorded import Recorded
from converge.model.words import counted, said
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.privileges import missing_select, read_privileges
from converge.planner.inputs import Selection, require_matches
from converge.postgres.connect import connect
from converge.postgres.recorded import Unseen, last_recorded
from converge.postgres.target import Target, ledger_tables, read_target
from converge.run.blockers import blocked, check_source, require_privileges
from converge.run.connections import explained, reach
from converge.run.options import RESUME, Options
from converge.run.prepare import prepare, require_tables

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Compared:
    """Open connections, and the plan by which both sides are compared."""

    source: WatchedConnection
    target: psycopg.Connection[Any]
    facts: Target
    catalog: Catalog
    """The source as it is now."""
    plan: Plan
    takes: Callable[[str], bool]
    """Whether a table of this name, which is new in the source, is meant, by the maps and the options."""
    run: Recorded | None
    """The run that the target is compared with; None where the ledger knows of none."""
    findings: tuple[Finding, ...]
    """By which plan, and which options of the command line are others than the run's."""


def recorded_run(source: Endpoint, target: Endpoint, options: Options) -> Recorded | Unseen:
    """The run that these options mean, or why there is none to be seen.

    Raises UsageError for --run alone, also where no table is that run's any more.
    """
    with explained(source, target), connect(target) as connection:
        schema = options.schema if "schema" in options.given else None
        run = last_recorded(connection, source, schema, options.run)
    if isinstance(run, Unseen):
        if options.run is not None:
            raise UsageError(run.reason, code=Code.T010, hint="converge status shows the last run")
        return run
    # A table that this run would have taken, had it been there, is no earlier run's any more.
    takes = _takes(run)
    elsewhere = {name: other for name, other in run.elsewhere.items() if other > run.id or not takes(name)}
    run = replace(run, elsewhere=elsewhere)
    if run.plan.targets and not run.own:
        message = f"later runs have made all tables of run {run.id} again"
        raise UsageError(message, code=Code.T010, hint="leave out --run")
    return run


def _takes(run: Recorded, *others: Selection) -> Callable[[str], bool]:
    """Whether the run's maps, its --include and --exclude, and other selections mean a table of a name."""
    map_ = load_documents(run.options.documents)
    selections = Selection(run.options.include, run.options.exclude), *others
    return lambda name: not map_.skips(name) and all(one.takes(name) for one in selections)


@contextmanager
def compared(source: Endpoint, target: Endpoint, options: Options, emit: Sink) -> Iterator[Compared]:
    """Connects, and takes the run's plan; makes one where there is none, or where other maps are given.

    Raises BlockedError for privileges that the source's user lacks, and for a plan that is blocked. An error
    of a plan that was made anew says why it is not the run's.
    """
    with ExitStack() as stack:
        stack.enter_context(explained(source, target))
        run = recorded_run(source, target, options)
        if isinstance(run, Recorded) and not (others := other_options(run, options, ("mode", "maps"))):
            yield _by_run(source, target, run, options, stack)
            return
        if isinstance(run, Recorded):
            options = options.as_in(run.options)
            words = ", ".join(f"{given} in place of {was}" for was, given in others)
            note = Finding(Code.V114, "note", "plan", f"planned anew: not as run {run.id}: {words}")
        else:
            note = run.finding
            stack.enter_context(_explaining(note))
        same_mode = not isinstance(run, Recorded) or run.options.mode == options.mode
        prepared = stack.enter_context(
            prepare(
                source,
                target,
                options,
                emit,
                as_recorded=same_mode,
                resuming=True,
                first=check_source,
            )
        )
        assert prepared.target is not None and prepared.inputs.facts is not None
        if not isinstance(run, Recorded) or options.given & {"include", "exclude"}:
            require_tables(prepared.inputs)
        names = prepared.inputs.facts.names
        if not (ledger_tables(prepared.target) or any(one.target in names for one in prepared.plan.tables)):
            raise TargetError("no converge run found in this target", code=Code.T012, hint="converge migrate")
        # Who only compares needs no privileges to write.
        if blocks := [one for one in prepared.plan.blocks if one not in prepared.inputs.lacking]:
            raise blocked(blocks)
        yield Compared(
            prepared.source, prepared.target, prepared.inputs.facts, prepared.inputs.catalog, prepared.plan,
            prepared.inputs.takes, run if isinstance(run, Recorded) else None, (note,),
        )  # fmt: skip


def _by_run(
    source: Endpoint, target: Endpoint, run: Recorded, options: Options, stack: ExitStack
) -> Compared:
    here, there = reach(source, target, stack)
    assert there is not None
    own = read_privileges(here, source.database)
    catalog = read_catalog(here, own)
    known = [table.name for table in catalog.tables]
    require_privileges(missing_select(own, known, Selection(run.options.include, run.options.exclude).names))
    notes = [(Code.V110, f"compared by the plan of run {run.id}, which began {run.started}", "")]
    if run.source != str(source):
        notes.append((Code.V114, f"run {run.id} is of {run.source}; this is {source}", ""))
    plan, takes = narrowed(run.plan, run.own), _takes(run)
    if options.given & {"include", "exclude"}:
        plan, takes = _selected(plan, known, options.selection), _takes(run, options.selection)
        if len(plan.tables) < len(run.plan.tables):
            words = said(len(plan.tables), "are compared", "table", of=f"the run's {len(run.plan.tables):,}")
            words = f"only {words}"
            notes.append((Code.V114, words, ""))
    return Compared(
        here, there, read_target(there, plan.schema), catalog, replace(plan, source=str(source)), takes, run,
        (*(Finding(code, "note", "plan", message, hint) for code, message, hint in notes), *others_of(run)),
    )  # fmt: skip


def unfinished(run: Recorded | None, severity: Severity) -> list[Finding]:
    """Findings that say that the run did not finish: keys, indexes and sequences may be missing or set
    aside."""
    if run is None or run.state == "finished":
        return []
    message = f"run {run.id} is {run.state}: {RESUME} finishes it"
    return [Finding(Code.V114, severity, "plan", message, RESUME)]


def others_of(run: Recorded, names: Set[str] = frozenset()) -> Iterator[Finding]:
    """Findings that say which tables of the same schema are other runs', and that the source does not have
    `names` any more."""
    if names:
        gone = listed(sorted(names), _SHOWN)
        message = said(len(names), f"are no longer in the source, and left out here: {gone}", "table")
        yield Finding(Code.V114, "note", "plan", message)
    for other, count in sorted(Counter(run.elsewhere.values()).items()):
        message = said(count, f"are of run {other} and not of run {run.id}: left out here", "table")
        yield Finding(Code.V114, "note", "plan", message, f"--run {other}")


def require_whole(run: Recorded, options: Options, code: Code, hint: str) -> None:
    """Raises BlockedError where other runs have made tables of the schema, and the options name no run: these
    tables would be left out."""
    if run.elsewhere and options.run is None:
        others = [f"{name}: run {other}" for name, other in sorted(run.elsewhere.items())]
        raise BlockedError(
            f"{counted(len(others), 'table')} of other runs would be left out",
            code=code,
            details=first_of(others, _SHOWN),
            hint=hint,
        )


def lost(plan: Plan, elsewhere: Container[str]) -> list[Finding]:
    """What the plan loses; what it has left out, and another run has migrated, is not lost."""
    return [one for one in plan.findings if one.severity == "lossy" and one.object not in elsewhere]


def not_migrated_here(plan: Plan, elsewhere: Container[str]) -> list[Outcome]:
    """The objects that no run has migrated."""
    return [one for one in plan.not_migrated if one.name not in elsewhere]


def other_options(run: Recorded, options: Options, names: Iterable[str]) -> list[tuple[str, str]]:
    """In words: named options as the run had them and as the command line gives them, where they differ."""
    was, given = run.options, options.recorded
    others = []
    for name in options.given.intersection(names):
        if name == "maps":
            same = [one for _, one in given.documents] == [one for _, one in was.documents]
        else:
            same = getattr(given, name) == getattr(was, name)
        if not same:
            before, after = _option(name, getattr(was, name)), _option(name, getattr(given, name))
            others.append((before, f"{after}, whose content has changed" if after == before else after))
    return sorted(others)


def _option(name: str, value: str | tuple[str, ...]) -> str:
    word = "--map" if name == "maps" else f"--{name}"
    values = (value,) if isinstance(value, str) else value
    return " ".join(f"{word} {one}" for one in values) or f"no {word}"


@contextmanager
def _explaining(note: Finding) -> Iterator[None]:
    """What stops a comparison may come of options that are not the run's."""
    try:
        yield
    except (BlockedError, TargetError) as error:
        if isinstance(error, BlockedError) or error.code == Code.T012:
            error.details = (f"{note.code} {note.message}", *error.details)
            error.hint = "\n".join(filter(None, (note.hint, error.hint))) or None
        raise


def _selected(plan: Plan, known: list[str], selection: Selection) -> Plan:
    """The plan of these tables only. Raises UsageError where none is left."""
    require_matches(selection, [*known, *(table.source for table in plan.tables)])
    names = {table.source for table in plan.tables if selection.takes(table.source)}
    if not names:
        raise UsageError(
            "the run's plan has none of these tables",
            code=Code.U010,
            hint="leave out --include and --exclude",
        )
    return narrowed(plan, names)


def narrowed(plan: Plan, names: Set[str]) -> Plan:
    """The plan of these source tables, and of the views and indexes that read no others."""
    return replace(
        plan,
        tables=tuple(table for table in plan.tables if table.source in names),
        identities=tuple(one for one in plan.identities if one.table in names),
        computed=tuple(one for one in plan.computed if {*one.reads, one.table} - {""} <= names),
    )
