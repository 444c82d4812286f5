"""`--mode load`: the plan for a schema that is there: its tables take the rows, and nothing of it changes.

Every object of the source has an outcome; tables and columns that only one side has are listed, and
acknowledged in the map or blocking.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from converge.codes import Code
from converge.mapping.rules import entry, literally, setting
from converge.model.catalog import ForeignKey, Index, IndexPart, Table
from converge.model.existing import OwnForeignKey, OwnIndex
from converge.model.plan import Outcome
from converge.model.quote import my_name, pg_name, toml_text
from converge.planner.counters import note_sequences
from converge.planner.draft import Draft
from converge.planner.keys import later_index, updates_nothing
from converge.planner.load.columns import note_kinds, note_lacking, plan_own_column
from converge.planner.load.constraints import note_checks, note_unique
from converge.planner.load.match import Loading, Match, Part, alike, folded, own_parts
from converge.planner.load.restore import kept, note_full, note_rows, plan_own_keys, rows_of
from converge.planner.tables import note_namesakes, table_plan
from converge.types.collations import ignores_case

BOOKKEEPING = frozenset(
    {"alembic_version", "schema_migration", "schema_migrations", "migrations_typeorm", "migrations",
     "flyway_schema_history", "databasechangelog", "databasechangeloglock", "django_migrations",
     "knex_migrations", "knex_migrations_lock", "_prisma_migrations", "ar_internal_metadata",
     "goose_db_version", "sequelizemeta"}
)  # fmt: skip
"""Tables in which applications keep which of their own migrations have run: each database has its own."""
_SEARCHES = ("FULLTEXT", "SPATIAL")
"""Kinds of index whose searches no B-tree serves."""


def plan_load(draft: Draft, loading: Loading, tables: list[Table], *, may_hold_rows: bool) -> None:
    """Adds each table with its statements; what hangs on them comes last, when all are known."""
    if not loading.existing.tables:
        # A schema without any table is not one that an application has made.
        commands = [one.migrate for one in draft.map.applications if one.migrate]
        ways = commands or ["run the application's own migrations first, or leave out --mode load"]
        message = "the schema has no tables that could be loaded"
        draft.find(Code.L022, draft.schema, message, "\n".join(ways))
    taken: dict[str, str] = {}
    matched: list[Match] = []
    for table in tables:
        match = loading.matches.get(table.name)
        other = taken.setdefault(match.own.quoted, table.name) if match else table.name
        if match is None:
            _without_table(draft, loading, table)
        elif setting(draft.map.for_table(table), "rows")[0] == "target":
            _keep(draft, match, table)
            matched.append(match)
        elif other != table.name:
            draft.block(
                Code.L160, "table", table.name, f"goes into the target's {match.own.name}, as {other} does",
                entry("table", literally(table=table.name), 'rename = "another_table"', "# or: skip = true"),
            )  # fmt: skip
        elif _may_load(draft, match) and _table(draft, match, table):
            matched.append(match)
    for name in draft.tables:
        source = draft.source(name)
        assert source is not None
        note_unique(draft, loading.matches[name], source)
    if draft.answers is not None:
        draft.evidence = draft.answers.rows(draft)
    for match in matched:
        note_rows(draft, match, may_hold_rows=may_hold_rows)
    if not may_hold_rows:
        note_full(draft, loading)
    plan_own_keys(draft, loading)
    for name in draft.tables:
        draft.do("analyze", name, f"ANALYZE {draft.qualified(name)}", "statistics for the planner")
    _note_tables(draft, loading)
    note_sequences(draft, loading)
    _note_objects(draft, loading)


def _may_load(draft: Draft, match: Match) -> bool:
    """Blocks for a table that is none that rows could be copied into, or is not ours to change."""
    name, own = match.source.name, match.own
    if own.obstacle:
        draft.block(
            Code.L008, "table", name, f"the target's table cannot be loaded: {own.obstacle}",
            "make it a plain table for the migration, and partition it, or attach it, afterwards; "
            f"--exclude {name} would leave its rows out",
        )  # fmt: skip
    elif not own.owned:
        draft.block(
            Code.L009, "table", name,
            f"the target's table belongs to {own.owner}: only its owner can drop and restore its keys",
            f"GRANT {pg_name(own.owner)} TO CURRENT_USER; as a member that may grant it",
        )  # fmt: skip
    elif invalid := [index.name for index in own.indexes if not index.valid]:
        # It would be taken for the source's key; and some refuse rows, others do not.
        quoted = (pg_name(draft.schema, index) for index in invalid)
        draft.block(
            Code.L008, "table", name,
            f"the target's table cannot be loaded: {', '.join(invalid)} is invalid, as an interrupted "
            "CREATE INDEX CONCURRENTLY leaves an index",
            "\n".join(f"REINDEX INDEX {index}; -- or: DROP INDEX {index};" for index in quoted),
        )  # fmt: skip
    else:
        return True
    return False


def _keep(draft: Draft, match: Match, table: Table) -> None:
    """Its columns only serve to compare the rows, and what they lack is a loss for those of later."""
    quiet = draft.quiet()
    columns = [plan_own_column(quiet, match, table, column) for column in table.columns]
    known = tuple(column for column in columns if column is not None)
    if known:
        draft.kept[table.name] = table_plan(quiet, table, match.own.name, known, "target")
    # Its sequence stays, too: no next value is set that could be beyond its end.
    losses = (one for one in quiet.findings if one.level == "lossy" and one.code != Code.P158)
    draft.kept_losses[table.name] = [*losses]
    note_lacking(draft, match, known)
    rows_of(draft, match)
    draft.left_out(match.source, kept(match.own))


def _table(draft: Draft, match: Match, table: Table) -> bool:
    """Adds the table; False where none of its columns can be migrated, which blocks."""
    columns = [plan_own_column(draft, match, table, column) for column in table.columns]
    known = tuple(column for column in columns if column is not None)
    if not known:
        draft.block(Code.P004, "table", table.name, "none of its columns can be migrated")
        return False
    note_namesakes(draft, table, known)
    _note_target_columns(draft, match)
    note_checks(draft, match, table)
    rows = rows_of(draft, match)
    draft.tables[table.name] = table_plan(draft, table, match.own.name, known, rows)
    note_kinds(draft, match, table)
    note_lacking(draft, match, known)
    draft.done("table", table.name, match.own.name, "into the existing table")
    return True


# ---- tables and columns that only one side has ---------------------------------------------------------


def _without_table(draft: Draft, loading: Loading, table: Table) -> None:
    """A source table that has no place in the target."""
    near = alike(table.name, (own.name for own in loading.free))
    lines = [f"rename = {toml_text(near)}", "# or: skip = true"] if near else ["skip = true"]
    if table.name.lower() in BOOKKEEPING:
        why = "the target has no such table; it seems to keep which migrations of an application have run"
    else:
        why = f"the schema {draft.schema} of the target has no such table"
    if loading.existing.tables:
        draft.find(Code.L001, table.name, why, entry("table", literally(table=table.name), *lines))
    # Its objects have no other outcome.
    draft.left_out(table, why)


def _note_tables(draft: Draft, loading: Loading) -> None:
    """Tables that only the target has: its map must say that they stay."""
    # Those that a map or --exclude leaves out are said to be.
    known = {table.name.lower() for table in draft.catalog.tables}
    for own in loading.free:
        if own.name.lower() in known:
            continue
        # Only rows of plain tables of our own are counted.
        unsure = own.obstacle or ("" if own.owned else f"it is the role {own.owner} that owns it")
        rows = f"may have rows: {unsure}" if unsure else "is empty"
        what = f"only the target has this table, which {f'has {own.row_words}' if own.rows else rows}"
        empty = not (own.rows or unsure)
        if own.name.lower() in BOOKKEEPING or draft.map.keeps(own.name) or empty:
            draft.find(Code.L004, own.name, f"{what} and stays as it is", severity="note")
        else:
            way = entry("target", literally(table=own.name), "keep = true")
            draft.find(Code.L004, own.name, what, way, severity="block")


def _note_target_columns(draft: Draft, match: Match) -> None:
    """Columns that only the target has: they get their default, if they have one."""
    for own in match.own.columns:
        if own.name in match.sources:
            continue
        name = f"{match.source.name}.{own.name}"
        if own.generated:
            gets = f"it is computed as {own.generated}"
        elif own.sequence or own.default:
            gets = f"rows get its default, {own.default or own.sequence}"
        elif own.nullable:
            gets = "rows get NULL"
        else:
            draft.find(
                Code.L005, name,
                f"only the target has this column, which is NOT NULL and has no default ({own.type})",
                "ALTER TABLE … ALTER COLUMN … SET DEFAULT …, or fill it by a migration of the application",
                severity="block",
            )  # fmt: skip
            continue
        kept = draft.map.keeps(match.own.name, own.name)
        way = entry("target", literally(table=match.own.name, column=own.name), "keep = true")
        message = f"only the target has this column: {gets}"
        draft.find(Code.L005, name, message, "" if kept else way, severity="note" if kept else "block")


# ---- what becomes of the source's keys, checks and views ------------------------------------------------


def _note_objects(draft: Draft, loading: Loading) -> None:
    """An outcome for each key, check and view of the source."""
    keys = {(key.table, key.columns) for key in loading.existing.foreign_keys}
    over = defaultdict[tuple[str, frozenset[str]], list[OwnForeignKey]](list)
    for own in loading.existing.foreign_keys:
        over[own.table, frozenset(own.columns)].append(own)
    # A table whose rows stay has its outcomes, and lacks keys as others do; slower queries are not new to it.
    quiet = draft.quiet()
    quiet.alike = draft.alike
    for noted, name in (*((draft, name) for name in draft.tables), *((quiet, name) for name in draft.kept)):
        match = loading.matches[name]
        _indexes(noted, match, keys)
        for key in match.source.foreign_keys:
            columns = frozenset(map(match.target, key.columns))
            _foreign_key(noted, loading, match, key, over[match.own.quoted, columns])
        _checks(noted, match)
    draft.findings += (one for one in quiet.findings if one.code != Code.L031)
    loaded = {table.target for table in draft.tables.values()}
    for name, tables in loading.existing.materialized:
        if loaded.intersection(tables):
            draft.find(Code.L150, name, "is a materialized view of loaded tables: it is refreshed")
            sql = f"REFRESH MATERIALIZED VIEW {name}"
            draft.do("refresh", name, sql, "the refresh of rows from before the load", optional=True)
    missing = []
    for view in draft.catalog.views:
        if view.name in loading.existing.views:
            _say(draft, "view", view.name, view.name, "the target has its own views")
        else:
            missing.append(view.name)
            _say(draft, "view", view.name, "", "the target has no view of this name")
    if missing:
        message = f"views that the target does not have: {', '.join(missing)}"
        draft.find(Code.L037, "views", message, "a migration of the application")


def _foreign_key(
    draft: Draft, loading: Loading, match: Match, key: ForeignKey, over: Sequence[OwnForeignKey]
) -> None:
    """Its outcome: one of the target's own, which are over the same columns, or a finding."""
    name, parent = f"{match.source.name}.{key.name}", loading.parent(key)
    pairs = {(match.target(one), parent.target(other)) for one, other in key.pairs} if parent else set()
    for own in over:
        same = {*zip(own.columns, own.parent_columns, strict=True)} == pairs
        if parent and own.parent == parent.own.quoted and same:
            if words := "; ".join(_differs(match.source, key, own)):
                draft.find(Code.L035, name, words, "a migration of the application", cause=words)
            draft.done("foreign key", name, own.name, "the target's own foreign key over the same columns")
            return
    why = "the target has no foreign key over these columns"
    if over:
        refers = f"{key.parent} ({', '.join(key.parent_columns)})"
        why = f"it refers to {refers}, and {over[0].name} of the target is {over[0].definition}"
    draft.left(Code.L018, "foreign key", name, why)


def _differs(table: Table, key: ForeignKey, own: OwnForeignKey) -> Iterator[str]:
    """What the target's key does otherwise."""
    on_update = "NO ACTION" if updates_nothing(table, key) else key.on_update
    actions = ("DELETE", key.on_delete, own.on_delete), ("UPDATE", on_update, own.on_update)
    for event, ours, theirs in actions:
        # InnoDB looks at once, whichever of both is written.
        if ours != theirs and {ours, theirs} != {"NO ACTION", "RESTRICT"}:
            yield f"ON {event} is {ours} in the source and {theirs} in the target"
    if not own.validated:
        yield "the target's key is NOT VALID, so its rows are not checked"
    if own.off:
        yield "the target's key is switched off"


def _checks(draft: Draft, match: Match) -> None:
    """An outcome for each CHECK: the target's own over the same columns, in whatever words, or a finding."""
    table, missing = match.source, []
    conditions = [one for one in match.own.conditions if one.condition]
    own = {frozenset(one.columns): one.name for one in conditions}
    for check in table.checks:
        # MySQL prints every column's name in backticks.
        printed = check.expression.casefold()
        over = {column.name for column in table.columns if my_name(column.name).casefold() in printed}
        becomes = own.get(frozenset(map(match.target, over)))
        if becomes is None:
            missing.append(check.name)
        why = f"the target has {'no' if becomes is None else 'a'} CHECK constraint over the same columns"
        _say(draft, "check", f"{table.name}.{check.name}", becomes or "", why)
    if missing:
        message = f"the target has no CHECK constraints over the columns of {', '.join(missing)}"
        draft.find(Code.L032, table.name, message, "a migration of the application")


def _indexes(draft: Draft, match: Match, keys: Container[tuple[str, tuple[str, ...]]]) -> None:
    """An outcome for each index; a finding for each lost unique key, and one for all other lost indexes.

    Those over the target's foreign `keys` are the lint's.
    """
    missing, statements = [], []
    for index in match.source.indexes:
        name = f"{match.source.name}.{index.name}"
        columns = tuple(match.target(part.column or "") for part in index.parts)
        own = _like(match, index, columns)
        listed = ", ".join(map(str, index.parts))
        if own is not None:
            _say(draft, "index", name, own.name, "the target's own key over the same columns")
        elif index.unique:
            message = f"unique in the source, but the target has no unique key on ({listed})"
            over = [one.name for one in match.own.indexes if one.unique and None in own_parts(one)]
            if over and any(part.expression for part in index.parts):
                message += f"; its unique indexes over expressions are not compared: {', '.join(over)}"
            draft.left(Code.L017, "index", name, message)
        else:
            if (match.own.quoted, columns) not in keys:
                kind = f"{index.kind} " if index.kind in _SEARCHES else ""
                missing.append(f"{kind}{index.name} ({listed})")
                whole = "" not in columns and not any(part.prefix for part in index.parts)
                if index.kind == "BTREE" and whole:
                    statements.append(later_index(match.own.quoted, columns))
            _say(draft, "index", name, "", "the target has no index over these columns")
    if missing:
        message = f"indexes that the target does not have: {', '.join(missing)}"
        hint = "\n".join([f"{'-- ' * bool(statements)}a migration of the application", *statements])
        draft.find(Code.L031, match.source.name, message, hint)


def _like(match: Match, index: Index, columns: tuple[str, ...]) -> OwnIndex | None:
    """The target's index that serves for the source's: over the same columns, or the same prefixes of them; a
    unique one over fewer columns, which promises more; for one that is not unique, one that begins with its
    columns, or has its name: MySQL has no index over some rows (Airflow's idx_dag_run_queued_dags).

    Of expressions lower() and upper() of a column are compared, which also promise that the column is unique;
    both sides name each of the others '': UNIQUE ((left(a, 2))) would be any other.
    """
    whole = set[Part | None]()
    for name, part in zip(columns, index.parts, strict=True):
        if name and not part.prefix:
            whole |= {(function, name) for function in ("", "lower", "upper")}
        elif part.expression and (fold := folded(part.expression)):
            whole.add((fold[0], match.target(fold[1])))
    same = any(part.prefix for part in index.parts) and _prefixes(match, index, columns)
    for own in match.own.indexes:
        if not own.valid or (index.kind in _SEARCHES and own.method in ("btree", "hash")):
            continue
        if index.unique:
            equal = same and same.search(own.restore[0])
            serves = own.unique and (bool(equal) or {*own_parts(own)} <= whole)
        else:
            serves = "" not in columns and own.columns[: len(columns)] == columns
        if (serves and not own.predicate) or (own.name == index.name and not index.unique):
            return own
    return None


def _prefixes(match: Match, index: Index, columns: tuple[str, ...]) -> re.Pattern[str]:
    """The end of the definition of an index over the same prefixes, as the server prints it."""
    printed = ", ".join(
        _prefix(match, part, f'"?{re.escape(name)}"?') if part.prefix else f'"?{re.escape(name)}"?'
        for name, part in zip(columns, index.parts, strict=True)
    )
    return re.compile(rf" \({printed}\)( NULLS NOT DISTINCT)?$")


def _prefix(match: Match, part: IndexPart, name: str) -> str:
    cut = rf'"left"\(\(?{name}\)?(::text)?, {part.prefix}\)'
    own = match.columns.get(part.column or "")
    citext = own is not None and own.base.rpartition(".")[2] == "citext"
    # left() gives a text, of which case counts.
    if citext and ignores_case(match.source.column(part.column or "").collation):
        return rf"\(\(?{cut}\)?::[^ ]*citext\)"
    return rf"({cut}|substr\({name}, 1, {part.prefix}\))"


def _say(draft: Draft, kind: str, name: str, becomes: str, why: str) -> None:
    draft.outcomes.append(Outcome(kind, name, "translated" if becomes else "not migrated", becomes, why))
