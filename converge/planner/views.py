"""Views and CHECKs: translated behind an allow-list, then tried on the target."""

from __future__ import annotations

from converge.model.catalog import Table, View
from converge.model.quote import pg_name
from converge.planner.draft import Draft
from converge.planner.expressions import Untranslatable, translate_condition, translate_view
from converge.planner.names import fit


def plan_views(draft: Draft) -> None:
    """Adds the views in an order in which each finds what it reads."""
    targets = {name: plan.target for name, plan in draft.tables.items()}
    waiting = {view.name: view for view in draft.catalog.views}
    reads = {name: {other for other in waiting if f"`{other}`" in view.definition} - {name}
             for name, view in waiting.items()}  # fmt: skip
    while waiting:
        ready = [name for name in waiting if not reads[name] & waiting.keys()] or list(waiting)[:1]
        for name in ready:
            _view(draft, waiting.pop(name), targets)


def _view(draft: Draft, view: View, targets: dict[str, str]) -> None:
    if not view.definition:
        reason = "the source user may not see its text"
        draft.left("P050", "view", view.name, reason, "GRANT SHOW VIEW ON … TO …;")
        return

    def target(name: str) -> str:
        if name not in targets:
            raise Untranslatable(f"it reads {name}, which is not migrated")
        return targets[name]

    try:
        query = translate_view(view.definition, draft.catalog.database, target, draft.schema)
    except Untranslatable as reason:
        draft.left("P051", "view", view.name, f"{reason}; its text is {view.definition}")
        return
    made = targets[view.name] = draft.names.take(view.name)
    columns = ", ".join(pg_name(name) for name in view.columns)
    name = pg_name(draft.schema, made)
    sql = f"CREATE VIEW {name} ({columns}) AS {query}"
    draft.do("view", view.name, sql, "a view of the source", makes=f"VIEW {name}", optional=True)
    draft.done("view", view.name, made, "translated, then tried on the target", note=True)


def plan_checks(draft: Draft, table: Table) -> None:
    """Adds a table's CHECK constraints; the target tries them against the loaded rows."""
    for check in table.checks:
        name = f"{table.name}.{check.name}"
        if not check.enforced:
            draft.left("P060", "check", name, f"it is NOT ENFORCED in the source: {check.expression}")
            continue
        try:
            condition = translate_condition(check.expression)
        except Untranslatable as reason:
            draft.left("P061", "check", name, f"{reason}; its text is {check.expression}")
            continue
        constraint = pg_name(fit(check.name))
        draft.do(
            "index",
            table.name,
            f"ALTER TABLE {draft.qualified(table.name)} ADD CONSTRAINT {constraint} CHECK ({condition})",
            "a CHECK of the source",
            optional=True,
        )
        draft.done("check", name, check.name, "translated, then tried on the target", note=True)
