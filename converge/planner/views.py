"""Views: translated behind an allow-list, tried on the target, each after those that it reads."""

from __future__ import annotations

from converge.codes import Code
from converge.model.catalog import View
from converge.model.names import fit
from converge.model.quote import pg_name
from converge.planner.checks import plan_checks
from converge.planner.draft import Draft
from converge.planner.undefined import computed_view
from converge.translate import Relation, Terms, Untranslatable, column_value, translate_view

__all__ = ["plan_checks", "plan_views"]

_INVOKER_SINCE = 15
"""The PostgreSQL that has security_invoker."""


def plan_views(draft: Draft) -> None:
    """Adds all views that can be translated; the others are listed with their text."""
    relations = _Relations(draft)
    waiting = {view.name: view for view in draft.catalog.views}
    reads = {name: {other for other in waiting if f"`{other}`" in view.definition} - {name}
             for name, view in waiting.items()}  # fmt: skip
    while waiting:
        ready = [name for name in waiting if not reads[name] & waiting.keys()] or list(waiting)[:1]
        for name in ready:
            _view(draft, waiting.pop(name), relations)


class _Relations:
    """What views can read: planned tables, and the views that were translated before."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known: dict[str, Relation] = {}
        self.read: list[str] = []
        """What the view at hand reads, by names of the source."""

    def find(self, database: str, name: str) -> Relation:
        """The relation of this name. Raises Untranslatable."""
        if database and database.lower() != self._draft.catalog.database.lower():
            raise Untranslatable(f"it reads the database {database}")
        found = self._names(name)
        if found not in self._known:
            self._known[found] = self._table(found)
        if found not in self.read:
            self.read.append(found)
        return self._known[found]

    def add(self, view: str, relation: Relation) -> None:
        """Makes a view known to those that come after it."""
        self._known[view] = relation

    def _names(self, name: str) -> str:
        """The name as the catalog has it: a server can take names without regard to case."""
        names = (*self._draft.tables, *self._known)
        if name in names:
            return name
        return next((one for one in names if one.lower() == name.lower()), name)

    def _table(self, name: str) -> Relation:
        table = self._draft.tables.get(name)
        source = self._draft.source(name)
        if table is None or source is None:
            raise Untranslatable(f"it reads {name}, which is not migrated")
        columns = {
            plan.source.lower(): column_value(source.column(plan.source), plan, pg_name(plan.target))
            for plan in table.columns
        }
        return Relation(self._draft.qualified(name), columns)


def _view(draft: Draft, view: View, relations: _Relations) -> None:
    if not view.definition:
        reason = "the source user may not see its text, or what it reads is gone"
        draft.left(Code.P050, "view", view.name, reason, "GRANT SHOW VIEW ON … TO …;")
        return
    relations.read = []
    terms = Terms()
    try:
        query = translate_view(view.definition, relations.find, covered=view.full_group_by, terms=terms)
    except Untranslatable as reason:
        draft.left(Code.P051, "view", view.name, f"{reason}; its text is {view.definition}")
        return
    made = draft.names.take(view.name, held=True)
    name = pg_name(draft.schema, made)
    # A source that lost the view's definer does not say its columns; the query names them, too.
    columns = f" ({', '.join(pg_name(fit(column)) for column in view.columns)})" if view.columns else ""
    options, losses = _options(draft, view)
    sql = f"CREATE VIEW {name}{columns}{options} AS {query.sql}"
    refused = draft.refusal("view", view.name, sql, tuple(relations.read))
    if refused:
        draft.left(
            Code.P052, "view", view.name, f"the target refuses it: {refused}; its text is {view.definition}"
        )
        return
    relations.add(view.name, query.relation(name, view.columns))
    if made != view.name:
        terms.note(f"is called {made} in the target")
    for note in terms.notes:
        draft.find(Code.P053, "note", view.name, note)
    for loss in losses:
        draft.find(Code.P157, "lossy", view.name, loss)
    draft.do("view", view.name, sql, "a view of the source", makes=f"VIEW {name}", optional=True)
    tried = "and tried on the target" if draft.evidence.tried else "but not tried on the target"
    draft.done("view", view.name, made, f"translated {tried}")
    views = {one.source: one for one in draft.computed}
    read = [views.get(name, name) for name in relations.read]
    draft.computed.append(computed_view(view.name, made, view.definition, read, draft.source))


def _options(draft: Draft, view: View) -> tuple[str, list[str]]:
    """Whose privileges count, as SQL; and what the view no longer does."""
    losses = []
    if view.merge:
        losses.append("a MERGE table becomes a view of its tables: rows cannot be inserted through it")
    if view.check_option != "NONE":
        losses.append(
            f"WITH {view.check_option} CHECK OPTION is left out: writes through the view are not checked"
        )
    major = draft.target_version.partition(".")[0]
    if view.security == "INVOKER" and major.isdigit() and int(major) >= _INVOKER_SINCE:
        return " WITH (security_invoker = true)", losses
    if view.security == "INVOKER":
        losses.append(
            "SQL SECURITY INVOKER: before PostgreSQL 15 a view reads with the privileges of its owner"
        )
    return "", losses
