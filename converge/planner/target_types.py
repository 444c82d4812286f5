"""What a column's type needs in the target before its table: enums, types of extensions, collations."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.rules import policies, setting
from converge.model.catalog import Column, Table
from converge.model.quote import pg_name, pg_text, toml_text
from converge.model.table_plan import ColumnPlan
from converge.planner.decision import Decision
from converge.planner.draft import Draft
from converge.types import TEXTS, base_name
from converge.types.collations import Collation, counterpart
from converge.types.forms import PADDED
from converge.types.members import fits_enum

# Names are looked up in this schema only: what is elsewhere needs its schema before it.
_IN_REACH = "pg_catalog"
_EXTENSIONS = {
    # Translated expressions can only use citext's operators where names are looked up.
    "citext": ("citext", _IN_REACH, "text"),
    "geometry": ("postgis", "public", "bytea"),
}
"""By type: the extension, the schema where it is made when it is missing, and a type without it."""

Labels = tuple[str, ...]


def sql_type(draft: Draft, decided: Decision) -> tuple[str, str]:
    """The column's type as SQL, and why; adds what makes it."""
    if decided.to == "enum":
        return _enum(draft, decided)
    return _of_extension(draft, decided), decided.rule.why


def common_type(to: str) -> str:
    """A type that every server has, for one that needs an extension or a type of its own."""
    name = base_name(to)
    return "text" if name == "enum" else _EXTENSIONS[name][2] if name in _EXTENSIONS else to


def _of_extension(draft: Draft, decided: Decision) -> str:
    """The type as SQL; blocks the run when its extension is not in reach."""
    to = decided.to
    if base_name(to) not in _EXTENSIONS:
        return to
    name, schema, otherwise = _EXTENSIONS[base_name(to)]
    there = draft.inputs.facts.extensions if draft.inputs.facts else {name: ""}
    schema = there.get(name) or schema
    sql = f"CREATE EXTENSION IF NOT EXISTS {pg_name(name)} SCHEMA {pg_name(schema)}"
    if name not in there:
        what = f"{to} needs the extension {name}, which is not there and which the role cannot make"
        way = decided.entry(f"to = {toml_text(otherwise)}")
        draft.find(Code.P006, decided.name, what, f"{sql}; -- as a superuser\n# or, in a map:\n{way}")
    draft.share(name, sql, f"a map chooses {base_name(to)}")
    return to if schema == _IN_REACH else f"{pg_name(schema)}.{to}"


# ---- ENUMs: a native type for a column, or one for all columns that foreign keys join ------------------


def _enum(draft: Draft, decided: Decision) -> tuple[str, str]:
    table, column, why = decided.table, decided.column, decided.rule.why
    labels, shared = _labels(draft, table, column)
    if len(set(labels)) < len(labels):
        # The server prints characters outside the BMP as ? in a column's type.
        message = "two labels look the same: the source server prints some of their characters as ?"
        draft.find(Code.P028, decided.name, message, decided.entry('to = "text"'))
    joined = draft.decisions.joined(table.name, column.name)
    if not fits_enum(shared):
        return "text", "a label is longer than 63 bytes, which a native enum cannot hold: text with a CHECK"
    key = (frozenset(joined), shared)
    if key not in draft.enums:
        name = draft.own(draft.names.take(f"{draft.targets[table.name]}_{draft.named(table, column.name)}"))
        sql = f"CREATE TYPE {name} AS ENUM ({', '.join(map(pg_text, shared))})"
        draft.do("shared" if len(joined) > 1 else "create", table.name, sql, why, makes=f"TYPE {name}")
        draft.enums[key] = name
    return draft.enums[key], why


def labels_check(draft: Draft, table: Table, column: Column, plan: ColumnPlan) -> str | None:
    """The condition that keeps a column to its own labels, where its type holds others too."""
    labels, shared = _labels(draft, table, column)
    joined = frozenset(draft.decisions.joined(table.name, column.name))
    if plan.target_type == draft.enums.get((joined, shared)):
        wider = shared != labels
    else:
        wider = base_name(plan.target_type) in TEXTS | PADDED
    return f"{pg_name(plan.target)} IN ({', '.join(map(pg_text, labels))})" if wider else None


def _labels(draft: Draft, table: Table, column: Column) -> tuple[Labels, Labels]:
    """An ENUM's own labels, and those of its type.

    Foreign keys compare numbers of labels, so that one list may begin another one. Both come after the error
    value '' (number 0) where a map keeps that.
    """
    own, lists = column.labels, {column.labels}
    kept: dict[tuple[str, str], bool] = {}
    for name in draft.decisions.joined(table.name, column.name):
        source = draft.source(name[0])
        if source is not None and (theirs := source.column(name[1])).type == "enum":
            lists.add(theirs.labels)
            kept[name] = policies(draft.decisions.rules(source, theirs)).get("empty_label") == "keep"
    begun = (labels for labels in lists if labels[: len(own)] == own)
    longest = max(begun, key=lambda labels: (len(labels), labels))
    with_error = kept[table.name, column.name] and "" not in own
    return ("",) * with_error + own, ("",) * (any(kept.values()) and "" not in longest) + longest


# ---- collations: the database's own unless a map asks for MySQL's --------------------------------------


def collation(draft: Draft, decided: Decision) -> str | None:
    """The quoted collation that a map wants for a column; ``source`` makes one like MySQL's."""
    wanted = decided.setting("collation")
    if not wanted or base_name(decided.to.removesuffix("[]")) not in TEXTS:
        return None
    if wanted != "source":
        return pg_name(*wanted.split("."))
    like = _like(decided)
    return _own_collation(draft, decided.column.collation or "", like) if like.locale else pg_name("C")


def locale(draft: Draft, decided: Decision) -> str | None:
    """The ICU locale of the nondeterministic collation that a column gets or has; None without one."""
    if draft.loading and (match := draft.loading.matches.get(decided.table.name)):
        own = match.columns.get(decided.column.name)
        return draft.loose.get(own.collation) if own else None
    wanted = decided.setting("collation")
    if wanted == "source":
        return _like(decided).locale or None
    return draft.loose.get(pg_name(*wanted.split("."))) if wanted else None


def by_bytes(draft: Draft, column: ColumnPlan) -> bool:
    """Whether the target tells all texts of the column apart whose bytes differ."""
    text = base_name(column.target_type) in TEXTS - {"citext"} | PADDED
    return text and column.collation not in draft.loose


def _like(decided: Decision) -> Collation:
    found = counterpart(decided.column.collation or "")
    if found is None:
        _, by = setting(decided.rules, "collation")
        raise UsageError(
            f"{by.place if by else ''}: {decided.name}: no counterpart of {decided.column.collation}",
            code=Code.M007,
            hint='collation = "a collation of the target"',
        )
    return found


def make_collation(quoted: str, like: Collation) -> str:
    """The statement that makes a collation of the target which compares as this one of MySQL's does."""
    options = f"provider = icu, locale = {pg_text(like.locale)}, deterministic = false"
    return f"CREATE COLLATION IF NOT EXISTS {quoted} ({options})"


def _own_collation(draft: Draft, name: str, like: Collation) -> str:
    """The quoted name of a collation of the target that compares as MySQL's does."""
    quoted = draft.own(name)
    # It means the same in every run and may serve other tables, so one that is there is used, and it stays.
    if draft.share(name, make_collation(quoted, like), "a map wants texts compared as in the source"):
        draft.loose[quoted] = like.locale
        if notes := "; ".join(filter(None, (like.note, like.letters))):
            draft.find(Code.P037, name, notes)
    return quoted
