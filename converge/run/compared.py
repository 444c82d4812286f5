"""By which plan two databases are compared: the run's, as the ledger keeps it, or one of other options."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, TargetError, UsageError, first_of
from converge.mapping.read import load_documents
from converge.model.catalog import Catalog
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.finding import Finding, Severity
from converge.model.plan import Outcome, Plan
from converge.model.recorded import Recorded
from converge.model.result import NotCompared
from converge.model.table_plan import TablePlan
from converge.model.words import counted, said
from converge.mysql.catalog import read_catalog
from converge.mysql.connect import WatchedConnection
from converge.mysql.privileges import missing_select, read_privileges
from converge.planner.inputs import Selection, require_matches
from converge.postgres.connect import connect
from converge.postgres.digest import no_digest
from converge.postgres.privileges import require_readable
from converge.postgres.query import rows
from converge.postgres.recorded import last_recorded
from converge.postgres.target import Target, ledger_tables, read_target
from converge.run.blockers import blocked, check_source, require_privileges
from converge.run.connections import explained, reach
from converge.run.options import RESUME, Options
from converge.run.prepare import prepare, require_tables

_SHOWN = 20
_NEW = "the plan does not have it: new since then"


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


def recorded_run(source: Endpoint, target: Endpoint, options: Options) -> Recorded | Finding:
    """The run that these options mean, or why there is none to be seen.

    Raises UsageError for --run alone, also where no table is that run's any more.
    """
    with explained(source, target), connect(target) as connection:
        schema = options.schema if "schema" in options.given else None
        run = last_recorded(connection, source, schema, options.run)
    if options.run is not None and not isinstance(run, Recorded):
        why = run.message.partition(": ")[2]
        raise UsageError(why, code=Code.T010, hint="converge status shows the last run")
    if not isinstance(run, Recorded):
        return run
    # A table that this run would have taken, had it been there, is no earlier run's any more.
    takes = _takes(run)
    elsewhere = {name: other for name, other in run.elsewhere.items() if other > run.run or not takes(name)}
    run = replace(run, elsewhere=elsewhere)
    if run.plan.targets and not run.own:
        message = f"later runs have made all tables of run {run.run} again"
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
            note = Finding(Code.V114, "note", "plan", f"planned anew: not as run {run.run}: {words}")
        else:
            note = run
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
    notes = [(Code.V110, f"compared by the plan of run {run.run}, which began {run.started}", "")]
    if run.source != str(source):
        notes.append((Code.V114, f"run {run.run} is of {run.source}; this is {source}", ""))
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
    """That the run did not finish: keys, indexes and sequences may be missing, or set aside."""
    if run is None or run.state == "finished":
        return []
    message = f"run {run.run} is {run.state}: {RESUME} finishes it"
    return [Finding(Code.V114, severity, "plan", message, RESUME)]


def others_of(run: Recorded, names: Set[str] = frozenset()) -> Iterator[Finding]:
    """That tables of the same schema are other runs', and that the source does not have `names` any more."""
    if names:
        listed = ", ".join(first_of(sorted(names), _SHOWN))
        message = said(len(names), f"are no longer in the source, and left out here: {listed}", "table")
        yield Finding(Code.V114, "note", "plan", message)
    for other, count in sorted(Counter(run.elsewhere.values()).items()):
        message = said(count, f"are of run {other} and not of run {run.run}: left out here", "table")
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


class Scope:
    """What of a plan is compared: what both sides still have as planned.

    Raises BlockedError when the role may not read all of it.
    """

    def __init__(self, both: Compared) -> None:
        self._both = both
        self._made = both.run.made if both.run else None
        self.whole = both.run.plan if both.run else both.plan
        """Of the run, also where only some of its tables are meant."""
        self._here = {table.name: {one.name for one in table.columns} for table in both.catalog.tables}
        # Each column's type, and its name in the catalog's texts.
        self._there: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for table, column, type_, name in rows(both.target, "table_columns", schema=both.plan.schema):
            self._there[table][column] = type_, name
        self._hiding = {name for (name,) in rows(both.target, "row_security", schema=both.plan.schema)}
        reasons = {table.source: why for table in both.plan.tables if (why := self._reason(table))}
        there = [table for table in both.plan.tables if table.source not in reasons]
        require_readable(both.target, both.facts, [table.target for table in there])
        if both.run is None:
            message = "its types in the target are not as planned ({}); --mode load plans by the target's"
            reasons |= {
                table.source: message.format(why)
                for table in there if (why := no_digest(both.target, both.plan.schema, table))
            }  # fmt: skip
        self.plan = narrowed(both.plan, {table.source for table in both.plan.tables} - reasons.keys())
        self.gone = [
            Finding(Code.V115, "block", name, f"cannot be compared: {why}") for name, why in reasons.items()
        ]

    def _reason(self, table: TablePlan) -> str:
        """Why the table cannot be compared; empty where it can."""
        here, there = self._here.get(table.source), self._there.get(table.target)
        if here is None:
            return "the source no longer has the table"
        if there is None:
            has = "no longer has" if self._made else "does not have"
            return f"the target {has} the table {table.target}"
        for column in table.columns:
            if column.source not in here:
                return f"the source no longer has the column {column.source}"
            if column.target not in there:
                return f"the target no longer has the column {column.target}"
            kind, name = there[column.target]
            text = self._made.objects.get(name, "{}") if self._made else "{}"
            if (was := json.loads(text).get("type", kind)) != kind:
                return f"{column.target} of the target was {was} and is {kind}"
        if table.target in self._hiding:
            role = self._both.facts.role
            return f"row security may hide rows from the role {role}; one with BYPASSRLS sees all"
        return ""

    def new(self, left_out: Sequence[NotCompared], *, come: bool) -> list[Finding]:
        """Tables and columns that the source did not have when the run was planned: a finding for each, which
        is a note for tables that are to `come`.

        Where only some tables are meant, nobody has asked for new ones.
        """
        found, estimates = [], {one.name: one.rows_estimate for one in self._both.catalog.tables}
        for one in left_out if self.partly is None else ():
            words = f"the source has this {one.kind}, and the run did not"
            if come and one.kind == "table" and one.why == _NEW:
                rows = counted(estimates.get(one.name, 0), "row")
                words = f"{one.name} is new: sync plans, makes and fills it, {rows} by the source's estimate"
                found.append(Finding(Code.V124, "note", one.name, words))
            elif one.why.startswith(_NEW):
                found.append(Finding(Code.V124, "block", one.name, words))
        return found

    def takes(self, name: str) -> bool:
        """Whether a table of this name, which is new, is meant."""
        return self.partly is None and self._both.takes(name)

    @property
    def partly(self) -> str | None:
        """How many of the run's tables are meant, in words; None where all are."""
        count, of = len(self._both.plan.tables), len(self.whole.tables)
        return None if count == of else f"{count:,} of {counted(of, 'table')}"

    def not_compared(self) -> Iterator[NotCompared]:
        """Tables and columns of both sides that are left out."""
        known = {(one.kind, one.name): one.why for one in self.whole.outcomes}
        elsewhere = self._both.run.elsewhere if self._both.run else {}
        for name, run in elsewhere.items():
            known["table", name] = f"run {run} has migrated it: --run {run}"
        compared = {table.source: table for table in self.plan.tables}
        planned = {table.source for table in self.whole.tables}
        free = {name.lower() for name in self._there} - {table.target.lower() for table in self.whole.tables}
        for name, columns in self._here.items():
            if table := compared.get(name):
                for column in sorted(columns - {one.source for one in table.columns}):
                    full = f"{name}.{column}"
                    yield NotCompared("column", full, known.get(("column", full), _NEW))
                others = self._there[table.target].keys() - {one.target for one in table.columns}
                for column in sorted(others):
                    yield NotCompared("column", f"{name}.{column}", "only the target has it")
            elif name in planned:
                why = known.get(("table", name), "left out of this comparison")
                yield NotCompared("table", name, why)
            else:
                left_out = "the maps or options leave it out"
                why = known.get(("table", name), _NEW if self._both.takes(name) else left_out)
                if name.lower() in free and name not in elsewhere:
                    why += "; the target has a table of this name, too"
                yield NotCompared("table", name, why)
        for one in self.whole.computed:
            if one not in self.plan.computed:
                yield NotCompared(one.kind, one.source, "it reads a table that is not compared")
