"""What the ledger knows of runs for later commands: the state of each, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, UsageError
from converge.model.endpoint import Endpoint, parse, same_server
from converge.model.evidence import Evidence
from converge.model.existing import Existing
from converge.model.finding import Finding
from converge.model.quote import pg_name
from converge.model.recorded import READER, decode, encoded
from converge.model.recovery import LoadRun
from converge.model.result import Result
from converge.postgres.connect import connect
from converge.postgres.following import certificate_of, forget_proof
from converge.postgres.lock import STATE, at_work, who
from converge.postgres.privileges import LEDGER
from converge.postgres.query import value
from converge.postgres.target import ledger_tables

_READ = ("run", "chunk", "plan", "verification")
"""Tables of the ledger without which nothing can be said of a run."""
Move = tuple[str, str]
"""The source's address, without its password, and the target schema: what a run is about. Where a run is
looked for, either may be empty, for any."""


def last_run(
    connection: psycopg.Connection[Any], move: Move | None = None, number: int | None = None
) -> dict[str, Any] | None:
    """The last run, or the last of this move or of this number, as JSON values; None where there was none.

    Raises BlockedError for a role that may not read the ledger.
    """
    if not require_ledger(connection):
        return None
    query = (
        "SELECT to_jsonb(r) || (SELECT jsonb_build_object('chunks', count(*), 'chunks_done', count(done_at), "
        # A merge has no chunks.
        "'rows', coalesce(sum(rows), (SELECT sum((one ->> 'rows_written')::bigint) FROM converge.run m, "
        "json_array_elements(m.report -> 'tables') one WHERE m.id = r.id), 0)) "
        "FROM converge.chunk c WHERE c.run_id = r.id) "
        f"FROM (SELECT id, source, target_schema, plan_digest, {STATE} AS state, snapshot, started_at, "
        "finished_at, CASE WHEN state = 'finished' THEN report ->> 'verdict' END AS verdict, "
        "coalesce(to_jsonb(run) -> 'targets', '{}') AS targets, "
        "coalesce((to_jsonb(run) ->> 'paused')::boolean, false) AS paused FROM converge.run "
        "WHERE %(source)s IN ('', source) AND %(schema)s IN ('', target_schema) "
        "AND id = coalesce(%(number)s, id) ORDER BY id DESC LIMIT 1) r"
    )
    source, schema = move or ("", "")
    names = {"source": source, "schema": schema, "number": number}
    run: dict[str, Any] | None = value(connection, query, names)
    return run


def stopped_before(connection: psycopg.Connection[Any], move: Move) -> int | None:
    """A run of this move that did not finish, before the last one, which has left nothing to do.

    None where there is none, where a later run has made a table of it again, or where no table of it is left.
    """
    last = last_run(connection, move)
    if last is None or last["state"] != "finished":
        return None
    query = (
        # Through its JSON, because a ledger of an earlier version has no targets.
        "WITH known AS (SELECT id, source, target_schema, state, "
        "coalesce(to_jsonb(r) -> 'targets', '{}') AS targets FROM converge.run r) "
        "SELECT max(id) FROM known stopped WHERE source = %(source)s AND target_schema = %(schema)s "
        "AND state IN ('running', 'interrupted', 'failed') AND targets <> '{}' "
        "AND NOT EXISTS (SELECT FROM converge.reject WHERE run_id = %(last)s) AND NOT EXISTS ("
        "SELECT FROM known later, jsonb_each_text(later.targets) made, jsonb_each_text(stopped.targets) own "
        "WHERE later.id > stopped.id AND later.target_schema = stopped.target_schema "
        "AND made.value = own.value)"
    )
    source, schema = move
    number = value(connection, query, {"source": source, "schema": schema, "last": last["id"]})
    stopped = last_run(connection, move, number) if number is not None else None
    if stopped is None or len(missing_tables(connection, stopped)) == len(stopped["targets"]):
        return None
    return int(number)


def other_schema(connection: psycopg.Connection[Any], move: Move | None) -> str:
    """That the source has no run into the schema, but one into another; empty where it has none at all."""
    other = last_run(connection, (move[0], "")) if move else None
    if move is None or other is None:
        return ""
    into = other["target_schema"]
    words = f"no converge run into the schema {move[1]}; run {other['id']} is into {into}"
    return f"{words}: --schema {shlex.quote(into)}"


def missing_tables(connection: psycopg.Connection[Any], run: Mapping[str, Any]) -> list[str]:
    """The tables of a run, as `last_run` gives it, that are no longer in the target."""
    query = (
        "SELECT name FROM unnest(%s::text[]) n(name) WHERE NOT EXISTS (SELECT FROM pg_class c "
        "JOIN pg_namespace s ON s.oid = relnamespace WHERE (relname, nspname) = (name, %s)) ORDER BY 1"
    )
    names = [*run["targets"].values()]
    return [name for (name,) in connection.execute(query, (names, run["target_schema"]))]


def standing_runs(connection: psycopg.Connection[Any], server: Endpoint) -> list[tuple[str, str, bool]]:
    """The last run of each database of this server into each schema, where tables of it are left.

    The database, the schema, and whether the run is finished. Raises BlockedError as `last_run` does.
    """
    if not require_ledger(connection):
        return []
    query = (
        "SELECT jsonb_build_object('source', source, 'target_schema', target_schema, 'state', state, "
        "'targets', coalesce(to_jsonb(r) -> 'targets', '{}')) FROM converge.run r ORDER BY id"
    )
    last = dict[tuple[str, str], dict[str, Any]]()
    for (run,) in connection.execute(query).fetchall():
        with suppress(UsageError):  # a dump, which has a name and no address
            database = parse(run["source"]).database
            if same_server(replace(server, database=database), run["source"]):
                last[database, run["target_schema"]] = run
    return [
        (database, schema, run["state"] == "finished")
        for (database, schema), run in last.items()
        if run["state"] != "recovered" and len(missing_tables(connection, run)) < len(run["targets"])
    ]


def report_of(connection: psycopg.Connection[Any], run: int) -> dict[str, Any] | None:
    """A run's report, as `Result.to_json` wrote it; None before that run has ended."""
    # A finished run that is resumed for its rejects still has its own.
    query = "SELECT report FROM converge.run WHERE state <> 'running' AND id = %s"
    report: dict[str, Any] | None = value(connection, query, (run,))
    return report


def result_of(connection: psycopg.Connection[Any], run: int) -> Result | None:
    """A run's result with the last `verify`, which is no longer good where that has found differences; None
    before the run has ended."""
    report = report_of(connection, run)
    if report is None:
        return None
    result = Result.from_json(report)
    if certificate := certificate_of(connection, run):
        result.cut_over = certificate["at"]
        words = f"cut over at {result.cut_over}: the target is the application's"
        result.findings.append(Finding(Code.W014, "note", "target", words))
    last = last_verification(connection, run, standing=True)
    if last is not None:
        full = last_verification(connection, run, full=True) or last
        later = full if full["verdict"] == "differs" != last["verdict"] else last
        differs = later["verdict"] == "differs"
        words = f"verified again at {later['utc']}, level {later['level']}: {later['verdict']}"
        hint = "converge report --verify -o FILE"
        result.findings.append(Finding(Code.V117, "block" if differs else "note", "verify", words, hint))
        if differs and result.exit_code == 0:
            result.verdict = "differs"
    return result


def last_verification(
    connection: psycopg.Connection[Any],
    run: int,
    *,
    others: bool = False,
    full: bool = False,
    standing: bool = False,
) -> dict[str, Any] | None:
    """The last `verify` of a run: when, level and verdict, with its report; None where there was none.

    One from before the end of a run that is verified says nothing of it, as the run has compared all itself.
    With `others` also one by another plan or with another source, which says nothing of the run. `full` is
    the last that has compared all rows of all tables. With `standing` one that has found other rows goes
    before later ones, until all are compared, whatever a comparison of other tables finds.
    """
    if not _readable(connection, "report", "verification"):
        return None
    query = (
        "WITH known AS (SELECT v.* FROM converge.verification v JOIN converge.run r ON r.id = run_id "
        "WHERE run_id = %s AND (%s OR v.report ->> 'of_run' IS DISTINCT FROM 'false') AND NOT coalesce("
        "verified_at < finished_at AND state = 'finished' AND r.report ->> 'verdict' = 'verified', false)) "
        "SELECT jsonb_build_object('at', verified_at::text, 'utc', "
        "to_char(verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), "
        "'level', level, 'verdict', verdict, 'report', report) FROM known "
        "WHERE level = 'full' OR NOT %s ORDER BY %s AND verdict = 'differs' "
        "AND id > (SELECT coalesce(max(id), 0) FROM known WHERE level = 'full') DESC, id DESC LIMIT 1"
    )
    found: dict[str, Any] | None = value(connection, query, (run, others, full, standing))
    return found


def set_paused(connection: psycopg.Connection[Any], move: Move | None, paused: bool) -> int:
    """Notes whether the run that is at work hands out work; returns its number.

    Raises UsageError where none is at work.
    """
    run = last_run(connection, move)
    if run is None or run["state"] != "running":
        last, holder = last_run(connection), at_work(connection)
        message = ""
        if last is not None and last["state"] == "running":
            message = (
                f"at work is run {last['id']}, of {last['source']} into the schema {last['target_schema']}"
            )
        elif holder:
            message = f"only converge migrate can be paused; at work is {who(holder)}"
        raise UsageError(
            message or "no run is at work on this target",
            code=Code.U036,
            hint="converge status shows the last run",
        )
    connection.execute("UPDATE converge.run SET paused = %s WHERE id = %s", (paused, run["id"]))
    return int(run["id"])


def keep_report(endpoint: Endpoint, move: Move, report: object) -> None:
    """Puts this report in the place of the one that the last run of this move has. Raises TargetError."""
    with closing(connect(endpoint)) as connection:
        connection.execute(
            "UPDATE converge.run SET report = %s::json WHERE id = (SELECT max(id) FROM converge.run "
            "WHERE source = %s AND target_schema = %s)",
            (encoded(report), *move),
        )


def last_evidence(
    connection: psycopg.Connection[Any], source: str, schema: str, number: int | None
) -> Evidence | None:
    """What the last run of this source into this schema was decided by, or the run of this number; None
    where that is not to be seen.

    Raises BlockedError for a load whose tables another version of converge has read.
    """
    if not _readable(connection, "evidence"):
        return None
    query = (
        "SELECT evidence FROM converge.run WHERE source = %s AND target_schema = %s "
        "AND id = coalesce(%s, id) ORDER BY id DESC LIMIT 1"
    )
    document = value(connection, query, (source, schema, number))
    found = decode(Evidence, document) if document else None
    if found is not None and found.existing is not None:
        _require_reader(found.existing, schema)
    return found


def last_load(connection: psycopg.Connection[Any], schema: str) -> LoadRun | None:
    """The last run in load mode into this schema that did not finish, or else the last; None where there was
    none. Raises BlockedError.

    A finished load can be resumed for its rejects, and fail, also after a later one.
    """
    if not require_ledger(connection):
        return None
    # Through its JSON, because a ledger of an earlier version has fewer columns.
    row = connection.execute(
        "SELECT id, source, state, to_jsonb(r) -> 'truncates', coalesce(to_jsonb(r) -> 'targets', '{}'), "
        "existing, coalesce(to_jsonb(r) -> 'next_values', '{}') FROM converge.run r, "
        "LATERAL (SELECT to_json(r) -> 'evidence' -> 'existing') e(existing) "
        "WHERE target_schema = %s AND json_typeof(existing) = 'object' "
        "ORDER BY state IN ('finished', 'recovered'), id DESC LIMIT 1",
        (schema,),
    ).fetchone()
    if row is None:
        return None
    run, source, state, truncates, targets, existing, next_values = row
    found = LoadRun(run, source, state, truncates, targets, decode(Existing, existing), next_values)
    if found.unfinished:
        _require_reader(found.existing, schema)
    return found


def unfinished_loads(connection: psycopg.Connection[Any]) -> list[tuple[int, str]]:
    """The runs in load mode that are not finished: the number of each, and its schema."""
    if not require_ledger(connection):
        return []
    query = (
        "SELECT id, target_schema FROM converge.run r "
        "WHERE json_typeof(to_json(r) -> 'evidence' -> 'existing') = 'object' "
        "AND state NOT IN ('finished', 'recovered') ORDER BY id"
    )
    return connection.execute(query).fetchall()


def _require_reader(existing: Existing, schema: str) -> None:
    if existing.reader != READER:
        raise BlockedError(
            f"the last load into the schema {schema} is of another version of converge, whose record of the "
            "schema this one cannot read",
            code=Code.L052,
            hint="go on with that version, or converge recover with it",
        )


def loaded_rows(connection: psycopg.Connection[Any], run: int) -> dict[str, int]:
    """The rows that a run has written, by source table."""
    rows = connection.execute(
        "SELECT source_table, sum(rows)::bigint FROM converge.chunk WHERE run_id = %s AND rows > 0 "
        "GROUP BY source_table ORDER BY source_table",
        (run,),
    )
    return dict(rows.fetchall())


def last_rehearsal(connection: psycopg.Connection[Any], source: str, schema: str) -> dict[str, Any] | None:
    """The report of the last run into this schema: one of this source and one that came to its end go first.

    None where there is none, or where it is not to be seen.
    """
    if not _readable(connection, "report"):
        return None
    query = (
        "SELECT report FROM converge.run WHERE target_schema = %s AND report IS NOT NULL "
        "AND state <> 'running' ORDER BY source = %s DESC, state = 'finished' DESC, id DESC LIMIT 1"
    )
    report: dict[str, Any] | None = value(connection, query, (schema, source))
    return report


def unreadable_ledger(connection: psycopg.Connection[Any]) -> BlockedError | None:
    """Why the role may not read the ledger, with the statements that let it; None where it may."""
    tables = ledger_tables(connection)
    if all(tables[name].readable for name in _READ if name in tables):
        return None
    name, ledger = value(connection, "SELECT current_user::text"), pg_name(LEDGER)
    role = pg_name(name)
    return BlockedError(
        f"the role {name} may not read the ledger, the tables of the schema {LEDGER}",
        code=Code.T004,
        hint=f"GRANT USAGE ON SCHEMA {ledger} TO {role};\n"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {ledger} TO {role};",
    )


def require_ledger(connection: psycopg.Connection[Any]) -> bool:
    """Whether there is a ledger. Raises BlockedError for a role that may not read it."""
    if (denied := unreadable_ledger(connection)) is not None:
        raise denied
    return "run" in ledger_tables(connection)


def _readable(connection: psycopg.Connection[Any], column: str, table: str = "run") -> bool:
    """Whether the ledger's table is there with this column, and the role may read it."""
    there = ledger_tables(connection).get(table)
    return there is not None and there.readable and column in there.columns


def server_and_database(connection: psycopg.Connection[Any]) -> tuple[object, ...]:
    """What tells this database from others, whatever its address: when its server started, and its oid."""
    query = "SELECT pg_postmaster_start_time(), oid FROM pg_database WHERE datname = current_database()"
    return tuple(connection.execute(query).fetchall()[0])


def record_verification(
    connection: psycopg.Connection[Any],
    run: int,
    level: str,
    report: Mapping[str, Any],
    unequal: Sequence[str],
) -> str:
    """Enters what came of a verification, and lets source tables that are not equal lose their rolling
    proof; returns why the ledger could not take it, or nothing."""
    try:
        connection.execute(
            "INSERT INTO converge.verification (run_id, level, verdict, report) "
            "VALUES (%s, %s, %s, %s::json)",
            (run, level, report["verdict"], encoded(report)),
        )
        if unequal and "proven" in ledger_tables(connection):
            forget_proof(connection, run, unequal)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        return str(error.diag.message_primary)
    return ""
