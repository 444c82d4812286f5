"""The plan of each run as the ledger has recorded it, with its options and the schema that it has made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from converge.codes import Code
from converge.model.documents import plain
from converge.model.endpoint import Endpoint, parse, same_server
from converge.model.evidence import Evidence
from converge.model.finding import Finding
from converge.model.plan import Plan
from converge.model.recorded import READER, Made, Recorded, RunOptions, decode, encoded
from converge.postgres.history import unreadable_ledger
from converge.postgres.ledger import BEGUN
from converge.postgres.lock import STATE
from converge.postgres.query import value
from converge.postgres.target import ledger_tables

_NO_PLAN = "an earlier version of converge began the last run and kept no plan"


@dataclass(frozen=True, slots=True)
class Unseen:
    """There is no run that a later command can work from."""

    reason: str
    hint: str = ""

    @property
    def finding(self) -> Finding:
        """The finding that this command's options decide."""
        message = f"planned by the options of this command: {self.reason}"
        return Finding(Code.V113, "note", "plan", message, self.hint)


def record_plan(connection: psycopg.Connection[Any], run: int, options: RunOptions, plan: Plan) -> None:
    """Keeps what a run has planned, and by which options."""
    connection.execute(
        "INSERT INTO converge.plan (run_id, options, plan) VALUES (%s, %s::json, %s::json)",
        (run, json.dumps(asdict(options)), json.dumps(plan.to_json())),
    )


def replace_plan(
    connection: psycopg.Connection[Any], run: int, plan: Plan, evidence: Evidence, numbers: Mapping[int, int]
) -> None:
    """Gives a run another plan, in which its statements have these `numbers` by those that they had.

    The plan has none of the others; chunks and rejects of tables that it does not have go. What was compared
    before was another plan's: nothing is `verified`.
    """
    document = json.dumps(plan.to_json())
    connection.execute("UPDATE converge.plan SET plan = %s::json WHERE run_id = %s", (document, run))
    connection.execute(
        "UPDATE converge.run SET plan_digest = %s, evidence = %s::json, targets = %s::jsonb, "
        """report = CASE WHEN report ->> 'verdict' <> 'verified' THEN report """
        """ELSE jsonb_set(report::jsonb, '{verdict}', '"migrated"')::json END WHERE id = %s""",
        (plan.digest, encoded(plain(evidence)), json.dumps(plan.targets), run),
    )
    connection.execute(
        "UPDATE converge.verification SET report = jsonb_set(report::jsonb, '{of_run}', 'false')::json "
        "WHERE run_id = %s",
        (run,),
    )
    gone = "DELETE FROM converge.step WHERE run_id = %s AND NOT number = ANY (%s)"
    connection.execute(gone, (run, [*numbers]))
    for name in ("chunk", "reject"):
        gone = f"DELETE FROM converge.{name} WHERE run_id = %s AND NOT source_table = ANY (%s)"
        connection.execute(gone.encode(), (run, [*plan.targets]))
    # No two may have one number in between.
    connection.execute(
        "UPDATE converge.step SET number = -1 - n.now FROM unnest(%s::int[], %s::int[]) n(was, now) "
        "WHERE run_id = %s AND number = n.was",
        ([*numbers], [*numbers.values()], run),
    )
    connection.execute(
        "UPDATE converge.step SET number = -1 - number WHERE run_id = %s AND number < 0", (run,)
    )


def record_there(connection: psycopg.Connection[Any], run: int, objects: Mapping[str, str]) -> None:
    """Keeps the names of the objects that are there before the run makes or fills any."""
    connection.execute(
        "UPDATE converge.plan SET there = %s::json "
        f"WHERE run_id = %s AND NOT {BEGUN.format(run='plan.run_id')}",
        (json.dumps(list(objects)), run),
    )


def keep_there(connection: psycopg.Connection[Any], run: int, names: Collection[str]) -> None:
    """Adds names of objects that others have made."""
    there = objects_there(connection, run)
    if not there.issuperset(names):
        connection.execute(
            "UPDATE converge.plan SET there = %s::json WHERE run_id = %s",
            (json.dumps(sorted({*there, *names})), run),
        )


def objects_there(connection: psycopg.Connection[Any], run: int) -> set[str]:
    """The names that `record_there` has kept; none for a run that an earlier version has begun."""
    return set(value(connection, "SELECT there FROM converge.plan WHERE run_id = %s", (run,)) or ())


def record_made(connection: psycopg.Connection[Any], run: int, made: Made) -> None:
    """Keeps the schema that the run has made."""
    connection.execute(
        "UPDATE converge.plan SET made = %s::json WHERE run_id = %s", (json.dumps(asdict(made)), run)
    )


def recorded_made(connection: psycopg.Connection[Any], run: int) -> Made | None:
    """What the run had made when that was last recorded, also of one that is not finished."""
    return _made(value(connection, "SELECT made FROM converge.plan WHERE run_id = %s", (run,)))


def runs_with_tables(connection: psycopg.Connection[Any]) -> list[tuple[int, str, Made]]:
    """The runs of which a table was not made again, with the schema and what each has made, the last first.

    None where the role may not change the record.
    """
    tables = ledger_tables(connection)
    if not all(
        name in tables and tables[name].readable and tables[name].writable for name in ("run", "plan")
    ):
        return []
    rows = connection.execute(
        "SELECT id, target_schema, made FROM converge.run JOIN converge.plan ON run_id = id WHERE id IN ("
        "SELECT DISTINCT ON (target_schema, value) id FROM converge.run JOIN converge.plan ON run_id = id "
        # A load that keeps the rows of all tables has none.
        "LEFT JOIN jsonb_each_text(targets) ON true WHERE made IS NOT NULL AND state <> 'recovered' "
        "ORDER BY target_schema, value, id DESC) ORDER BY id DESC"
    ).fetchall()
    return [(run, schema, found) for run, schema, made in rows if (found := _made(made)) is not None]


def last_recorded(
    connection: psycopg.Connection[Any], source: Endpoint, schema: str | None, number: int | None = None
) -> Recorded | Unseen:
    """The last run of this source, into this schema or of this number where one is named, or why there is
    none to be seen.

    Another user of the same server is the same source; so is a database of the same name elsewhere, such as
    a replica, where no run has the address of this server.
    """
    tables = ledger_tables(connection)
    which = f"run {number} of this source" if number else "run of this source"
    none = Unseen(f"the ledger knows no {which}{f' into the schema {schema}' if schema else ''}")
    if "run" not in tables:
        return none
    if (denied := unreadable_ledger(connection)) is not None:
        return Unseen(denied.message, denied.hint or "")
    rows = connection.execute(
        "SELECT id, source FROM converge.run WHERE state <> 'recovered' "
        "AND (%(schema)s::text IS NULL OR target_schema = %(schema)s) "
        "AND (%(number)s::bigint IS NULL OR id = %(number)s) ORDER BY id DESC",
        {"schema": schema, "number": number},
    ).fetchall()
    ranked = [(not same, -run) for run, url in rows if (same := same_server(source, url)) is not None]
    if not ranked:
        return none
    run = -min(ranked)[1]
    if "plan" not in tables:
        return Unseen(_NO_PLAN)
    row = connection.execute(
        f"SELECT r.source, {STATE}, to_char(r.started_at AT TIME ZONE 'UTC', "
        "'YYYY-MM-DD HH24:MI:SS \"UTC\"'), r.position, p.options, p.plan, p.made "
        "FROM converge.run r JOIN converge.plan p ON p.run_id = r.id WHERE r.id = %s",
        (run,),
    ).fetchone()
    if row is None:
        return Unseen(_NO_PLAN)
    url, state, started, position, options, plan, made = row
    known: Plan = decode(Plan, plan)
    return Recorded(
        run, url, state, started, decode(RunOptions, options), known,
        _made(made) if state == "finished" else None, position,
        _elsewhere(connection, run, source if url == str(source) else parse(url), known),
    )  # fmt: skip


def _elsewhere(connection: psycopg.Connection[Any], run: int, source: Endpoint, plan: Plan) -> dict[str, int]:
    """Source tables that are in the target, made by another finished run of the run's source, with the last
    such run.

    What the run itself has not made may come from another address of the server, such as a tunnel's.
    """
    query = (
        "SELECT id, source, ARRAY(SELECT key "
        "FROM jsonb_each_text(coalesce(to_jsonb(run) -> 'targets', '{}')) JOIN pg_class ON relname = value "
        "AND relnamespace = to_regnamespace(quote_ident(target_schema))) "
        "FROM converge.run WHERE state = 'finished' AND id <> %s AND target_schema = %s ORDER BY id"
    )
    own = plan.targets
    return {
        table: other
        for other, url, targets in connection.execute(query, (run, plan.schema))
        if (same := same_server(source, url)) is not None
        for table in targets
        if table not in own or (other > run and same)
    }


def _made(document: Any) -> Made | None:
    """None, too, for what another version has read in another way."""
    found = None if document is None else decode(Made, document)
    return found if found is not None and found.reader == READER else None
