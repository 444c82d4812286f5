"""One attempt of a run: its parts, and its phases in their order."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from converge.codes import Code
from converge.errors import START_AGAIN, TargetError, first_of
from converge.model.arguments import Checked, Within
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.evidence import Evidence
from converge.model.existing import Existing
from converge.model.extent import Range
from converge.model.finding import Finding
from converge.model.plan import Phase, Plan
from converge.model.quote import pg_name
from converge.model.recovery import Approve
from converge.model.result import Result
from converge.model.words import counted, said
from converge.model.work import Copied
from converge.mysql.chunks import cut
from converge.mysql.definitions import counter_values, next_values
from converge.mysql.snapshot import Snapshot, hold_schema, read_identities
from converge.postgres.catalog import shape_now
from converge.postgres.following import note_start
from converge.postgres.history import missing_tables
from converge.postgres.ledger import Ledger
from converge.postgres.made import Record, changed_since
from converge.postgres.next_values import record_next_values, set_next_values
from converge.postgres.recorded import record_there
from converge.postgres.saved import has_kept, kept_table, saved_table
from converge.run import recheck
from converge.run.blockers import drop, drop_left_over, empty
from converge.run.build import Builder
from converge.run.copy import Copy, by_table
from converge.run.options import RESUME, Awaited, Options
from converge.run.prepare import Prepared
from converge.run.proof import Proof, VerifyLevel
from converge.run.recheck import Chunks
from converge.run.recover import shape_findings
from converge.run.snapshot import created, held_still, take_snapshot
from converge.run.throttle import Throttle
from converge.run.workers import Workers

if TYPE_CHECKING:
    from converge.revisions.folder import Folder
else:
    Folder = Any  # and not Alembic, which takes half a second


_FINISHING: tuple[Phase, ...] = (
    "merge", "foreign key", "validate", "finish", "trigger", "refresh", "analyze", "after finish",
)  # fmt: skip
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class MigrateOptions(Checked):
    common: Options = field(default_factory=Options)
    verify: VerifyLevel = "full"
    resume: bool = False
    approve: Approve | None = None
    """Asked before --recreate or --truncate removes anything; None where nobody needs to be asked."""
    most_rejects: Annotated[int, Within(0)] = 0
    """Rows that the target may refuse in all; with 0 the first one stops the run."""
    expected: Plan | None = None
    """A plan that was reviewed before: where another one is made, nothing is written."""
    alembic: Folder | None = None
    """Whose revisions the target is brought to in the end."""
    known: Evidence | None = None
    """What the plan of all databases has seen of this one's data already."""
    awaited: Awaited = field(default_factory=Awaited)
    thrown_away: bool = False
    """The target is dropped in the end: a run that fails there is neither resumed nor taken back."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done, and who hears of it: the same for all attempts."""

    source: Endpoint
    target: Endpoint
    options: MigrateOptions
    emit: Sink
    result: Result


class Run:
    """One attempt. What it has done is in the ledger; what it has to say, in the job's result."""

    def __init__(self, job: Job, prepared: Prepared, ledger: Ledger) -> None:
        assert prepared.target is not None
        self.job = job
        self.prepared = prepared
        self.postgres = prepared.target
        self.plan: Plan = prepared.plan
        self.ledger = ledger
        self.emit = job.emit
        self.result = job.result
        self.numbers: dict[str, int] = {}
        self.counters: dict[str, int] = {}
        """The source's AUTO_INCREMENT values after the snapshot."""
        self.added: Set[str] = frozenset()
        """Source tables that `sync` or `follow` have given the run when it had finished. They fill them, and
        may have been stopped before."""
        common = job.options.common
        self._record: Record | None = None
        """Of the schema that is made; None before the run has looked at what is there."""
        self.copy = Copy(self.plan, ledger, job.emit, job.options.most_rejects)
        self.throttle = Throttle(common.limits, prepared.source, job.emit, ledger.paused)

    @property
    def settings(self) -> dict[str, str]:
        """Of the workers' sessions in the target."""
        return {} if self.plan.compression == "default" else {"default_toast_compression": "lz4"}

    def require_tables(self) -> None:
        """Raises TargetError where a table that the run has made, or that a load has met, is no longer there.

        No later attempt makes it again: its step is done, and so are its chunks.
        """
        schema, load = self.plan.schema, self.plan.mode == "load"
        made = {self.plan.statements[number].makes for number in self.ledger.steps()}
        targets = {
            table.source: table.target
            for table in self.plan.tables
            if load or f"TABLE {pg_name(schema, table.target)}" in made
        }
        anew = START_AGAIN
        if self.plan.mode == "load":
            anew = (
                "the application's migrations make them again; then converge migrate --truncate --mode load"
            )
        if missing := missing_tables(self.postgres, {"target_schema": schema, "targets": targets}):
            raise TargetError(
                said(len(missing), f"are no longer in the target of run {self.ledger.run_id}", "table"),
                code=Code.T012,
                details=first_of(missing, _SHOWN),
                hint=anew,
            )

    def make_room(self) -> None:
        """The target schema, without what --recreate or --truncate removes: once in a run."""
        if self.ledger.makes_room():
            (drop if self.plan.mode == "create" else empty)(self.postgres, self.plan)
        elif not self.ledger.steps():
            drop_left_over(self.postgres, self.plan, self.prepared.inputs.left_over)
        if not self.plan.schema_exists:
            self.postgres.execute(f"CREATE SCHEMA {pg_name(self.plan.schema)}".encode())
        now = shape_now(self.postgres, self.plan.schema)
        record_there(self.postgres, self.ledger.run_id, now)
        steps = len(self.ledger.steps())
        self._record = Record(self.postgres, self.plan, self.ledger.run_id, now, steps)

    def keep(self, ledger: Ledger, *, own: bool = False) -> None:
        """Keeps what is made so far, to see what others change; a load does so in the end alone."""
        if self._record is not None and self.plan.mode == "create":
            self._record.keep(ledger.connection, len(ledger.steps()), own=own)

    def _hooks(self, builder: Builder, phase: Phase) -> None:
        """They may drop or alter what the plan has made, or an earlier hook: that is no change by others."""
        if builder.count(phase):
            self.keep(self.ledger)
            builder.in_order(phase)
            self.keep(self.ledger, own=True)

    def all(self, workers: Workers) -> None:
        """All phases after the plan."""
        job, result, existing = self.job, self.result, self.prepared.inputs.evidence.existing
        loaded = existing.shape_after({one.sql for one in self.plan.statements}) if existing else None
        with Builder(self.plan, self.ledger, job.target, job.options.common.jobs, self.emit) as builder:
            making: tuple[Phase, ...] = ("shared", "create", "view")
            with phase(result, self.emit, "create", builder.count(*making, "after create")):
                builder.in_order(*making)
                self._hooks(builder, "after create")
                self.keep(self.ledger)
                ranges = self._ranges()
            workers.connect(job.source, job.target, **self.settings)
            workers.throttle = self.throttle
            if workers.joined is not None:
                with phase(result, self.emit, "workers"):
                    workers.joined.gather(job.options.awaited.seconds)
            self.copy.rate = job.options.common.limits.rate / workers.size
            with phase(result, self.emit, "snapshot"):
                now, earlier = self._snapshot(workers, builder)
            self._load(workers, builder, now, earlier)
            if count := builder.count("after copy"):
                with phase(result, self.emit, "after copy", count):
                    self._hooks(builder, "after copy")
            with phase(result, self.emit, "index", builder.pending()):
                builder.finish()
                self.keep(self.ledger)
            with phase(
                result,
                self.emit,
                "finish",
                builder.count(*_FINISHING),
            ):
                # Rows that only the target has are back before others are checked for referring to them.
                builder.side_by_side("merge")
                builder.in_order("foreign key")
                builder.side_by_side("validate", "finish", "trigger")
                builder.in_order("refresh")
                builder.side_by_side("analyze")
                if existing is not None:
                    record_next_values(
                        self.postgres, self.ledger.run_id, self.plan, self.numbers, self.counters
                    )
                set_next_values(self.postgres, self.plan, self.numbers, self.counters)
                self._hooks(builder, "after finish")
                assert self._record is not None
                made = self._record.keep(self.postgres, len(self.ledger.steps()), loaded, numbers=True)
            result.findings += builder.findings + self.throttle.findings()
            self._require_all_done()
        result.rejects = self.ledger.rejects()
        proof = self._proof(workers, ranges)
        proof.prove()
        if existing is not None and loaded is not None:
            result.findings += self._left_shape(existing, loaded)
        elif proof.level == "full" and (others := changed_since(self.postgres, self.plan, made)):
            result.findings += others
            result.verdict = "differs"
        if any(one.code == Code.V124 and one.severity == "block" for one in result.findings):
            result.verdict = "differs"
        if result.verdict != "verified":
            compares = "converge sync" if self.added else "converge verify"
            result.next_command = RESUME if result.rejects else compares
        self._require_schema()
        proof.look_back(now)
        result.findings += workers.joined.findings if workers.joined else []

    def _proof(self, workers: Workers, ranges: dict[str, list[Range]]) -> Proof:
        """The comparison of all tables. Those that nobody may have filled are counted at least."""
        options, result = self.job.options, self.job.result
        return Proof(
            plan=self.plan,
            workers=workers,
            source=self.prepared.source,
            target=self.postgres,
            ranges=ranges,
            level="counts" if self.added and options.verify == "none" else options.verify,
            result=result,
            emit=self.emit,
            tables=self.copy.results,
            still=held_still(self.prepared.inputs.catalog, result.snapshot),
        )

    def _left_shape(self, existing: Existing, loaded: Mapping[str, str]) -> list[Finding]:
        """What of the target's catalog is not as before, but for what the map asks for; or that all is so."""
        after = shape_now(self.postgres, self.plan.schema)
        unchecked = sum(loaded[name] != text for name, text in existing.shape.items())
        but = f", but for {counted(unchecked, 'foreign key')} NOT VALID by the map" if unchecked else ""
        same = f"the schema's catalog is as before the run{but}: {counted(len(after), 'object')} compared"
        return shape_findings(loaded, after) or [Finding(Code.L021, "note", "target", same)]

    def _ranges(self) -> dict[str, list[Range]]:
        """The chunks of every table: from the ledger, or cut now and entered there.

        Tables that were `added` are cut to be compared alone: the ledger has no chunk of them to do.
        """
        known = self.ledger.chunks()
        if not known:
            cuts = {table.source: list(cut(self.prepared.source, table.extent)) for table in self.plan.tables}
            self.ledger.add_chunks(
                (table, number, part) for table, parts in cuts.items() for number, part in enumerate(parts)
            )
            return cuts
        chunks = by_table(known)
        self.added = {table.source for table in self.plan.tables} - chunks.keys()
        return {
            table.source: [*cut(self.prepared.source, table.extent)]
            if table.source in self.added
            else [chunk.part for chunk in chunks[table.source]]
            for table in self.plan.tables
        }

    def _snapshot(self, workers: Workers, builder: Builder) -> tuple[Snapshot, Chunks]:
        """Takes the snapshot; returns it with the chunks that were finished under another one.

        Chunks with rejects are to do again: what made the target refuse them may be repaired now.
        """
        self._undo_chunks(builder, by_table(chunk for chunk in self.ledger.chunks() if chunk.rejected))
        # Where a table was rewritten, all of its chunks are to do again.
        finished = [chunk for chunk in self.ledger.chunks() if chunk.done is not None]
        earlier = by_table(finished)
        before = self.ledger.position()
        here, catalog = self.prepared.source, self.prepared.inputs.catalog
        now, self._require_schema = take_snapshot(here, catalog, self.plan, workers.everyone, self.result)
        self.result.findings += created(here, catalog, self.prepared.inputs.takes)
        # Later numbers do no harm, and no lock has to wait for tables that are opened.
        numbered = {one.table for one in self.plan.identities if one.auto_increment}
        self.numbers = next_values(here, sorted(numbered))
        self.counters = counter_values(here, {one.table: one.next_value for one in self.plan.counters})
        hold_schema(here)
        if before is not None and before == now.logs.position:
            earlier = {}
        # Finished chunks belong to several snapshots until they are compared, so record no position.
        self.ledger.set_snapshot(now.level, None if earlier else now.logs.position)
        # Of those without an identity here `converge follow` brings all rows.
        names = [table.source for table in self.plan.tables if table.source not in self.added]
        note_start(self.postgres, self.ledger.run_id, now.log, read_identities(here, catalog.database, names))
        return now, earlier

    def _load(self, workers: Workers, builder: Builder, now: Snapshot, earlier: Chunks) -> None:
        """Copies what is left, and what has moved since the earlier chunks were copied."""
        if earlier:
            self._compare_again(workers, builder, now, earlier)
        with phase(self.result, self.emit, "copy"):
            self.copy.start()
            try:
                self.copy.run(workers, lambda table: builder.begin("index", table), builder.look)
            except KeyboardInterrupt:
                for done in workers.settle():
                    if isinstance(done, Copied):
                        self.copy.count(done)
                raise
            finally:
                self.result.tables = list(self.copy.results.values())
                self.result.pace = self.copy.pace

    def _compare_again(self, workers: Workers, builder: Builder, now: Snapshot, earlier: Chunks) -> None:
        """Undo earlier chunks whose source rows have changed."""
        count = sum(map(len, earlier.values()))
        with phase(self.result, self.emit, recheck.PHASE, count):
            found = recheck.moved(workers, self.plan, earlier, self.emit)
            self._undo_chunks(builder, found)
            self.ledger.set_snapshot(now.level, now.logs.position)
            moved = sum(map(len, found.values()))
            words = f"loaded again, as the source has changed: {moved:,}" if moved else "none has changed"
            message = f"compared again: {counted(count, 'chunk')} of an earlier snapshot; {words}"
            self.result.findings.append(Finding(Code.V002, "note", "source", message))

    def _undo_chunks(self, builder: Builder, chunks: Chunks) -> None:
        if chunks:
            recheck.undo(self.ledger, self.plan, chunks)
            builder.again(*recheck.undone(self.plan))

    def _require_all_done(self) -> None:
        """Raises TargetError when the ledger has lost something that it had confirmed.

        Commits are flushed a moment late, so a target that crashed may have lost some. What is there now
        is kept by the run's last commit, which is flushed at once.
        """
        done = self.ledger.steps()
        missing = len(self.plan.statements) - len(done)
        missing += sum(chunk.done is None for chunk in self.ledger.chunks())
        if missing:
            raise TargetError(
                f"the target has lost {counted(missing, 'step or chunk', 'steps or chunks')} "
                "that it had confirmed: has it crashed?",
                code=Code.R004,
                hint="look into its log",
                lost=True,
            )

    def end(self) -> None:
        """Mark the run finished and drop the rows set aside, in one transaction; keep them while there are
        rejects."""
        if self.job.options.alembic is not None and not self.result.exit_code:
            pending = Finding(Code.A064, "note", "revisions", "the revisions are still to run", RESUME)
            self.result.findings.append(pending)
        with self.postgres.transaction():
            self.ledger.set_state("finished", report=self.result.to_json())
            for table in self.plan.tables:
                if table.rows and not self.result.rejects:
                    name = self.plan.schema, table.target
                    self.postgres.execute(f"DROP TABLE IF EXISTS {saved_table(*name)}".encode())
                    if not has_kept(self.postgres, *name):
                        self.postgres.execute(f"DROP TABLE IF EXISTS {kept_table(*name)}".encode())
