"""The main job: plan, make, copy, finish, prove."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from converge.errors import BlockedError, ConvergeError, Interrupted
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Finding, Plan
from converge.model.quote import pg_name
from converge.model.result import Result
from converge.model.work import Copied, Range
from converge.mysql import snapshot
from converge.mysql.chunks import cut
from converge.phases.build import Builder
from converge.phases.copy import Copy
from converge.phases.crew import Crew
from converge.phases.explain import explained
from converge.phases.verify import VerifyLevel
from converge.pipeline.checks import check_plan, check_target, drop
from converge.pipeline.options import Options
from converge.pipeline.prepare import Prepared, prepare
from converge.pipeline.prove import prove
from converge.pipeline.timing import phase
from converge.postgres import ledger as ledgers
from converge.postgres.identity import set_next_values
from converge.postgres.ledger import Ledger


@dataclass(frozen=True, slots=True)
class MigrateOptions:
    common: Options = field(default_factory=Options)
    verify: VerifyLevel = "full"
    resume: bool = False
    truncate: bool = False
    expected_digest: str = ""
    """Of a plan that was reviewed before; empty when there is none."""


def migrate(source: Endpoint, target: Endpoint, options: MigrateOptions, emit: Sink) -> Result:
    """Runs the whole migration.

    Raises BlockedError before anything is written, SourceError, TargetError, and Interrupted when
    the user stopped it; the ledger then knows how to go on.
    """
    result = Result("migrate", str(source), str(target))
    with ExitStack() as stack:
        crew = stack.enter_context(Crew(options.common.jobs))
        with phase(result, emit, "plan"):
            may_exist = options.resume or options.truncate
            prepared = stack.enter_context(
                prepare(
                    source,
                    target,
                    options.common,
                    emit,
                    as_recorded=options.resume,
                    first=partial(check_target, may_exist=may_exist),
                )
            )
            assert prepared.target is not None
            check_plan(prepared.plan, expected_digest=options.expected_digest)
            ledgers.upgrade(target)
            evidence = prepared.inputs.evidence
            ledger = Ledger.open(prepared.target, prepared.plan, evidence, resume=options.resume)
        run = Run(prepared, ledger, source, target, options, emit, result)
        try:
            with explained(source, target):
                run.make_room()
                run.all(crew)
        except KeyboardInterrupt:
            ledger.set_state("interrupted", report=result.to_json())
            raise Interrupted("stopped; what is copied is kept", code="R130", hint=_resume()) from None
        except ConvergeError as error:
            result.findings.append(Finding(error.code, "block", "", error.message, error.hint or ""))
            _try_to_note(ledger, result)
            if not isinstance(error, BlockedError) and "--resume" not in (error.hint or ""):
                error.hint = f"{error.hint}; then {_resume()}" if error.hint else _resume()
            raise
        ledger.set_state("finished", report=result.to_json())
    return result


class Run:
    """One run's parts, and its phases in their order."""

    def __init__(
        self,
        prepared: Prepared,
        ledger: Ledger,
        source: Endpoint,
        target: Endpoint,
        options: MigrateOptions,
        emit: Sink,
        result: Result,
    ) -> None:
        self.prepared = prepared
        self.plan: Plan = prepared.plan
        self.ledger = ledger
        self.source = source
        self.target = target
        self.options = options
        self.emit = emit
        self.result = result
        self.copy = Copy(self.plan, ledger)

    def make_room(self) -> None:
        """The target schema, without what --truncate removes."""
        assert self.prepared.target is not None
        if self.options.truncate and not self.options.resume:
            drop(self.prepared.target, self.plan)
        if not self.plan.schema_exists:
            self.prepared.target.execute(f"CREATE SCHEMA {pg_name(self.plan.schema)}".encode())

    def all(self, crew: Crew) -> None:
        """All phases after the plan."""
        plan, result = self.plan, self.result
        result.findings = list(plan.findings)
        result.not_migrated = [outcome for outcome in plan.outcomes if outcome.state == "not migrated"]
        result.source_version, result.target_version = plan.source_version, plan.target_version
        with Builder(plan, self.ledger, self.target, self.options.common.jobs, self.emit) as builder:
            with phase(result, self.emit, "create", builder.count("shared", "create", "view")):
                builder.in_order("shared", "create", "view")
                ranges = self._ranges()
            crew.connect(self.source, self.target)
            with phase(result, self.emit, "snapshot"):
                tables = [table.source for table in plan.tables]
                result.snapshot = snapshot.take(self.prepared.source, tables, lambda: crew.everyone("begin"))
                self.ledger.set_state("running", snapshot=result.snapshot)
            with phase(result, self.emit, "copy"):
                self._copy(crew, builder)
            with phase(result, self.emit, "index", builder.pending()):
                builder.finish()
            with phase(
                result, self.emit, "finish", builder.count("foreign key", "validate", "finish", "analyze")
            ):
                builder.in_order("foreign key")
                builder.side_by_side("validate", "finish", "analyze")
                assert self.prepared.target is not None
                set_next_values(self.prepared.target, plan)
            result.findings += builder.findings
            result.tables = list(self.copy.results.values())
            assert self.prepared.target is not None
            level = self.options.verify
            prove(plan, crew, self.prepared.target, ranges, level, self.copy.results, result, self.emit)
            result.next_command = "" if result.verdict == "verified" else "converge verify"

    def _ranges(self) -> dict[str, list[Range]]:
        """The chunks of every table: from the ledger, or cut now and entered there."""
        known = self.ledger.chunks()
        if not known:
            cuts = {table.source: list(cut(self.prepared.source, table)) for table in self.plan.tables}
            self.ledger.add_chunks(
                (table, number, part) for table, parts in cuts.items() for number, part in enumerate(parts)
            )
            return cuts
        earlier = sum(chunk.rows is not None for chunk in known)
        if earlier:
            self.result.findings.append(_earlier_snapshot(earlier))
        ranges: dict[str, list[Range]] = {table.source: [] for table in self.plan.tables}
        for chunk in known:
            ranges[chunk.table].append(chunk.part)
        return ranges

    def _copy(self, crew: Crew, builder: Builder) -> None:
        try:
            self.copy.run(crew, self.emit, lambda table: builder.begin("index", table), builder.look)
        except KeyboardInterrupt:
            for done in crew.settle():
                if isinstance(done, Copied):
                    self.copy.count(done)
            self.result.tables = list(self.copy.results.values())
            raise


def _earlier_snapshot(chunks: int) -> Finding:
    return Finding(
        "V002",
        "note",
        "source",
        f"{chunks} chunks were copied under an earlier snapshot; only the full comparison shows whether the "
        "source has moved since",
    )


def _try_to_note(ledger: Ledger, result: Result) -> None:
    """The state of a failed run, where the ledger's connection still lives; a dead one says it all."""
    if not ledger.connection.closed and not ledger.connection.broken:
        ledger.set_state("failed", report=result.to_json())


def _resume() -> str:
    return "converge migrate --resume"
