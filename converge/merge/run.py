"""Fills the merged schema from the shards' own, and proves it, in one transaction of the target."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import psycopg

from converge.codes import Code
from converge.errors import START_AGAIN, BlockedError, ConvergeError, TargetError, listed
from converge.merge import Merge
from converge.merge.compare import ANEW, mark_of, merged_by, rows_now, sums
from converge.merge.plan import differences, inputs_of_all, merged_plan, require_same, with_longest
from converge.model.event import Advanced, DatabaseStarted, Sink, phase, silent
from converge.model.evidence import NOTHING_KNOWN, Evidence
from converge.model.finding import OCCUPIED
from converge.model.plan import Phase, Plan
from converge.model.quote import pg_name, pg_text
from converge.model.recorded import Recorded
from converge.model.recovery import Approve
from converge.model.result import Result, TableResult
from converge.model.table_plan import ColumnPlan, TablePlan
from converge.planner.inputs import Inputs
from converge.planner.rehearsal import fingerprint
from converge.postgres.connect import connect
from converge.postgres.digest import digest_query
from converge.postgres.history import last_run, last_verification, missing_tables
from converge.postgres.ledger import Ledger, run_steps
from converge.postgres.next_values import sequence_values, set_next_values
from converge.postgres.query import value
from converge.postgres.recorded import last_recorded, record_plan
from converge.run.blockers import check_plan, check_target, drop
from converge.run.build import refused_finding
from converge.run.connections import explained
from converge.run.many import Move
from converge.run.migrate import interrupted, note
from converge.run.options import RESUME
from converge.run.prepare import prepare

_MERGED = ("verified", "migrated")
"""Verdicts of shards that may be merged."""
_SHOWN = 5
"""Tables of a message."""
_SETTINGS = {"synchronous_commit": "on", "maintenance_work_mem": "256MB"}
_ROWS: tuple[Phase, ...] = ("shared", "create", "view")
"""Phases before the rows; the others are after them."""
_KEY = re.compile(r"\((?P<columns>.*?)\)=\(")


@dataclass(frozen=True, slots=True)
class _Shard:
    name: str
    schema: str
    plan: Plan
    report: Mapping[str, TableResult]
    """By source table."""
    verified: bool


class Merging:
    """A merge, and what has come of it (`run/many.Then`)."""

    def __init__(self, merge: Merge) -> None:
        self.merge = merge
        self.name, self.shards = merge.name, merge.shards
        self.result = Result("migrate", merge.source, str(merge.target), verdict="ready")
        self.error: ConvergeError | None = None
        self._to_do = True
        self.stands = False
        self.made: Plan | None = None
        """The plan of the merged schema."""
        self._moves: Mapping[str, Move] = {}

    def plan(self, moves: Mapping[str, Move], emit: Sink, ask: Approve) -> None:
        """How the shards of these moves would be merged. Writes nothing; errors are kept."""
        emit(DatabaseStarted(self.name, "plan"))
        self._moves = moves
        with self._kept(), phase(self.result, emit, "plan"):
            resume = any(move.options.resume for move in moves.values())
            if resume and (done := self._done()) is not None:
                self.result, self._to_do = done, False
                return
            try:
                self.made = plan = self.merged(moves, ask)
            except BlockedError as error:
                if error.code == OCCUPIED:
                    error.hint = ANEW
                raise
            self.result.findings += plan.findings
            self.result.fingerprint = fingerprint(plan, whole=True)
            self.result.not_migrated = list(plan.not_migrated)
            self.result.source_version, self.result.target_version = plan.source_version, plan.target_version
            check_plan(plan, expected=self.merge.expected)

    def run(self, shards: Mapping[str, Result], emit: Sink) -> None:
        """Merges what came of the moves. Errors are kept, and leave nothing behind."""
        if not self._to_do:
            return
        merge, plan, result = self.merge, self.made, self.result
        assert plan is not None
        common = next(iter(self._moves.values())).options.common
        with (
            self._kept(RESUME),
            explained(merge.target, merge.target),
            connect(merge.target, **_SETTINGS) as connection,
            connection.transaction(),
        ):
            # All shards are read as they are at one moment.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            known = [*self._shards(connection, shards)]
            if len(known) < len(shards):
                return
            emit(DatabaseStarted(self.name))
            if common.clears:
                drop(connection, plan)
            ledger = Ledger.open(connection, plan, NOTHING_KNOWN, resume=False, clears=False, again=None)
            record_plan(connection, ledger.run_id, replace(common, schema=plan.schema).recorded, plan)
            _Filling(merge, known, plan, result, ledger, connection, emit).go()
            verified = all(one.verified for one in known)
            result.verdict = "verified" if verified else "migrated"
            ledger.set_snapshot(None, self._mark(connection))
            ledger.set_state("finished", report=result.to_json())

    @contextmanager
    def _kept(self, hint: str | None = None) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.error = interrupted("create")
            note(self.result, self.error)
        except ConvergeError as error:
            error.hint = error.hint or hint
            note(self.result, error)
            self.error = error

    def _done(self) -> Result | None:
        """The result of an earlier merge of what these shards are, whose tables are there.

        Raises TargetError where these do not have the rows that were merged.
        """
        merge = self.merge
        with explained(merge.target, merge.target), connect(merge.target) as connection:
            run = last_run(connection, (merge.source, merge.schema))
            if run is None or run["state"] != "finished":
                return None
            mark = Ledger(connection, run["id"]).position()
            if mark != self._mark(connection) or missing_tables(connection, run):
                return None
            self.stands = True
            plan, done = merged_by(connection, merge, run)
            for table in done.tables:
                if changed := rows_now(connection, plan, table)[1]:
                    hint = f"where the application has written them, nothing is left to resume; else {ANEW}"
                    raise TargetError(changed, code=Code.V125, hint=hint)
        return done

    def _mark(self, connection: psycopg.Connection[Any]) -> str:
        moves = {name: (str(move.source), move.options.common.schema) for name, move in self._moves.items()}
        return mark_of(connection, self.merge.column, moves)

    def merged(self, moves: Mapping[str, Move], ask: Approve | None = None) -> Plan:
        """The plan of the merged schema. With `ask` the target is looked at as before a run.

        Raises BlockedError for shards that are not of one schema, or that cannot have the column.
        """
        inputs, column = dict[str, Inputs](), self.merge.column
        for name, move in moves.items():
            inputs[name] = self._inputs(move, None if inputs else ask)
        inputs = with_longest(inputs)
        plan = require_same({name: merged_plan(one, column) for name, one in inputs.items()})
        merged = merged_plan(inputs_of_all([*inputs.values()], plan), column)
        return replace(merged, source=self.merge.source)

    def _inputs(self, move: Move, ask: Approve | None) -> Inputs:
        """What is known of one shard, for the merged schema."""
        options = move.options
        known = options.known or _known(move)
        common = replace(options.common, schema=self.merge.schema)
        # A merge is one transaction: no run of it goes on.
        first = partial(check_target, clears=common.clears, resumed=None, approve=ask) if ask else None
        with prepare(move.source, move.target, common, silent, known=known, first=first) as prepared:
            return prepared.inputs

    def _shards(self, connection: psycopg.Connection[Any], results: Mapping[str, Result]) -> Iterator[_Shard]:
        """Those that may be merged. Raises TargetError for one with a table that was never compared."""
        for name, result in results.items():
            move = self._moves[name]
            run = last_recorded(connection, move.source, move.options.common.schema)
            assert isinstance(run, Recorded)
            proof = _last_proof(connection, run)
            if not proof and result.verdict not in _MERGED:
                continue
            tables = {one.source: one for one in proof or result.tables}
            if unknown := [one.source for one in run.plan.tables if one.source not in tables]:
                words = (
                    f"the shard {name} has got {listed(unknown, _SHOWN)} since it was migrated, not compared"
                )
                hint = f"converge sync --database {name}, then {RESUME}"
                raise TargetError(f"{words}; nothing was merged", code=Code.V125, hint=hint)
            verified = bool(proof) or result.verdict == "verified"
            yield _Shard(name, run.plan.schema, run.plan, tables, verified)


def _known(move: Move) -> Evidence:
    """What a shard was decided by that an earlier command has finished.

    Raises BlockedError where its source would be migrated otherwise now: what is merged is planned by it.
    """
    common = move.options.common
    with explained(move.source, move.target), connect(move.target) as connection:
        run = last_recorded(connection, move.source, common.schema)
    assert isinstance(run, Recorded)
    with prepare(move.source, move.target, common, silent, as_recorded=True, resuming=True) as now:
        if run.plan.digest != now.plan.digest:
            raise BlockedError(
                f"{move.name}: the schema of the source has changed since the shard was migrated",
                code=Code.T011,
                details=differences(run.plan, now.plan),
                hint=f"converge sync --database {move.name} brings new tables; "
                f"after another change: {START_AGAIN}",
            )
        return now.inputs.evidence


def _last_proof(connection: psycopg.Connection[Any], run: Recorded) -> list[TableResult]:
    """What `verify` or `sync` has proven last of all tables of a finished run; nothing where none has, or
    where a later one has found differences in some of them."""
    found = last_verification(connection, run.id, full=True)
    last = last_verification(connection, run.id, standing=True)
    proven = found and last and (found["verdict"], last["verdict"] == "differs") == ("verified", False)
    return Result.from_json(found["report"]).tables if found and proven else []


def _value(column: ColumnPlan, own: ColumnPlan) -> str:
    """A shard's value as the merged column has it: a type that the run has made is one for each schema."""
    name = pg_name(own.target)
    return name if own.target_type == column.target_type else f"{name}::text::{column.target_type}"


@dataclass(frozen=True)
class _Filling:
    """The merge in its transaction, with the ledger's run that it fills."""

    merge: Merge
    shards: list[_Shard]
    plan: Plan
    result: Result
    ledger: Ledger
    connection: psycopg.Connection[Any]
    emit: Sink

    def go(self) -> None:
        """Raises TargetError for keys that are not disjoint, and for rows that are not the shards'."""
        plan, result = self.plan, self.result
        schema = pg_name(plan.schema)
        if value(self.connection, "SELECT to_regnamespace(%s) IS NULL", (schema,)):
            # Only then: IF NOT EXISTS asks for CREATE on the database even where there is nothing to do.
            self.connection.execute(f"CREATE SCHEMA {schema}".encode())
        before = set(_ROWS)
        self._carry_out(*_ROWS)
        with phase(result, self.emit, "merge", len(plan.tables)):
            for table in plan.tables:
                self._fill(table)
        with phase(result, self.emit, "index"):
            self._carry_out(*(one for one in get_args(Phase) if one not in before))
            self._number()
        with phase(result, self.emit, "verify", len(plan.tables)):
            result.tables = [self._proven(table) for table in plan.tables]

    def _carry_out(self, *phases: Phase) -> None:
        """The plan's statements of these phases, each entered in the ledger."""
        for phase_ in phases:
            for number, statement in enumerate(self.plan.statements):
                if statement.phase != phase_:
                    continue
                try:
                    refused = run_steps(self.connection, self.ledger.run_id, [(number, statement)])
                except psycopg.errors.UniqueViolation as error:
                    raise self._clash(error, self.plan.table(statement.object)) from error
                self.result.findings += (refused_finding(statement, reason) for reason in refused.values())

    def _of_shard(self, table: TablePlan) -> str:
        """The quoted name of the shard column; empty where there is none."""
        return "".join(pg_name(one.target) for one in table.columns if one.source == self.merge.column)

    def _fill(self, table: TablePlan) -> None:
        into, column = pg_name(self.merge.schema, table.target), self._of_shard(table)
        columns = [one for one in table.copied if one.source != self.merge.column]
        names = ", ".join([*filter(None, [column]), *(pg_name(one.target) for one in columns)])
        for shard in self.shards:
            own = {one.source: one for one in shard.plan.table(table.source).columns}
            values = [pg_text(shard.name)] if column else []
            values += [_value(one, own[one.source]) for one in columns]
            self.connection.execute(
                f"INSERT INTO {into} ({names}) OVERRIDING SYSTEM VALUE "
                f"SELECT {', '.join(values)} FROM {pg_name(shard.schema, table.target)}".encode()
            )
        self.emit(Advanced("merge", table.source))

    def _number(self) -> None:
        """Sequences go on behind those of all shards."""
        most: dict[str, int] = {}
        for shard in self.shards:
            for name, _, next_value, _ in sequence_values(self.connection, shard.plan):
                most[name] = max(next_value, most.get(name, 1))
        columns = {one.table: most.get(f"{one.table}.{one.column}", 1) for one in self.plan.identities}
        set_next_values(self.connection, self.plan, columns, most)

    def _proven(self, table: TablePlan) -> TableResult:
        """The merged rows of a table: shard by shard those of its own table, as its report has them."""
        column, schema = self._of_shard(table), self.merge.schema
        total = [0, 0]
        for shard in self.shards:
            planned, reported = shard.plan.table(table.source), shard.report[table.source]
            own = sums(self.connection, digest_query(shard.schema, planned, ""))
            total = [sum(pair) for pair in zip(total, own, strict=True)]
            if reported.digest and reported.digest != f"{own[1]:x}":
                words = f"the rows of {shard.name} have changed since they were verified"
                raise self._differ(table, words, f"converge verify --database {shard.name}, then {RESUME}")
            if column:
                condition = f" WHERE {column} = {pg_text(shard.name)}"
                if sums(self.connection, digest_query(schema, planned, condition)) != own:
                    raise self._differ(
                        table, f"the merged rows of {shard.name} are not those of {shard.schema}"
                    )
        # With the shard column in its digest, by which a later command knows it again.
        rows, digest = sums(self.connection, digest_query(schema, table, ""))
        if rows != total[0] or (not column and digest != total[1]):
            raise self._differ(table, "the merged rows are not those of all shards")
        self.emit(Advanced("verify", table.source))
        return TableResult(
            table.source, f"{schema}.{table.target}", rows_read=total[0], rows_written=rows,
            rows_source=total[0], rows_target=rows,
            verified=all(one.report[table.source].verified for one in self.shards),
            digest=f"{digest:x}",
        )  # fmt: skip

    def _differ(self, table: TablePlan, words: str, hint: str | None = None) -> TargetError:
        return TargetError(f"{table.source}: {words}; nothing was merged", code=Code.V125, hint=hint)

    def _clash(self, error: psycopg.errors.UniqueViolation, table: TablePlan) -> TargetError:
        """A key that two shards have, which the server names without its shards.

        Keys can be equal for their index and have other texts: 0 and -0, texts that ignore case.
        """
        found = _KEY.search(error.diag.message_detail or "")
        details = [error.diag.message_detail or ""]
        if found is not None and not self.merge.column:
            row, merged = f"ROW({found['columns']})", pg_name(self.merge.schema, table.target)
            same = (
                f"SELECT array_agg(DISTINCT {row}::text) FROM {merged} WHERE {row} IS NOT NULL "
                f"GROUP BY {found['columns']} HAVING count(*) > 1 LIMIT 1"
            )
            (texts,) = self.connection.execute(same.encode()).fetchone() or ([],)

            def has(shard: _Shard) -> bool:
                own = f"SELECT FROM {pg_name(shard.schema, table.target)} WHERE {row}::text = ANY(%s) LIMIT 1"
                return self.connection.execute(own.encode(), (texts,)).fetchone() is not None

            if texts:
                names = ", ".join(one.name for one in self.shards if has(one))
                details = [f"({found['columns']}) = {', '.join(texts)} is in {names}"]
        schema = json.dumps(self.merge.schema)
        return TargetError(
            f"{table.source}: the keys of the shards are not disjoint; nothing was merged",
            code=Code.T046,
            details=details,
            hint=f'merge = {{ schema = {schema}, column = "shard" }} tells the shards apart',
        )
