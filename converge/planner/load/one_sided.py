"""Tables and columns that only one side has: listed, and acknowledged in the map or blocking."""

from __future__ import annotations

from converge.codes import Code
from converge.mapping.write import entry, literally
from converge.model.catalog import Table
from converge.model.existing import OwnColumn, OwnTable
from converge.model.quote import my_name, pg_name, pg_text, toml_text
from converge.planner.draft import Draft
from converge.planner.load.match import Loading, Match, alike
from converge.planner.load.rows import counted

BOOKKEEPING = frozenset(
    {"alembic_version", "schema_migration", "schema_migrations", "migrations_typeorm", "migrations",
     "flyway_schema_history", "databasechangelog", "databasechangeloglock", "django_migrations",
     "knex_migrations", "knex_migrations_lock", "_prisma_migrations", "ar_internal_metadata",
     "goose_db_version", "sequelizemeta"}
)  # fmt: skip
"""Tables in which applications keep which of their own migrations have run: each database has its own."""


def require_application(draft: Draft) -> None:
    """A schema without any table is not one that an application has made."""
    commands = [one.migrate for one in draft.map.applications if one.migrate]
    draft.find(
        Code.L022, "block", draft.schema, "the schema has no tables that could be loaded",
        "\n".join(commands or ["run the application's own migrations first, or leave out --mode load"]),
    )  # fmt: skip


def without_table(draft: Draft, loading: Loading, table: Table) -> None:
    """A source table that has no place in the target."""
    near = alike(table.name, (own.name for own in loading.free))
    lines = [f"rename = {toml_text(near)}", "# or: skip = true"] if near else ["skip = true"]
    if table.name.lower() in BOOKKEEPING:
        why = "the target has no such table; it seems to keep which migrations of an application have run"
    else:
        why = f"the schema {draft.schema} of the target has no such table"
    if loading.existing.tables:
        draft.find(Code.L001, "block", table.name, why, entry("table", literally(table=table.name), *lines))
    # Its objects have no other outcome.
    draft.left_out(table, why)


def note_tables(draft: Draft, loading: Loading) -> None:
    """Tables that only the target has: its map must say that they stay."""
    # Those that a map or --exclude leaves out are said to be.
    known = {table.name.lower() for table in draft.catalog.tables}
    for own in loading.free:
        if own.name.lower() in known:
            continue
        what = f"only the target has this table, which {_filled(own)}"
        if own.name.lower() in BOOKKEEPING or draft.map.keeps(own.name) or _is_empty(own):
            draft.find(Code.L004, "note", own.name, f"{what} and stays as it is")
        else:
            draft.find(
                Code.L004, "block", own.name, what, entry("target", literally(table=own.name), "keep = true")
            )


def note_counters(draft: Draft, loading: Loading) -> None:
    """Tables that hold a next value, as Hibernate's do, where the target has a sequence for it."""
    for table in draft.catalog.tables:
        if table.name in loading.matches:
            continue
        for name in dict.fromkeys((table.name, table.name.lower())):
            if loading.existing.has_sequence(draft.schema, name):
                sequence = pg_text(pg_name(draft.schema, name))
                columns = ", ".join(my_name(column.name) for column in table.columns)
                draft.find(
                    Code.L140, "lossy", table.name,
                    f"the target has a sequence {name} in place of this table; its next value is not set",
                    f"SELECT {columns} FROM {my_name(table.name)}; -- in MySQL: the next value\n"
                    f"SELECT setval({sequence}, …, false); -- in PostgreSQL, with that value",
                )  # fmt: skip


def _filled(own: OwnTable) -> str:
    if own.rows:
        return f"has {counted(own)}"
    return (
        "is empty"
        if _is_empty(own)
        else f"may have rows: {own.obstacle or f'it is the role {own.owner} that owns it'}"
    )


def _is_empty(own: OwnTable) -> bool:
    """Whether it surely has no rows: only those of plain tables of our own are counted."""
    return not own.rows and own.owned and not own.obstacle


def note_target_columns(draft: Draft, match: Match) -> None:
    """Columns that only the target has: they get their default, if they have one."""
    for own in match.own.columns:
        if own.name in match.sources:
            continue
        name, gets = f"{match.source.name}.{own.name}", _gets(own)
        ours = entry("target", literally(table=match.own.name, column=own.name), "keep = true")
        if not gets:
            draft.find(
                Code.L005, "block", name,
                f"only the target has this column, which is NOT NULL and has no default ({own.type})",
                "ALTER TABLE … ALTER COLUMN … SET DEFAULT …, or fill it by a migration of the application",
            )  # fmt: skip
        elif draft.map.keeps(match.own.name, own.name):
            draft.find(Code.L005, "note", name, f"only the target has this column: {gets}")
        else:
            draft.find(Code.L005, "block", name, f"only the target has this column: {gets}", ours)


def _gets(own: OwnColumn) -> str:
    """What rows get in it; empty where nothing can be put there."""
    if own.generated:
        return f"it is computed as {own.generated}"
    if own.sequence or own.default:
        return f"rows get its default, {own.default or own.sequence}"
    return "rows get NULL" if own.nullable else ""
