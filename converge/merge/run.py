"""Fills the merged schema from the shards' own, and proves it, in one transaction of the target."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, get_args

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, TargetError, first_of
from converge.merge import Merge
from converge.merge.plan import differences, inputs_of_all, merged_plan, require_same
from converge.model.endpoint import parse
from converge.model.event import Advanced, DatabaseStarted, Sink, phase, silent
from converge.model.evidence import NOTHING_KNOWN, Evidence
from converge.model.plan import OCCUPIED, ColumnPlan, Finding, Phase, Plan, TablePlan
from converge.model.quote import pg_name, pg_text
from converge.model.recorded import Recorded
from converge.model.recovery import Approve
from converge.model.result import NotCompared, Result, TableResult
from converge.model.words import said
from converge.planner.inputs import Inputs
from converge.planner.rehearsal import fingerprint
from converge.postgres.connect import connect
from converge.postgres.digest import digest_query, no_digest
from converge.postgres.history import (
    last_recorded,
    last_run,
    last_verification,
    missing_tables,
    record_plan,
    record_verification,
    report_of,
)
from converge.postgres.ledger import Ledger, run_steps
from converge.postgres.made import sequence_values, set_next_values
from converge.postgres.query import value
from converge.run.blockers import check_plan, check_target, drop
from converge.run.connections import explained
from converge.run.many import Move
from converge.run.migrate import interrupted, note
from converge.run.options import RESUME
from converge.run.prepare import prepare

_MERGED = ("verified", "migrated")
"""Verdicts of shards that may be merged."""
_SETTINGS = {"synchronous_commit": "on", "maintenance_work_mem": "256MB"}
_ROWS: tuple[Phase, ...] = ("shared", "create", "view")
"""Phases before the rows; the others are after them."""
_OCCUPIED = (
    "converge migrate --recreate makes shards and merge anew; or drop the merged tables, then "
    "converge migrate --resume merges the shards as they are now, by the column that merge names now"
)
_KEY = re.compile(r"\((?P<columns>.*?)\)=\(")
Shards = Mapping[str, tuple[str, str]]
"""Of each shard, by its name: the address of its source, and its own schema."""
Sums = tuple[int, int]
"""Rows, and the sum of their digests."""


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
        self._to_do, self.ledger_run = True, 0
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
                    error.hint = _OCCUPIED
                raise
            self.result.findings += plan.findings
            self.result.fingerprint = fingerprint(plan, whole=True)
            self.result.not_migrated = list(plan.not_migrated)
            self.result.source_version, self.result.target_version = plan.source_version, plan.target_version
            check_plan(plan, expected_digest="")

    def run(self, shards: Mapping[str, Result], emit: Sink) -> None:
        """Merges what came of the moves. Errors are kept, and leave nothing behind."""
        if not self._to_do or any(one.verdict not in _MERGED for one in shards.values()):
            return
        emit(DatabaseStarted(self.name))
        merge, result = self.merge, self.result
        with (
            self._kept(RESUME),
            explained(merge.target, merge.target),
            connect(merge.target, **_SETTINGS) as connection,
            connection.transaction(),
        ):
            # All shards are read as they are at one moment.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            known = [*self._shards(connection, shards)]
            _Filling(merge, self, known, connection, emit).go()
            verified = all(one.verified for one in known)
            result.verdict = "verified" if verified else "migrated"
            ledger = Ledger(connection, self.ledger_run)
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
            plan, done = _merged(connection, merge, run)
            for table in done.tables:
                if changed := _now(connection, plan, table)[1]:
                    hint = (
                        f"where the application has written them, nothing is left to resume; else {_OCCUPIED}"
                    )
                    raise TargetError(changed, code=Code.V125, hint=hint)
        return done

    def _mark(self, connection: psycopg.Connection[Any]) -> str:
        moves = {name: (str(move.source), move.options.common.schema) for name, move in self._moves.items()}
        return _mark(connection, self.merge.column, moves)

    def merged(self, moves: Mapping[str, Move], ask: Approve | None = None) -> Plan:
        """The plan of the merged schema. With `ask` the target is looked at as before a run.

        Raises BlockedError for shards that are not of one schema, or that cannot have the column.
        """
        inputs, column = dict[str, Inputs](), self.merge.column
        for name, move in moves.items():
            inputs[name] = self._inputs(move, None if inputs else ask)
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
        for name, result in results.items():
            move = self._moves[name]
            run = last_recorded(connection, move.source, move.options.common.schema)
            assert isinstance(run, Recorded)
            proof = _last_proof(connection, run)
            tables = {one.source: one for one in proof or result.tables}
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
    with prepare(move.source, move.target, common, silent, as_recorded=True, resuming=True, of=run) as now:
        if run.plan.digest != now.plan.digest:
            raise BlockedError(
                f"{move.name}: the schema of the source has changed since the shard was migrated",
                code=Code.T011,
                details=differences(run.plan, now.plan),
                hint=f"converge sync --database {move.name} brings new tables; after another change: "
                "converge migrate --recreate",
            )
        return now.inputs.evidence


def _last_proof(connection: psycopg.Connection[Any], run: Recorded) -> list[TableResult]:
    """What `verify` or `sync` has proven last of all tables of a finished run; nothing where none has."""
    found = last_verification(connection, run.run, full=True)
    proven = found is not None and found["verdict"] == "verified"
    return Result.from_json(found["report"]).tables if found and proven else []


def _sums(connection: psycopg.Connection[Any], query: str) -> Sums:
    ((rows, digests),) = connection.execute(query.encode()).fetchall()
    return int(rows), int(digests or 0)


def _mark(connection: psycopg.Connection[Any], column: str, shards: Shards) -> str:
    """The column, and what the shards are: of each its run, what that has planned, and how often its rows
    were replaced.

    It is the merge's position in its source. `sync`, `verify --repair` and `follow` replace rows.
    """
    # Of one that has no run yet, its name: what is merged is without it.
    marks = dict[str, object].fromkeys(shards)
    for name, (source, schema) in shards.items():
        run = last_recorded(connection, parse(source), schema)
        if isinstance(run, Recorded):
            query = "SELECT count(*) FROM converge.repair WHERE run_id = %s"
            marks[name] = run.run, run.plan.digest, value(connection, query, (run.run,))
    return json.dumps({"column": column, "shards": marks})


def stale(connection: psycopg.Connection[Any], merge: Merge, shards: Shards) -> str:
    """Why a finished merge is no longer what these shards are; empty where it is, and where none is
    finished."""
    run = last_run(connection, (merge.source, merge.schema))
    if run is None or run["state"] != "finished":
        return ""
    known = json.loads(Ledger(connection, run["id"]).position() or "{}")
    now = json.loads(_mark(connection, merge.column, shards))
    then, names = known.get("shards", {}), now["shards"]
    changed = sorted(name for name in {*then, *names} if then.get(name) != names.get(name))
    if known.get("column") != merge.column:
        return "they were merged by another column"
    words = "have changed since the merge"
    return f"{said(len(changed), words, 'shard')}: {', '.join(first_of(changed, 5))}" if changed else ""


def compare(merge: Merge, shards: Shards, takes: Callable[[str], bool] = bool) -> Result:
    """The merged tables that it takes, with what the merge has proven; whether the shards are still those.

    The verdict is `migrated` where there is no merge. Keys, indexes and views are not looked at. The ledger
    keeps what came of it.
    """
    result = Result("verify", merge.source, str(merge.target), verdict="migrated")
    with explained(merge.target, merge.target), connect(merge.target) as connection:
        run = last_run(connection, (merge.source, merge.schema))
        missing = missing_tables(connection, run) if run else []
        if run is None or run["state"] != "finished":
            result.not_compared = [NotCompared("schema", merge.schema, "nothing is merged into it")]
            return result
        plan, done = _merged(connection, merge, run)
        result.source_version, result.target_version = done.source_version, done.target_version
        why = [stale(connection, merge, shards)]
        for then in filter(lambda one: takes(one.source), done.tables):
            if plan.table(then.source).target in missing:
                why.append(f"{then.source}: the merged table is gone")
                continue
            now, changed = _now(connection, plan, then)
            why.append(changed)
            if now is None:
                continue
            verified = not changed and then.verified
            result.tables.append(
                TableResult(
                    then.source, then.target, rows_source=then.rows_target, rows_target=now[0],
                    verified=verified, digest=f"{now[1]:x}",
                )
            )  # fmt: skip
        if why := [*filter(None, why)]:
            message = f"the merged schema {merge.schema} is out of date or damaged: {'; '.join(why)}"
            hint = RESUME if len(missing) == len(run["targets"]) else _OCCUPIED
            result.findings = [Finding(Code.V126, "block", merge.schema, message, hint)]
        words = "keys, indexes and views of what is merged"
        result.not_compared = [NotCompared("schema", merge.schema, words)]
        result.verdict = "differs" if why else done.verdict
        record_verification(connection, run["id"], "full", result.to_json(), ())
    return result


def _merged(connection: psycopg.Connection[Any], merge: Merge, run: Mapping[str, Any]) -> tuple[Plan, Result]:
    """What a finished merge has planned, and what came of it."""
    recorded = last_recorded(connection, parse(merge.source), merge.schema)
    report = report_of(connection, run["id"])
    assert isinstance(recorded, Recorded) and report is not None
    return recorded.plan, Result.from_json(report)


def _now(connection: psycopg.Connection[Any], plan: Plan, merged: TableResult) -> tuple[Sums | None, str]:
    """The merged rows, if they can be compared, and what is said where they are not those that the merge has
    proven."""
    table = plan.table(merged.source)
    if why := no_digest(connection, plan.schema, table):
        return None, f"{merged.source}: the merged table has changed: {why}"
    rows, digest = _sums(connection, digest_query(plan.schema, table, ""))
    if (rows, f"{digest:x}") == (merged.rows_target, merged.digest):
        return (rows, digest), ""
    counts = f"{merged.rows_target:,} then, {rows:,} now" if rows != merged.rows_target else "other values"
    words = f"{merged.source}: the merged rows have changed since they were verified: {counts}"
    return (rows, digest), words


def _value(column: ColumnPlan, own: ColumnPlan) -> str:
    """A shard's value as the merged column has it: a type that the run has made is one for each schema."""
    name = pg_name(own.target)
    return name if own.target_type == column.target_type else f"{name}::text::{column.target_type}"


class _Filling:
    """The merge in its transaction."""

    def __init__(
        self,
        merge: Merge,
        merging: Merging,
        shards: list[_Shard],
        connection: psycopg.Connection[Any],
        emit: Sink,
    ) -> None:
        assert merging.made is not None
        self._merge, self._merging, self._shards = merge, merging, shards
        self._connection, self._emit = connection, emit
        self._plan, self._result = merging.made, merging.result

    def go(self) -> None:
        """Raises TargetError for keys that are not disjoint, and for rows that are not the shards'."""
        plan, result = self._plan, self._result
        common = next(iter(self._merging._moves.values())).options.common
        if common.clears:
            drop(self._connection, plan)
        ledger = Ledger.open(self._connection, plan, NOTHING_KNOWN, resume=False, clears=False, again=False)
        self._merging.ledger_run = self._run = ledger.run
        record_plan(self._connection, ledger.run, replace(common, schema=plan.schema).recorded, plan)
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {pg_name(plan.schema)}".encode())
        before = set(_ROWS)
        self._carry_out(*_ROWS)
        with phase(result, self._emit, "merge", len(plan.tables)):
            for table in plan.tables:
                self._fill(table)
        with phase(result, self._emit, "index"):
            self._carry_out(*(one for one in get_args(Phase) if one not in before))
            self._number()
        with phase(result, self._emit, "verify", len(plan.tables)):
            result.tables = [self._proven(table) for table in plan.tables]

    def _carry_out(self, *phases: Phase) -> None:
        """The plan's statements of these phases, each entered in the ledger."""
        for phase_ in phases:
            for number, statement in enumerate(self._plan.statements):
                if statement.phase != phase_:
                    continue
                try:
                    refused = run_steps(self._connection, self._run, [(number, statement)])
                except psycopg.errors.UniqueViolation as error:
                    raise self._clash(error, self._plan.table(statement.object)) from error
                for reason in refused.values():
                    message = f"the target refused {statement.why}: {reason}"
                    self._result.findings.append(
                        Finding(Code.P052, "lossy", statement.object, message, statement.sql)
                    )

    def _of_shard(self, table: TablePlan) -> str:
        """The quoted name of the shard column; empty where there is none."""
        return "".join(pg_name(one.target) for one in table.columns if one.source == self._merge.column)

    def _fill(self, table: TablePlan) -> None:
        into, column = pg_name(self._merge.schema, table.target), self._of_shard(table)
        columns = [one for one in table.copied if one.source != self._merge.column]
        names = ", ".join([*filter(None, [column]), *(pg_name(one.target) for one in columns)])
        for shard in self._shards:
            own = {one.source: one for one in shard.plan.table(table.source).columns}
            values = [pg_text(shard.name)] if column else []
            values += [_value(one, own[one.source]) for one in columns]
            self._connection.execute(
                f"INSERT INTO {into} ({names}) OVERRIDING SYSTEM VALUE "
                f"SELECT {', '.join(values)} FROM {pg_name(shard.schema, table.target)}".encode()
            )
        self._emit(Advanced("merge", table.source))

    def _number(self) -> None:
        """Sequences go on behind those of all shards."""
        most: dict[str, int] = {}
        for shard in self._shards:
            for name, _, next_value, _ in sequence_values(self._connection, shard.plan):
                most[name] = max(next_value, most.get(name, 1))
        columns = {one.table: most.get(f"{one.table}.{one.column}", 1) for one in self._plan.identities}
        set_next_values(self._connection, self._plan, columns, most)

    def _proven(self, table: TablePlan) -> TableResult:
        """The merged rows of a table: shard by shard those of its own table, as its report has them."""
        column, schema = self._of_shard(table), self._merge.schema
        total = [0, 0]
        for shard in self._shards:
            planned, reported = shard.plan.table(table.source), shard.report[table.source]
            own = _sums(self._connection, digest_query(shard.schema, planned, ""))
            total = [sum(pair) for pair in zip(total, own, strict=True)]
            if reported.digest and reported.digest != f"{own[1]:x}":
                words = f"the rows of {shard.name} have changed since they were verified"
                raise self._differ(table, words, f"converge verify --database {shard.name}, then {RESUME}")
            if column:
                condition = f" WHERE {column} = {pg_text(shard.name)}"
                if _sums(self._connection, digest_query(schema, planned, condition)) != own:
                    raise self._differ(
                        table, f"the merged rows of {shard.name} are not those of {shard.schema}"
                    )
        # With the shard column in its digest, by which a later command knows it again.
        rows, digest = _sums(self._connection, digest_query(schema, table, ""))
        if rows != total[0] or (not column and digest != total[1]):
            raise self._differ(table, "the merged rows are not those of all shards")
        self._emit(Advanced("verify", table.source))
        return TableResult(
            table.source, f"{schema}.{table.target}", rows_read=total[0], rows_written=rows,
            rows_source=total[0], rows_target=rows,
            verified=all(one.report[table.source].verified for one in self._shards),
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
        if found is not None and not self._merge.column:
            row, merged = f"ROW({found['columns']})", pg_name(self._merge.schema, table.target)
            same = (
                f"SELECT array_agg(DISTINCT {row}::text) FROM {merged} WHERE {row} IS NOT NULL "
                f"GROUP BY {found['columns']} HAVING count(*) > 1 LIMIT 1"
            )
            (texts,) = self._connection.execute(same.encode()).fetchone() or ([],)

            def has(shard: _Shard) -> bool:
                own = f"SELECT FROM {pg_name(shard.schema, table.target)} WHERE {row}::text = ANY(%s) LIMIT 1"
                return self._connection.execute(own.encode(), (texts,)).fetchone() is not None

            if texts:
                names = ", ".join(one.name for one in self._shards if has(one))
                details = [f"({found['columns']}) = {', '.join(texts)} is in {names}"]
        schema = json.dumps(self._merge.schema)
        return TargetError(
            f"{table.source}: the keys of the shards are not disjoint; nothing was merged",
            code=Code.T046,
            details=details,
            hint=f'merge = {{ schema = {schema}, column = "shard" }} tells the shards apart',
        )
