"""Collations: the database's own unless a map asks for MySQL's, and which keys compare differently now."""

from __future__ import annotations

from converge.errors import UsageError
from converge.mapping.collations import counterpart, ignores_case
from converge.model.catalog import Column, Table
from converge.model.quote import pg_name, pg_text
from converge.planner.choice import Choice
from converge.planner.draft import Draft

_COLLATABLE = ("text", "varchar", "character varying", "citext")


def collation(draft: Draft, table: Table, column: Column, choice: Choice) -> str | None:
    """The quoted collation that a map wants for a column; ``source`` makes one like MySQL's."""
    wanted = choice.setting("collation")
    if not wanted or not choice.to.startswith(_COLLATABLE):
        return None
    if wanted != "source":
        return pg_name(*wanted.split("."))
    name = column.collation or ""
    like = counterpart(name)
    if like is None:
        raise UsageError(
            f"{table.name}.{column.name}: collations.toml knows nothing of {name}",
            code="M007",
            hint='collation = "a collation of the target"',
        )
    if not like.locale:
        return pg_name("C")
    made = pg_name(draft.schema, name)
    if made not in draft.collations:
        draft.collations.add(made)
        draft.do(
            "create",
            name,
            f"CREATE COLLATION {made} "
            f"(provider = icu, locale = {pg_text(like.locale)}, deterministic = false)",
            "a map wants texts compared as in the source",
            makes=f"COLLATION {made}",
        )
        if like.note:
            draft.find("P037", "note", name, like.note)
    return made


def note_keys(draft: Draft, tables: list[Table]) -> None:
    """One finding a collation: the unique keys that tell 'a' from 'A' from now on."""
    keys: dict[str, list[str]] = {}
    for table in tables:
        for index in table.indexes:
            for name in index.columns if index.unique else ():
                column = table.column(name)
                place = f"{table.name}.{index.name}"
                if _differs(draft, table, column) and place not in keys.setdefault(
                    column.collation or "", []
                ):
                    keys[column.collation or ""].append(place)
    for name, places in keys.items():
        if places:
            draft.find(
                "P036", "note", name,
                f"unique in the source whatever the case; the target tells 'a' from 'A': {', '.join(places)}",
                f'[[type]]\nmatch = {{ collation = "{name}" }}\ncollation = "source"',
            )  # fmt: skip


def _differs(draft: Draft, table: Table, column: Column) -> bool:
    if not ignores_case(column.collation) or not draft.has(table.name, column.name):
        return False
    plan = draft.column(table.name, column.name)
    return plan.collation is None and plan.target_type.startswith(("text", "varchar", "character varying"))
