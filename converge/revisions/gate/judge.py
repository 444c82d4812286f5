"""Refuses what can lose rows that are there, until it was validated or somebody says so by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from converge.model.endpoint import Endpoint
from converge.model.revision import Applied, Danger, Direction, Revision
from converge.postgres.held import Held, Relation, held
from converge.revisions.folder import Folder
from converge.revisions.gate import widening
from converge.revisions.gate.effect import Arms, Effect, Empties, Fires, Loses, Renamed, Unjudged
from converge.revisions.gate.effects import effects, made_functions
from converge.revisions.gate.render import Unreadable, rendered
from converge.revisions.gate.source import hides
from converge.revisions.gate.words import Statement, one_line, statements

_TABLES = ("r", "p")


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
        judge = _Judge(database, at, direction)
        for revision in revisions:
            judge.read(folder, revision)
        return judge.found


class _Judge:
    """What is known of the database, and of what the revisions so far have done there."""

    def __init__(self, database: Held, at: Applied, direction: Direction) -> None:
        self.found = Judged()
        self._database = database
        self._at = at
        self._direction = direction
        self._revision = ""
        self._functions = set(database.functions())
        self._renamed: dict[tuple[str, str], Relation] = {}
        self._armed: set[str] = set()
        """Names of views that the revisions make; one that is empty for all relations."""
        self._given: set[Relation] = set()
        """To which the revisions themselves give rows."""
        self._filled: list[tuple[str, int]] | None = None

    def read(self, folder: Folder, revision: Revision) -> None:
        self._revision = revision.id
        reason = hides(revision.text)
        try:
            written = [] if reason else rendered(folder, revision, self._direction)
        except Unreadable as error:
            reason, written = f"it cannot be read without running it: {error.message}", []
        if reason:
            self._anywhere("", reason)
        for text in written:
            for statement in statements(text):
                self._judge(statement)

    def _judge(self, statement: Statement) -> None:
        self._functions.update(made_functions(statement))
        text = one_line(statement.text)
        for effect in effects(statement, self._functions):
            self._weigh(effect, text)

    def _weigh(self, effect: Effect, text: str) -> None:
        match effect:
            case Unjudged():
                self._anywhere(text, effect.reason)
            case Empties():
                for table in self._database.tables(effect.schema):
                    self._lose(table, text, "it drops the table")
            case Renamed():
                self._rename(effect)
            case Arms():
                self._armed.add(effect.relation[-1] if effect.relation else "")
            case Fires():
                self._fire(effect, text)
            case Loses() if not effect.relation:
                self._anywhere(text, effect.reason)
            case Loses():
                relation = self._find(effect.relation)
                reason = relation and (self._narrows(effect, relation) if effect.becomes else effect.reason)
                if relation and reason:
                    self._lose(relation, text, reason)

    def _lose(self, relation: Relation, text: str, reason: str) -> None:
        if (relation.schema, relation.name) == self._at.table:
            return
        if rows := self._database.rows(relation):
            others = () if relation.kind in _TABLES else tuple(name for name, _ in self._all_filled())
            self.found.dangers.append(
                Danger(self._revision, self._direction, text, str(relation), rows, reason, True, others)
            )
        elif relation not in self._given:
            self.found.spared.setdefault(self._revision, []).append(relation)

    def _anywhere(self, text: str, reason: str) -> None:
        """What nobody can judge is harmless only where no table has rows."""
        if filled := self._all_filled():
            rows, names = sum(rows for _, rows in filled), tuple(name for name, _ in filled)
            self.found.dangers.append(
                Danger(self._revision, self._direction, text, "", rows, reason, False, names)
            )

    def _all_filled(self) -> list[tuple[str, int]]:
        if self._filled is None:
            self._filled = list(self._database.filled(None, self._at.table))
        return self._filled

    def _fire(self, effect: Fires, text: str) -> None:
        if not effect.relation:
            self._anywhere(text, "a name in it cannot be read")
            return
        relation, name = self._find(effect.relation), effect.relation[-1]
        armed = not self._armed.isdisjoint({"", name})
        if armed or (relation is not None and self._database.runs(relation, effect.events)):
            self._anywhere(text, f"triggers, rules or functions of {name} may do anything")
        if relation is not None and "insert" in effect.events:
            self._given.add(relation)

    def _narrows(self, effect: Loses, relation: Relation) -> str:
        """Why the column's new type may not hold the values; empty when it holds them all."""
        old = self._database.column_type(relation, effect.column)
        written = widening.split(effect.becomes, effect.column)
        new = self._database.type_name(written) if written else ""
        if old and new and widening.widens(old, new):
            return ""
        from_ = f" from {old}" if old else ""
        return f"{effect.reason}{from_}, to what may not hold every value" if written else effect.reason

    def _find(self, name: tuple[str, ...]) -> Relation | None:
        """What this name means in the database as it is now, by the names that it has had."""
        for schema in (name[-2],) if len(name) > 1 else self._at.path:
            if (schema, name[-1]) in self._renamed:
                return self._renamed[schema, name[-1]]
        return self._database.relation(*name[-2:])

    def _rename(self, effect: Renamed) -> None:
        if effect.relation[-1] in self._armed:
            self._armed.add(effect.name or effect.relation[-1])
        relation = self._find(effect.relation)
        if relation is not None:
            schema = effect.schema or (effect.relation[-2] if len(effect.relation) > 1 else relation.schema)
            self._renamed[schema, effect.name or effect.relation[-1]] = relation
