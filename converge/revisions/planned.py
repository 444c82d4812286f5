"""The schema that the source has in the target's words, as it is planned now: made and read, without rows."""

from __future__ import annotations

from contextlib import closing
from typing import get_args

import psycopg

from converge.errors import ConvergeError
from converge.model.definitions import Definitions
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Phase, Plan
from converge.model.quote import pg_name
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect, explain
from converge.postgres.shadow import shadow
from converge.postgres.steps import attempt
from converge.run.blockers import check_plan
from converge.run.options import Options
from converge.run.prepare import prepare

_ORDER = get_args(Phase)


def planned(source: Endpoint, target: Endpoint, options: Options, emit: Sink) -> Definitions:
    """What `migrate` would make in an empty database like the target. Raises ConvergeError."""
    with shadow(target) as place:
        with prepare(source, place, options, emit) as prepared:
            plan = prepared.plan
        check_plan(plan, expected_digest="")
        _make(place, plan)
        with closing(connect(place)) as connection:
            return read_definitions(connection, options.schema)


def _make(place: Endpoint, plan: Plan) -> None:
    """All statements of the plan, in their order; those that may be refused, as a run tries them."""
    with closing(connect(place)) as connection:
        if not plan.schema_exists:
            connection.execute(f"CREATE SCHEMA {pg_name(plan.schema)}".encode())
        for statement in sorted(plan.statements, key=lambda one: _ORDER.index(one.phase)):
            try:
                attempt(connection, statement)
            except psycopg.Error as error:
                raise _explained(error, place, statement.object) from error


def _explained(error: psycopg.Error, place: Endpoint, object_: str) -> ConvergeError:
    wrong = explain(error, place)
    wrong.message = f"{object_}: {wrong.message}"
    return wrong
