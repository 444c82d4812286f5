"""Refuses what can lose rows that are there, until it was validated or somebody says so by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from converge.model.endpoint import Endpoint
from converge.model.revision import Applied, Danger, Direction, Revision
from converge.postgres.held import Held, Relation, held
from converge.revisions.folder import Folder
from converge.revisions.gate import widening
from converge.revisions.gate.allowed import Effect, Kind, effects, made_function, unknown_call
from converge.revisions.gate.render import Unreadable, rendered
from converge.revisions.gate.source import unknown_python
from converge.revisions.gate.words import Statement, one_line, statements

_EVALUATE = ("evaluates", "rewrites", "retypes", "inserts")
_UNSURE_AFTER: Mapping[Kind, tuple[Kind, ...]] = {
    "rewrites": ("moves",),
    "reads": ("moves", "arms"),
    "inserts": ("moves", "arms"),
    "takes": ("moves", "inserts"),
    "retypes": ("moves", "renames", "inserts"),
}
"""What a statement does is looked up in the database, which another statement has made another one."""


@dataclass(frozen=True)
class Judged:
    """What revisions could do to the rows that are there now."""

    dangers: list[Danger] = field(default_factory=list)
    spared: dict[str, list[Relation]] = field(default_factory=dict)
    """By revision: what has no rows now, and would lose them."""


def judged(
    folder: Folder, endpoint: Endpoint, revisions: Sequence[Revision], direction: Direction, at: Applied
) -> Judged:
    """What these revisions, one after the other, could do to the rows that are there now.

    Nothing is run but queries. Raises ConvergeError.
    """
    with held(endpoint, at.path) as database:
        judge = Judge(database, at, direction)
        for revision in revisions:
            judge.read(folder, revision)
        return judge.result


class Judge:
    """What the database holds, and what is no longer sure after the statements so far."""

    def __init__(self, database: Held, at: Applied, direction: Direction) -> None:
        self.result = Judged()
        self._database = database
        self._at = at
        self._direction = direction
        self._revision = ""
        self._functions = set(database.functions())
        self._custom = database.custom()
        self._seen: dict[Kind, str] = {}
        """The last statement of each kind."""

    def read(self, folder: Folder, revision: Revision) -> None:
        self._revision = revision.id
        reason = unknown_python(revision.text)
        try:
            written = [] if reason else rendered(folder, revision, self._direction)
        except Unreadable as error:
            reason, written = f"cannot be read without running it: {error.message}", []
        if reason:
            self._may_do_anything("its Python", reason)
        for text in written:
            self.judge(text)
        if self._version_runs:
            self._may_do_anything("Alembic's note of the version", f"runs what hangs on {self._version}")

    def judge(self, text: str) -> None:
        """Adds what the statements of this text could do."""
        for statement in statements(text):
            self._judge(statement)

    def _judge(self, statement: Statement) -> None:
        text = one_line(statement.text)
        found = effects(statement)
        if found is None:
            self._may_do_anything(text, "is not known to keep every row")
        elif "event trigger" in self._custom:
            self._may_do_anything(text, "runs an event trigger")
        else:
            named = any(word.text.lower() == self._at.table[1].lower() for word in statement.words)
            for effect in found:
                self._weigh(effect, text, of_version=named)
        self._functions.discard(made_function(statement))

    @property
    def _version(self) -> str:
        return ".".join(self._at.table)

    @cached_property
    def _version_runs(self) -> bool:
        """Whether Alembic's own writing of the version runs what users have written."""
        return any(map(self._database.hangs, self._database.relations(self._at.table)))

    def _weigh(self, effect: Effect, text: str, *, of_version: bool) -> None:
        if of_version and effect.kind != "keeps":
            # A trigger, a foreign key or another table by this name would act when Alembic notes the version.
            self._may_do_anything(text, f"names {self._version}, which Alembic writes after the revision")
            return
        unsure = [self._seen[one] for one in _UNSURE_AFTER.get(effect.kind, ()) if one in self._seen]
        reason = f"may mean something else after {unsure[0]}" if unsure else self._runs_own(effect)
        if reason:
            self._may_do_anything(text, reason)
        elif effect.kind == "takes" or (effect.kind == "retypes" and not self._widens(effect)):
            for name in effect.relations:
                self._lose(self._database.relations(name), text, effect.reason)
        self._seen[effect.kind] = text

    def _runs_own(self, effect: Effect) -> str:
        """Why the statement may run what users have written; empty when it runs nothing of theirs."""
        relations = [one for name in effect.relations for one in self._database.relations(name)]
        if effect.kind == "reads":
            views = [one for one in relations if one.kind not in ("r", "p")]
            return f"reads {views[0]}, which is no table" if views else ""
        if effect.kind not in _EVALUATE:
            return ""
        if self._custom:
            return f"evaluates expressions where the database has a custom {self._custom[0]}"
        if reason := unknown_call(effect.statement, self._functions):
            return reason
        runs = [one for one in relations if self._database.runs(one, inserting=effect.kind == "inserts")]
        return f"runs triggers, rules or functions of {runs[0]}" if runs else ""

    def _lose(self, relations: Iterable[Relation], text: str, reason: str) -> None:
        for relation in relations:
            if (relation.schema, relation.name) == self._at.table or relation.kind in ("v", "m"):
                continue
            if rows := self._database.rows(relation):
                # A sequence's position shows in no table: any may have been filled by it.
                others = tuple(name for name, _ in self._all) if relation.kind == "S" else (str(relation),)
                self._danger(text, str(relation), rows, reason, others)
            else:
                self.result.spared.setdefault(self._revision, []).append(relation)

    def _may_do_anything(self, text: str, reason: str) -> None:
        """Which is harmless only where no table has rows."""
        self._seen["moves"] = text
        if self._all:
            names = tuple(name for name, _ in self._all)
            self._danger(text, "", sum(rows for _, rows in self._all), reason, names)

    def _danger(self, text: str, table: str, rows: int, reason: str, tables: tuple[str, ...]) -> None:
        danger = Danger(self._revision, self._direction, text, table, rows, reason, tables)
        self.result.dangers.append(danger)

    @cached_property
    def _all(self) -> list[tuple[str, int]]:
        return list(self._database.filled(self._at.table))

    def _widens(self, effect: Effect) -> bool:
        """Whether the column's new type holds every value of the old one, in all tables that may be meant."""
        written = widening.split(effect.statement.words, effect.column)
        new = self._database.type_name(written) if written else ""
        old = [
            self._database.column_type(one, effect.column)
            for one in self._database.relations(effect.relations[0])
        ]
        return bool(new) and all(one and widening.widens(one, new) for one in old)
