"""`converge migrations generate`: a revision from the difference of two schemas."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Literal, get_args

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, UsageError
from converge.model.definitions import NOTHING, Definitions
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.plan import Phase
from converge.model.quote import pg_name
from converge.model.revision import Applied, Generated
from converge.planner.difference import difference
from converge.planner.difference.widening import widens
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.postgres.history import last_load, last_run
from converge.postgres.ledger import run_optional
from converge.postgres.shadow import shadow
from converge.revisions.commands import require_known
from converge.revisions.drift import definitions
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.revisions.write import from_models, write
from converge.run.blockers import check_plan
from converge.run.connections import explained
from converge.run.options import Options
from converge.run.prepare import prepare

Origin = Literal["source", "target", "models"]


@dataclass(frozen=True, slots=True)
class Generator:
    """Writes the next revision into the folder, or nothing where there is no difference."""

    folder: Folder
    target: Endpoint
    name: str
    origin: Origin | None
    """None for the target where the folder is new and the target has tables, else the source."""
    source: Endpoint | None
    options: Options
    emit: Sink

    def generate(self) -> Generated:
        """Raises BlockedError when the target is not at the folder's head, and ConvergeError."""
        with explained(self.target, self.target):
            at = applied(self.folder, self.target)
            require_known(self.folder, at)
            if self.folder.require_head() is None:
                return self._baseline(at)
            if at.heads != tuple(sorted(self.folder.heads)):
                stands = ", ".join(at.heads) or "no revision"
                raise BlockedError(
                    f"{self.target} is at {stands}, and the folder's head is {', '.join(self.folder.heads)}",
                    code=Code.A011,
                    hint="converge migrations run",
                )
            if self.origin == "models":
                return self._from_models()
            if self.origin == "target":
                raise UsageError(
                    "the target is where the folder's revisions have led: only the first one is made from it",
                    code=Code.A012,
                    hint="--from source, or --from models",
                )
            return self._later(at)

    def _baseline(self, at: Applied) -> Generated:
        here = self._here(at)
        origin = self.origin or ("target" if here.tables else "source")
        if origin == "models":
            return self._from_models()
        after = here if origin == "target" else self._planned()
        says = {"baseline": after.digest, "schema": self.options.schema, "restores": "catalog"}
        return self._written(NOTHING, after, says, at, f"the {origin}", after.left_out)

    def _later(self, at: Applied) -> Generated:
        """What the source's schema has become since. Tables that never came from there stay as they are."""
        with connect(self.target) as connection:
            run, load = last_run(connection), last_load(connection, self.options.schema)
        loaded = run is not None and load is not None and (load.unfinished or run["id"] == load.id)
        if self.origin is None and loaded:
            raise BlockedError(
                f"the last run has filled tables in {self.options.schema} that the application's own "
                "migrations made: what they are to become is not the source's to say",
                code=Code.A017,
                hint="--from models compares with target_metadata of env.py; --from source would make them "
                "as converge migrate makes tables",
            )
        after = self._planned()
        made = (
            run["targets"].values() if run is not None and run["target_schema"] == self.options.schema else ()
        )
        own = [name for name in self._here(at).tables if name not in {*made, *after.tables}]
        before = self._here(at, *own)
        says = {"restores": "catalog"} if _loses(before, after) else {}
        left = (*after.left_out, *(f"table {self.options.schema}.{name} (not the source's)" for name in own))
        return self._written(before, after, says, at, "the source", left)

    def _from_models(self) -> Generated:
        revision = from_models(self.folder, self.target, self.name)
        return Generated(str(self.target), str(self.folder.location), revision, "the models", ())

    def _here(self, at: Applied, *without: str) -> Definitions:
        return definitions(self.target, self.options.schema, at.table[1], *without)

    def _planned(self) -> Definitions:
        """What `migrate` would make in an empty database like the target."""
        if self.source is None:
            hint = "--source mysql://user:password@host:3306/database"
            raise UsageError("no source is named", code=Code.U001, hint=hint)
        options, order = replace(self.options, mode="create"), get_args(Phase)
        with shadow(self.target) as place:
            with prepare(self.source, place, options, self.emit) as prepared:
                plan = prepared.plan
            check_plan(plan)
            with closing(connect(place)) as connection:
                if not plan.schema_exists:
                    connection.execute(f"CREATE SCHEMA {pg_name(plan.schema)}".encode())
                for statement in sorted(plan.statements, key=lambda one: order.index(one.phase)):
                    # Those that may be refused as a run tries them.
                    try:
                        run_optional(connection, statement)
                    except psycopg.Error as error:
                        wrong = explain(error, place)
                        wrong.message = f"{statement.object}: {wrong.message}"
                        raise wrong from error
                return read_definitions(connection, options.schema)

    def _written(
        self,
        before: Definitions,
        after: Definitions,
        says: dict[str, str],
        at: Applied,
        origin: str,
        left: tuple[str, ...],
    ) -> Generated:
        """With the revision, or None where there is no difference."""
        # env.py makes the schema of the version table before the first revision, and keeps it after the last.
        of_env = [f"{verb} SCHEMA {pg_name(at.table[0])}" for verb in ("CREATE", "DROP")]
        ways = difference(before, after), difference(after, before)
        up, down = ([step for step in steps if step.sql not in of_env] for steps in ways)
        revision = write(self.folder, self.name, up, down, says) if up else None
        objects = tuple(dict.fromkeys(step.object for step in up))
        return Generated(str(self.target), str(self.folder.location), revision, origin, objects, left)


def _loses(before: Definitions, after: Definitions) -> bool:
    """Whether rows or values go that no downgrade can bring back."""
    for name, one in before.objects.items():
        other = after.objects.get(name)
        if one.kind in ("table", "column") and other is None:
            return True
        if one.kind == "column" and other and not widens(one.facts["type"], other.facts["type"]):
            return True
    return False
