"""What becomes of the source's keys, checks and views where the target has its own."""

from __future__ import annotations

from converge.codes import Code
from converge.model.catalog import Index
from converge.model.existing import OwnForeignKey, OwnIndex
from converge.model.plan import Finding, Outcome
from converge.planner.draft import Draft
from converge.planner.load.match import Loading, Match


def note_objects(draft: Draft, loading: Loading) -> None:
    """An outcome for each key, check and view of the source."""
    keys = {(key.table, key.columns): key for key in loading.existing.foreign_keys}
    for name in draft.tables:
        match = loading.matches[name]
        _indexes(draft, match)
        for key in match.source.foreign_keys:
            columns = tuple(_target(match, column) for column in key.columns)
            _foreign_key(draft, f"{name}.{key.name}", keys.get((match.own.quoted, columns)))
        for check in match.source.checks:
            _say(draft, "check", f"{name}.{check.name}", "", "the target's own conditions hold")
        if match.source.checks and not match.own.checks:
            listed = ", ".join(one.name for one in match.source.checks)
            _left(draft, Code.L032, name, f"the target has no CHECK constraints; the source has {listed}")
    loaded = {table.target for table in draft.tables.values()}
    for name, tables in loading.existing.materialized:
        if loaded.intersection(tables):
            draft.find(Code.L150, "note", name, "is a materialized view of loaded tables: it is refreshed")
            sql = f"REFRESH MATERIALIZED VIEW {name}"
            draft.do("refresh", name, sql, "its rows are of before the load", optional=True)
    for view in draft.catalog.views:
        there = view.name in loading.existing.views
        _say(draft, "view", view.name, view.name if there else "", "the target has its own views")


def _indexes(draft: Draft, match: Match) -> None:
    """An outcome for each index; a finding for each lost unique key, and one for all other lost indexes."""
    missing = []
    for index in match.source.indexes:
        name = f"{match.source.name}.{index.name}"
        columns = tuple(_target(match, part.column or "") for part in index.parts)
        own = _like(match, index, columns)
        listed = ", ".join(part.column or part.expression or "" for part in index.parts)
        if own is not None:
            _say(draft, "index", name, own.name, "the target's own key over the same columns")
        elif index.unique and "" not in columns:
            message = f"unique in the source, but the target has no unique key on ({listed})"
            draft.left(Code.L017, "index", name, message)
        else:
            missing.append(f"{index.name} ({listed})")
            _say(draft, "index", name, "", "the target has no index over these columns")
    if missing:
        message = f"indexes that the target does not have: {', '.join(missing)}"
        _left(draft, Code.L031, match.source.name, message)


def _left(draft: Draft, code: Code, name: str, message: str) -> None:
    """One finding for objects of a table that are not migrated, which have their outcomes."""
    hint = "a migration of the application"
    draft.findings.append(Finding(code, "lossy", name, message, hint, not_migrated=True))


def _like(match: Match, index: Index, columns: tuple[str, ...]) -> OwnIndex | None:
    """The target's index that serves for the source's: over the same columns; a unique one over fewer, which
    promises more; for one that is not unique, one that begins with its columns."""
    for own in match.own.indexes:
        if index.unique:
            serves = own.unique and (own.columns == columns or set(own.columns) <= set(columns) - {""})
        else:
            serves = own.columns[: len(columns)] == columns
        if serves and not own.predicate:
            return own
    return None


def _foreign_key(draft: Draft, name: str, own: OwnForeignKey | None) -> None:
    if own is not None:
        _say(draft, "foreign key", name, own.name, "the target's own foreign key over the same columns")
    else:
        why = "the target has no foreign key over these columns"
        draft.left(Code.L018, "foreign key", name, why)


def _target(match: Match, column: str) -> str:
    own = match.columns.get(column)
    return own.name if own else ""


def _say(draft: Draft, kind: str, name: str, becomes: str, why: str) -> None:
    draft.outcomes.append(Outcome(kind, name, "translated" if becomes else "not migrated", becomes, why))
