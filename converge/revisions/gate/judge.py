"""Refuses what may lose rows that are there, until it was validated or somebody says so by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.endpoint import Endpoint
from converge.model.quote import pg_name
from converge.model.revision import Applied, Danger, Direction, Revision
from converge.planner.difference.widening import widens
from converge.postgres.held import Held, Relation, counted, held
from converge.revisions.failures import one_line
from converge.revisions.folder import Folder
from converge.revisions.gate.source import executed
from converge.revisions.gate.statements import Effect, Kind, Statement, Unreadable, statements

_EVALUATE = ("evaluates", "rewrites", "retypes", "inserts")
_UNSURE_AFTER: Mapping[Kind, tuple[Kind, ...]] = {
    "rewrites": ("moves",),
    "inserts": ("moves", "arms"),
    "retypes": ("moves", "renames", "inserts"),
}
"""What a statement does is looked up in the database, which another statement has made another one."""


_NAMED = (
    "SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AND c.oid = "
)
"""A table by the name that it has now, where this role could take its rows."""


@dataclass(frozen=True)
class Judged:
    """What revisions may do to the rows that are there now."""

    tables: Sequence[Relation] = ()
    """All that could lose rows."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Of those that have any, and with 0 the used sequences of no column."""
    dangers: list[Danger] = field(default_factory=list)


def judged(
    folder: Folder,
    endpoint: Endpoint,
    revisions: Sequence[Revision],
    direction: Direction,
    at: Applied,
    accepted: Collection[str],
) -> Judged:
    """What these revisions, one after the other, may do to the rows that are there, but for `accepted` ones.

    Nothing is run but queries. Raises ConvergeError.
    """
    with held(endpoint, at.path) as database:
        judge = Judge(database, at)
        for revision in revisions:
            judge.read(folder, revision, direction)
        dangers = [danger for danger in judge.dangers if danger.revision not in accepted]
        ids = {danger.revision for danger in dangers}
        refused = [one for one in revisions if one.id in ids]
        ledger, named = (
            any(one.names_ledger for one in refused),
            {word for one in refused for word in one.words},
        )
        tables = database.tables(at.table, ledger=ledger, named=named) if dangers else []
        rows = {str(one): rows for one in tables if (rows := database.rows(one))}
        rows |= dict.fromkeys(database.used_sequences() if dangers else (), 0)
        return Judged(tables, rows, dangers)


class Judge:
    """What the database holds, and what is no longer sure after the statements so far."""

    def __init__(self, database: Held, at: Applied) -> None:
        self.dangers: list[Danger] = []
        self._database = database
        self._at = at
        self._revision = ""
        self._functions = set(database.functions())
        self._custom = database.custom()
        self._seen: dict[Kind, str] = {}
        """The last statement of each kind."""
        self._made: set[str] = set()
        """The tables that the statements so far have made, by their names without a schema."""

    def read(self, folder: Folder, revision: Revision, direction: Direction) -> None:
        self._revision = revision.id
        try:
            for text in executed(folder, revision, direction):
                self.judge(text)
        except Unreadable as error:
            self._may_do_anything("its Python", error.message)
        if any(map(self._database.hangs, self._database.relations(self._at.table))):
            self._may_do_anything(
                "Alembic's note of the version", f"runs what hangs on {'.'.join(self._at.table)}"
            )

    def judge(self, text: str) -> None:
        """Adds what the statements of this text could do."""
        if "\\" in text and not self._at.standard_strings:
            self._may_do_anything(one_line(text), "has a backslash, which this server may read as an escape")
        try:
            for statement in statements(text):
                self._judge(statement)
        except Unreadable as error:
            self._may_do_anything(one_line(text), error.message)

    def _judge(self, statement: Statement) -> None:
        effects = statement.effects
        if reason := self._unknown(statement, effects):
            self._may_do_anything(statement.text, reason)
        for effect in () if reason else effects:
            relations = self._database.relations(effect.relation) if effect.relation else []
            if unsure := self._unsure(effect, relations):
                self._may_do_anything(statement.text, unsure)
            elif loss := self._loss(effect, relations):
                self._refuse(statement.text, loss)
            self._seen[effect.kind] = statement.text
        self._functions.discard(statement.function)
        self._made.add(statement.table)

    def _unknown(self, statement: Statement, effects: Sequence[Effect]) -> str:
        """Why the statement may do anything, whatever the tables are; empty when it is known."""
        kinds = {one.kind for one in effects}
        if not kinds:
            return "is not known to keep every row"
        if "event trigger" in self._custom:
            return "runs an event trigger"
        if self._at.table[1].lower() in statement.words and kinds != {"keeps"}:
            # A trigger, a foreign key or another table by this name would act when Alembic notes the version.
            return f"names {'.'.join(self._at.table)}, which Alembic writes after the revision"
        if not kinds.intersection(_EVALUATE):
            return ""
        if self._custom:
            return f"evaluates expressions where the database has a custom {self._custom[0]}"
        return statement.unknown(self._functions)

    def _unsure(self, effect: Effect, relations: Sequence[Relation]) -> str:
        """Why it may do anything to these relations; empty when that is known."""
        unsure = [self._seen[one] for one in _UNSURE_AFTER.get(effect.kind, ()) if one in self._seen]
        if unsure:
            return f"may mean something else after {unsure[0]}"
        if effect.kind in ("rewrites", "retypes", "inserts"):
            if not relations and effect.relation[-1] not in self._made:
                return f"names {'.'.join(effect.relation)}, which is not there"
            for one in relations:
                if self._database.runs(one, inserting=effect.kind == "inserts"):
                    return f"runs triggers, rules or functions of {one}"
        return ""

    def _loss(self, effect: Effect, relations: Sequence[Relation]) -> str:
        if effect.kind == "loses":
            return "loses rows or values that are there"
        if effect.kind == "retypes":
            # It must hold every value of the old type, in all tables that may be meant.
            new = self._database.type_name(effect.type) if effect.type else ""
            old = [self._database.column_type(one, effect.column) for one in relations]
            if not (new and all(one and widens(one, new) for one in old)):
                return f"changes the type of {effect.column} to one that may not hold every value"
        return ""

    def _may_do_anything(self, text: str, reason: str) -> None:
        self._seen["moves"] = text
        self._refuse(text, reason)

    def _refuse(self, text: str, reason: str) -> None:
        self.dangers.append(Danger(self._revision, text, reason))


def require_empty(connection: Connection, revision: str, tables: Iterable[Relation]) -> None:
    """Locks these tables until the revision's transaction ends. Raises BlockedError for rows in them.

    What had no rows when the gate looked may have got some. The connection is that of the user's env.py, and
    may have another driver than ours.
    """

    def asked(query: str) -> list[Any]:
        # Drivers take a % for a parameter.
        return list(connection.exec_driver_sql(query.replace("%", "%%")).all())

    found = [(*one, table.condition) for table in tables for one in asked(f"{_NAMED}{table.oid}")]
    # Outside of a transaction a lock would end with its own statement.
    if found and connection.get_isolation_level() != "AUTOCOMMIT":
        names = ", ".join(pg_name(schema, name) for schema, name, _ in found)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE".replace("%", "%%"))
    for schema, name, condition in found:
        if rows := asked(counted(schema, name, condition))[0][0]:
            raise BlockedError(
                f"{schema}.{name} had no rows when the gate looked, and has {rows:,} now; "
                f"{revision} was rolled back",
                code=Code.A009,
                hint="run the same command again: it says what would become of these rows",
            )
