"""Refuses what can lose rows that are there, until it was validated or somebody says so by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from converge.model.endpoint import Endpoint
from converge.model.revision import Applied, Danger, Direction, Revision
from converge.postgres.held import Held, Relation, held
from converge.revisions.folder import Folder
from converge.revisions.gate import widening
from converge.revisions.gate.effect import Effect, Empties, Loses, Renamed, Unjudged
from converge.revisions.gate.effects import effects, made_functions
from converge.revisions.gate.render import Unreadable, rendered
from converge.revisions.gate.source import hides
from converge.revisions.gate.words import Statement, statements

_SHOWN = 200
_TABLES = ("r", "p")


def dangers(
    folder: Folder, endpoint: Endpoint, revisions: Sequence[Revision], direction: Direction, at: Applied
) -> list[Danger]:
    """What these revisions, one after the other, could do to the rows that are there now.

    Nothing is run but queries. Raises ConvergeError.
    """
    with held(endpoint, at.path) as database:
        judge = _Judge(database, at)
        return [danger for revision in revisions for danger in judge.of(folder, revision, direction)]


class _Judge:
    """What is known of the database, and of what the revisions so far have renamed there."""

    def __init__(self, database: Held, at: Applied) -> None:
        self._database = database
        self._at = at
        self._functions = set(database.functions())
        self._renamed: dict[tuple[str, str], Relation] = {}
        self._filled: list[tuple[str, int]] | None = None

    def of(self, folder: Folder, revision: Revision, direction: Direction) -> Iterator[Danger]:
        reason = hides(revision.text)
        try:
            written = [] if reason else rendered(folder, revision, direction)
        except Unreadable as error:
            reason, written = f"it cannot be read without running it: {error.message}", []
        if reason:
            yield from self._anywhere("", reason, revision, direction)
        for text in written:
            for statement in statements(text):
                yield from self._judged(statement, revision, direction)

    def _judged(self, statement: Statement, revision: Revision, direction: Direction) -> Iterator[Danger]:
        self._functions.update(made_functions(statement))
        for effect in effects(statement, self._functions):
            for danger in self._weighed(effect, _short(statement.text), revision, direction):
                yield replace(danger, statement=_short(statement.text))

    def _weighed(
        self, effect: Effect, text: str, revision: Revision, direction: Direction
    ) -> Iterator[Danger]:
        if isinstance(effect, Unjudged):
            yield from self._anywhere(text, effect.reason, revision, direction)
        elif isinstance(effect, Empties):
            for table, rows in self._database.filled(effect.schema, self._at.table):
                yield Danger(revision.id, direction, text, table, rows, "it drops the table", True)
        elif isinstance(effect, Renamed):
            self._rename(effect)
        elif not effect.relation:
            yield from self._anywhere(text, effect.reason, revision, direction)
        elif (relation := self._find(effect.relation)) is not None and (rows := self._rows(relation)):
            reason = self._narrows(effect, relation) if effect.becomes else effect.reason
            if reason:
                others = () if relation.kind in _TABLES else tuple(name for name, _ in self._all_filled())
                yield Danger(revision.id, direction, text, str(relation), rows, reason, True, others)

    def _anywhere(self, text: str, reason: str, revision: Revision, direction: Direction) -> Iterator[Danger]:
        """What nobody can judge is harmless only where no table has rows."""
        if filled := self._all_filled():
            rows, tables = sum(rows for _, rows in filled), tuple(name for name, _ in filled)
            yield Danger(revision.id, direction, text, "", rows, reason, False, tables)

    def _all_filled(self) -> list[tuple[str, int]]:
        if self._filled is None:
            self._filled = list(self._database.filled(None, self._at.table))
        return self._filled

    def _narrows(self, effect: Loses, relation: Relation) -> str:
        """Why the column's new type may not hold the values; empty when it holds them all."""
        old = self._database.column_type(relation, effect.column)
        written = widening.split(effect.becomes, effect.column)
        new = self._database.type_name(written) if written else ""
        if old and new and widening.widens(old, new):
            return ""
        from_ = f" from {old}" if old else ""
        return f"{effect.reason}{from_}, to what may not hold every value" if written else effect.reason

    def _rows(self, relation: Relation) -> int:
        own = (relation.schema, relation.name) == self._at.table
        return 0 if own else self._database.rows(relation)

    def _find(self, name: tuple[str, ...]) -> Relation | None:
        """What this name means in the database as it is now, by the names that it has had."""
        for schema in (name[-2],) if len(name) > 1 else self._at.path:
            if (schema, name[-1]) in self._renamed:
                return self._renamed[schema, name[-1]]
        return self._database.relation(*name[-2:])

    def _rename(self, effect: Renamed) -> None:
        relation = self._find(effect.relation)
        if relation is not None:
            schema = effect.schema or (effect.relation[-2] if len(effect.relation) > 1 else relation.schema)
            self._renamed[schema, effect.name or effect.relation[-1]] = relation


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
