"""`converge migrations generate`: a revision from the difference of two schemas."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal, get_args

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, ConvergeError, UsageError
from converge.model.definitions import NOTHING, Definitions
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Phase, Plan
from converge.model.quote import pg_name
from converge.model.revision import Applied, Generated, Revision
from converge.planner.difference import difference
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect, explain
from converge.postgres.history import last_load, last_run
from converge.postgres.shadow import shadow
from converge.postgres.steps import attempt
from converge.revisions.drift import definitions
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.revisions.gate.widening import widens
from converge.revisions.way import require_known
from converge.revisions.write import from_models, write
from converge.run.blockers import check_plan
from converge.run.connections import explained
from converge.run.options import Options
from converge.run.prepare import prepare

Origin = Literal["source", "target", "models"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a revision is to be made from."""

    name: str
    schema: str
    origin: Origin | None
    """None for the target where the folder is new and the target has tables, else the source."""
    planned: Callable[[], Definitions]
    """The source's schema as it is planned now, for those who ask."""


def generate(folder: Folder, target: Endpoint, wish: Wish) -> Generated:
    """Writes the next revision into the folder, or nothing where there is no difference.

    Raises BlockedError when the target is not at the folder's head, and ConvergeError.
    """
    with explained(target, target):
        at = applied(folder, target)
        require_known(folder, at)
        if folder.require_head() is None:
            return _baseline(folder, target, wish, at)
        _require_at_head(folder, target, at)
        if wish.origin == "models":
            return _from_models(folder, target, wish)
        if wish.origin == "target":
            raise UsageError(
                "the target is where the folder's revisions have led: only the first one is made from it",
                code=Code.A012,
                hint="--from source, or --from models",
            )
        return _later(folder, target, wish, at)


def _baseline(folder: Folder, target: Endpoint, wish: Wish, at: Applied) -> Generated:
    here = definitions(target, wish.schema, at.table[1])
    origin = wish.origin or ("target" if here.tables else "source")
    if origin == "models":
        return _from_models(folder, target, wish)
    after = here if origin == "target" else wish.planned()
    says = {"baseline": after.digest, "schema": wish.schema, "restores": "catalog"}
    revision, objects = _written(folder, wish.name, NOTHING, after, says, at)
    return Generated(str(target), str(folder.location), revision, f"the {origin}", objects, after.unwritten)


def _later(folder: Folder, target: Endpoint, wish: Wish, at: Applied) -> Generated:
    """What the source's schema has become since. Tables that never came from there stay as they are."""
    if wish.origin is None:
        _require_source_decides(target, wish.schema)
    after = wish.planned()
    theirs = _from_source(target, wish.schema) | set(after.tables)
    every = definitions(target, wish.schema, at.table[1])
    own = [name for name in every.tables if name not in theirs]
    before = definitions(target, wish.schema, at.table[1], *own)
    says = {"restores": "catalog"} if _loses(before, after) else {}
    revision, objects = _written(folder, wish.name, before, after, says, at)
    left = (*after.unwritten, *(f"table {wish.schema}.{name} (not the source's)" for name in own))
    return Generated(str(target), str(folder.location), revision, "the source", objects, left)


def _from_models(folder: Folder, target: Endpoint, wish: Wish) -> Generated:
    revision = from_models(folder, target, wish.name)
    return Generated(str(target), str(folder.location), revision, "the models", ())


def _written(
    folder: Folder, name: str, before: Definitions, after: Definitions, says: dict[str, str], at: Applied
) -> tuple[Revision | None, tuple[str, ...]]:
    """The revision, or None where there is no difference; and the objects that it is about."""
    # env.py makes the schema of the version table before the first revision, and keeps it after the last.
    of_env = tuple(f"{verb} SCHEMA {pg_name(at.table[0])}" for verb in ("CREATE", "DROP"))
    ways = difference(before, after), difference(after, before)
    up, down = (tuple(step for step in steps if step.sql not in of_env) for steps in ways)
    revision = write(folder, name, up, down, says) if up else None
    return revision, tuple(dict.fromkeys(step.object for step in up))


def _require_at_head(folder: Folder, target: Endpoint, at: Applied) -> None:
    if at.heads != tuple(sorted(folder.heads)):
        stands = ", ".join(at.heads) or "no revision"
        raise BlockedError(
            f"{target} is at {stands}, and the folder's head is {', '.join(folder.heads)}",
            code=Code.A011,
            hint="converge migrations run",
        )


def _require_source_decides(target: Endpoint, schema: str) -> None:
    """Raises BlockedError where the tables are an application's own, which the source says nothing of."""
    with connect(target) as connection:
        run, load = last_run(connection), last_load(connection, schema)
    if run is not None and load is not None and run["id"] == load.id:
        raise BlockedError(
            f"the last run has filled tables in {schema} that the application's own migrations made: "
            "what they are to become is not the source's to say",
            code=Code.A017,
            hint="--from models compares with target_metadata of env.py; --from source would make them as "
            "converge migrate makes tables",
        )


def _from_source(target: Endpoint, schema: str) -> set[str]:
    """The tables that the last run has made from the source."""
    with connect(target) as connection:
        run = last_run(connection)
    if run is None or run["target_schema"] != schema:
        return set()
    return set(run["targets"].values())


def _loses(before: Definitions, after: Definitions) -> bool:
    """Whether rows or values go that no downgrade can bring back."""
    for name, one in before.objects.items():
        other = after.objects.get(name)
        if one.kind in ("table", "column") and other is None:
            return True
        if one.kind == "column" and other and not widens(one.facts["type"], other.facts["type"]):
            return True
    return False


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
