"""Collations: the database's own unless a map asks for MySQL's, and which keys compare differently now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.collations import Collation, counterpart, told_apart
from converge.mapping.rules import Rule, setting
from converge.mapping.write import entry
from converge.model.catalog import Column, Index, Table
from converge.model.plan import ColumnPlan
from converge.model.quote import my_name, pg_name, pg_text
from converge.planner.choice import Choice
from converge.planner.draft import Draft
from converge.types import TEXTS, base_name
from converge.types.as_text import PADDED


def collation(draft: Draft, table: Table, column: Column, choice: Choice) -> str | None:
    """The quoted collation that a map wants for a column; ``source`` makes one like MySQL's."""
    wanted = choice.setting("collation")
    if not wanted or base_name(choice.to.removesuffix("[]")) not in TEXTS:
        return None
    if wanted != "source":
        return pg_name(*wanted.split("."))
    like = _like(table, column)
    return _made(draft, column.collation or "", like) if like.locale else pg_name("C")


def locale(draft: Draft, table: Table, column: Column, rules: Sequence[Rule]) -> str | None:
    """The ICU locale of the nondeterministic collation that a column gets or has; None without one."""
    if draft.loading and (match := draft.loading.matches.get(table.name)):
        own = match.columns.get(column.name)
        return draft.loose.get(own.collation) if own else None
    wanted = setting(rules, "collation")[0]
    if wanted == "source":
        return _like(table, column).locale or None
    return draft.loose.get(pg_name(*wanted.split("."))) if wanted else None


def by_bytes(draft: Draft, column: ColumnPlan) -> bool:
    """Whether the target tells all texts of the column apart whose bytes differ."""
    text = base_name(column.target_type) in TEXTS - {"citext"} | PADDED
    return text and column.collation not in draft.loose


def note_keys(draft: Draft, tables: Sequence[Table]) -> None:
    """One finding a collation: the unique keys that tell texts apart from now on that were equal."""
    keys: defaultdict[str, dict[str, None]] = defaultdict(dict)
    arriving = {one.name for one in draft.outcomes if one.kind == "index" and one.state != "not migrated"}
    for table in tables:
        for index in table.indexes:
            place = f"{table.name}.{index.name}"
            for name in _read(table, index) if index.unique and place in arriving else ():
                column = table.column(name)
                # What is read of JSON is a text in this collation.
                source = "utf8mb4_bin" if column.type == "json" else column.collation or ""
                exact = by_bytes(draft, draft.column(table.name, name)) or column.type == "json"
                if told_apart(source) and exact:
                    keys[source][place] = None
    for name, places in keys.items():
        draft.find(
            Code.P036, "note", name,
            f"unique in the source whatever {told_apart(name)}: {', '.join(places)}",
            entry("type", {"collation": name}, 'collation = "source"') if not name.endswith("_bin") else "",
        )  # fmt: skip


def _read(table: Table, index: Index) -> Iterator[str]:
    """The columns of a key, those in its expressions among them."""
    text = " ".join(part.expression or "" for part in index.parts)
    for column in table.columns:
        if column.name in index.columns or my_name(column.name) in text:
            yield column.name


def _like(table: Table, column: Column) -> Collation:
    found = counterpart(column.collation or "")
    if found is None:
        raise UsageError(
            f"{table.name}.{column.name}: collations.toml knows nothing of {column.collation}",
            code=Code.M007,
            hint='collation = "a collation of the target"',
        )
    return found


def _made(draft: Draft, name: str, like: Collation) -> str:
    made = pg_name(draft.schema, name)
    # It means the same in every run and may serve other tables, so one that is there is used, and it stays.
    sql = (
        f"CREATE COLLATION IF NOT EXISTS {made} "
        f"(provider = icu, locale = {pg_text(like.locale)}, deterministic = false)"
    )
    if draft.share(name, sql, "a map wants texts compared as in the source"):
        draft.loose[made] = like.locale
        if like.note:
            draft.find(Code.P037, "note", name, like.note)
    return made
