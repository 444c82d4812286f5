"""Texts that MySQL takes for equal and PostgreSQL does not: other case, accents, trailing spaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sqlglot import exp

from converge.codes import Code
from converge.model.catalog import Column, Index, Table
from converge.model.evidence import Count, Search
from converge.model.quote import my_name, pg_name
from converge.model.words import said
from converge.planner.draft import Draft
from converge.planner.keys import BTREE_BYTES, key_sql, longest_entry, made_term
from converge.planner.lint.retype import joined, patterned, retype, users
from converge.planner.load.plan import BOOKKEEPING
from converge.planner.target_types import make_collation
from converge.translate import Untranslatable, called, parse_expression
from converge.types import TEXTS, TEXTUAL, base_name, family_of, normal
from converge.types.collations import (
    ACCENTS,
    CASE,
    FORM,
    SPACES,
    counterpart,
    ignored,
    ignored_by_icu,
    ignores_case,
)
from converge.types.forms import PADDED
from converge.types.sql import sizes

_USES = ("primary key", "unique", "foreign key", "index")
"""What a column is part of, the worst first: there an application looks rows up by the text."""
_ENUMS = frozenset({"enum", "set"})
_LOWER, _UPPER = frozenset({"lower"}), frozenset({"upper"})
_CASES = _LOWER | _UPPER
_FOLDS = {"lower": _LOWER, "lcase": _LOWER, "upper": _UPPER, "ucase": _UPPER}
_LIKEWISE = " (for the first column here, and the others likewise)"
_PARTS = ("left", "right", "substr", "substring", "mid", "ltrim", "rtrim")
"""Functions whose texts are parts of their first argument."""


@dataclass(frozen=True, slots=True)
class _Use:
    """A column or an expression, and what it is part of."""

    name: str
    """The expression as the source has it."""
    use: str
    collation: str
    column: Column | None = None
    folded: bool = False
    """Whether it is in lower or upper case."""
    unseen: Set[str] = frozenset()
    """What the target ignores of it."""

    @property
    def any_case(self) -> bool:
        """Whether only MySQL finds the text by another case."""
        return CASE in self.ignored

    @property
    def ignored(self) -> tuple[str, ...]:
        """What only MySQL ignores of it."""
        words = ignored(self.collation, folded=self.folded)
        # MySQL stores a CHAR without them, whatever its collation is.
        spaces = self.column is not None and self.column.type == "char" and SPACES not in words
        return tuple(one for one in (*words, *[SPACES] * spaces) if one not in self.unseen)

    @property
    def looked_through(self) -> bool:
        """Whether the scan looks at its texts; not where they may become a uuid, which has no case."""
        if self.column is None or not self.any_case:
            return False
        family = family_of(self.column)
        return not (family and any(family.suggestions(self.column)))


def conditions(draft: Draft, table: Table) -> Iterator[str]:
    """Rows that the scan should count: texts that another spelling would no longer find."""
    return (_capitals(one.name) for one in _columns(draft, table) if one.looked_through)


def searches(draft: Draft, table: Table) -> Iterator[Search]:
    """Rows that the scan should find: those that MySQL finds by each other's text."""
    source = _source(draft, table)
    for one in _columns(draft, table):
        if one.looked_through and one.use == "index" and _leads(source, one.name):
            yield _spellings(table, one.name)


def note_texts(draft: Draft, tables: Sequence[Table]) -> None:
    """A finding for each table that is looked up by such texts, the worst first, and one for all others."""
    arrived = {one.source for one in draft.computed if one.kind == "index"}
    noted: list[tuple[int, Table, list[_Use]]] = []
    padded: list[str] = []
    others: defaultdict[str, list[str]] = defaultdict(list)
    ways: set[str] = set()
    for table in tables:
        if table.name.lower() in BOOKKEEPING:
            continue  # whose texts frameworks write and read in one spelling
        uses = [one for one in map(partial(_seen, draft, table), _columns(draft, table)) if one.ignored]
        uses += _expressions(draft, table, arrived)
        if loose := [one for one in uses if one.any_case]:
            noted.append((min(_USES.index(one.use) for one in loose), table, loose))
        padded += [
            f"{table.name}.{one.name} ({one.use}; {_listed(one.ignored)})" for one in uses if not one.any_case
        ]
        used = {one.name for one in uses}
        for column in table.columns:
            if column.name not in used and (other := _other(draft, table, column)):
                words, way = other
                others[words].append(f"{table.name}.{column.name}")
                ways.add(way)
    for _, table, uses in sorted(noted, key=lambda one: (one[0], -one[1].rows_estimate)):
        draft.find(
            Code.F001, table.name, _words(uses), _cures(draft, table, uses),
            evidence="; ".join(_evidence(draft, table, uses)),
        )  # fmt: skip
    if others:
        listed = "; ".join(f"{words} in {', '.join(names)}" for words, names in others.items())
        message = f"comparisons see what MySQL ignores in columns without an index and in ENUMs: {listed}"
        # Queries first.
        hint = "\n".join(sorted(filter(None, ways), reverse=True))
        draft.find(Code.F002, draft.schema, message, hint)
    if padded:
        message = f"what MySQL ignores in these keys counts in PostgreSQL: {', '.join(padded)}"
        draft.find(Code.F004, draft.schema, message)


def _source(draft: Draft, table: Table) -> Table:
    """The table with the source's keys: in load mode the draft's has the target's."""
    match = draft.loading.matches.get(table.name) if draft.loading else None
    return match.source if match else table


def _columns(draft: Draft, table: Table) -> Iterator[_Use]:
    """The columns of the source's keys whose collation takes texts for equal that differ."""
    source = _source(draft, table)
    uses: dict[str, str] = {}
    for index, kind in _ranked(source):
        for name in index.columns:
            uses.setdefault(name, kind if index.kind == "BTREE" else "")
    for key in source.foreign_keys:
        for name in key.columns:
            uses[name] = min(uses.get(name, "foreign key"), "foreign key", key=_rank)
    for column in source.columns:
        use, collation = uses.get(column.name, ""), column.collation or ""
        if use and column.type in TEXTUAL - _ENUMS and family_of(column):
            yield _Use(column.name, use, collation, column)


def _expressions(draft: Draft, table: Table, arrived: Container[str]) -> Iterator[_Use]:
    """The texts that are made for indexes: their collation is not that of the columns they are made of.

    In create mode those of the indexes that have `arrived`; in load mode the target has its own.
    """
    source = _source(draft, table)
    for index, use in _ranked(source):
        if draft.loading is None and f"{table.name}.{index.name}" not in arrived:
            continue
        for expression in (part.expression for part in index.parts if part.expression):
            with suppress(Untranslatable):
                term = made_term(draft, source, expression, draft.context(immutable=True))
                tree, unseen = parse_expression(expression), frozenset[str]()
                if term.alike and key_sql(term) == term.sql:
                    columns = (_Use(node.name, use, "") for node in tree.find_all(exp.Column))
                    unseen = unseen.union(*(_seen(draft, table, one).unseen for one in columns))
                one = _Use(expression, use, term.collation, folded=bool(_cases(tree)), unseen=unseen)
                if term.kind == "text" and not term.one_spelling and one.ignored:
                    yield one


def _cases(tree: exp.Expr) -> Set[str]:
    """The cases that all letters of a text are surely in: both where it has none.

    CONCAT(LOWER(s), 'X', LOWER(t)) has none: of 'axXb' and 'aXxb' MySQL sees no difference.
    """
    name = called(tree)
    if name in _FOLDS:
        return _FOLDS[name]
    if name in ("concat", "coalesce", "ifnull"):
        return _CASES.intersection(*map(_cases, tree.expressions))
    if name in _PARTS:
        return _cases(tree.expressions[0])
    match tree:
        case exp.Paren() | exp.Cast() | exp.Collate() | exp.Trim():
            return _cases(tree.this)
        case exp.Introducer():
            return _cases(tree.expression)
        case exp.Literal():
            return {case for case in _CASES if getattr(tree.name, case)() == tree.name}
    return frozenset()


def _ranked(source: Table) -> Iterator[tuple[Index, str]]:
    """The table's indexes with what they are, the primary key first."""
    for index in sorted(source.indexes, key=lambda index: (not index.primary, not index.unique)):
        yield index, "primary key" if index.primary else "unique" if index.unique else "index"


def _rank(use: str) -> int:
    return _USES.index(use) if use in _USES else len(_USES)


def _leads(source: Table, column: str) -> bool:
    """Whether an index has whole values of the column in their order, so that groups cost no sort."""
    firsts = (index.parts[0] for index in source.indexes if index.kind == "BTREE")
    return any(part.column == column and not part.prefix for part in firsts)


def _other(draft: Draft, table: Table, column: Column) -> tuple[str, str] | None:
    """What only MySQL ignores of labels, or of a column that no key has, in words; and what finds it."""
    loose = ignores_case(column.collation)
    compared = column.type in TEXTUAL and (loose or column.type not in _ENUMS)
    if not compared or not draft.has(table.name, column.name):
        return None
    seen = _seen(draft, table, _Use(column.name, "", column.collation or "", column)).ignored
    if column.type in _ENUMS:
        words = _listed(seen)
        if not words and draft.decision(table, column).to == "enum":
            words = "another spelling is an error"
        return (words, "ENUM and SET: each label in its own spelling") if words else None
    # Nearly every column ignores trailing spaces, such as each CHAR: keys are what they matter in.
    return (_listed(seen), _query(seen)) if {*seen} - {SPACES} else None


def _query(seen: Sequence[str]) -> str:
    """The condition that finds a text in PostgreSQL as in MySQL; empty where no function does."""
    text = "rtrim({})" if SPACES in seen else "{}"
    text = f"lower({text})" if CASE in seen else text
    return f"WHERE {text.format('name')} = {text.format('$1')}" if text != "{}" else ""


def _seen(draft: Draft, table: Table, use: _Use) -> _Use:
    """With what the target ignores of the column: everything where it has no text."""
    unseen = frozenset({CASE, ACCENTS, FORM, SPACES})
    if draft.has(table.name, use.name):
        plan = draft.column(table.name, use.name)
        base = base_name(plan.target_type.removesuffix("[]"))
        if base in PADDED:
            unseen = frozenset({SPACES})
        elif base == "citext":
            unseen = frozenset({CASE})
        elif base in TEXTS:
            unseen = frozenset()
        if plan.collation in draft.loose and base in TEXTS | PADDED:
            unseen |= ignored_by_icu(draft.loose[plan.collation])
    return replace(use, unseen=unseen)


def _listed(words: Sequence[str]) -> str:
    return " and ".join(", ".join(words).rsplit(", ", 1))


def _words(uses: Sequence[_Use]) -> str:
    """``PostgreSQL sees what MySQL ignores: case and accents in email (unique), name (index)``."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for one in sorted(uses, key=lambda one: _rank(one.use)):
        alike[_listed(one.ignored)].append(f"{one.name} ({one.use})")
    listed = "; ".join(f"{words} in {', '.join(names)}" for words, names in alike.items())
    return f"comparisons see what MySQL ignores: {listed}"


# ---- the evidence --------------------------------------------------------------------------------------


def _capitals(column: str) -> str:
    name = my_name(column)
    return f"CAST({name} AS BINARY)<>CAST(LOWER({name}) AS BINARY)"


def _spellings(table: Table, column: str) -> Search:
    name, of = my_name(column), my_name(table.name)
    differ = f"MIN(CAST({name} AS BINARY))<>MAX(CAST({name} AS BINARY))"
    groups = f"SELECT {name} AS k FROM {of} WHERE {name} IS NOT NULL GROUP BY {name} HAVING {differ}"
    return Search(f"spellings of {name}", f"FROM {of} AS c JOIN ({groups}) AS d", f"c.{name}=d.k")


def _evidence(draft: Draft, table: Table, uses: Sequence[_Use]) -> Iterator[str]:
    facts = draft.evidence.table(table.name)
    if facts is None:
        return
    for one in uses:
        capitals = facts.counts.get(_capitals(one.name), Count(0))
        if capitals.rows:
            yield f"{one.name}: {said(capitals.rows, 'have capital letters', of=f'{facts.rows:,}')}"
        spelled = facts.found.get(_spellings(table, one.name).name, Count(0))
        if spelled.rows:
            yield f"{one.name}: {said(spelled.rows, 'are equal to others in MySQL alone')}"


# ---- the cures -----------------------------------------------------------------------------------------


def _cures(draft: Draft, table: Table, uses: Sequence[_Use]) -> str:
    """Three ways, as SQL: indexes over lower(), citext, a collation of ICU."""
    lines = list(_lower_indexes(draft, table, {one.name for one in uses}))
    lines.append(f"-- {'and ' * bool(lines)}lower() in the application's queries.")
    columns = [(one.name, one.collation) for one in uses if one.column]
    name, collation = columns[0] if columns else ("", "")
    if not name:
        return "\n".join(lines)
    if used := [*users(draft, table, name), *joined(draft, table, name)]:
        way = f"-- Or, as citext or with a collation that ignores case, for {name}"
        return "\n".join([*lines, f"{way} drop first: {', '.join(used)}"])
    return "\n".join(
        [
            *lines,
            f"-- Or, so that queries need no change, a type{_LIKEWISE if columns[1:] else ''}:",
            "CREATE EXTENSION IF NOT EXISTS citext;",
            retype(draft, table, name, "citext"),
            *_without_length(draft, table, name),
            "-- or a collation (PostgreSQL 12 or newer; LIKE needs 18):",
            *_icu(draft, table, name, collation),
        ]
    )


def _icu(draft: Draft, table: Table, column: str, collation: str) -> Iterator[str]:
    """The collation that a map's `collation = "source"` makes, and the column with it."""
    like, own = counterpart(collation), pg_name(draft.schema, collation)
    if like is not None:
        yield f"{make_collation(own, like)};"
        type_ = draft.column(table.name, column).target_type
        kept = type_ if base_name(normal(type_)) in TEXTS else "text"
        yield retype(draft, table, column, f"{kept} COLLATE {own}", patterned(draft, table, column))


def _without_length(draft: Draft, table: Table, column: str) -> Iterator[str]:
    """What keeps the limit of a text that becomes citext."""
    plan = draft.column(table.name, column)
    for most in sizes(plan.target_type):
        yield f"-- citext has no length: CHECK (char_length({pg_name(plan.target)}) <= {most})"


def _lower_indexes(draft: Draft, table: Table, loose: Container[str]) -> Iterator[str]:
    """Each of the source's keys over whole values that has one of these texts, over their lower case."""
    source = _source(draft, table)
    for index in source.indexes:
        names = [part.column or part.expression or "" for part in index.parts]
        wanted = index.kind == "BTREE" and any(name in loose for name in names)
        whole = all((part.column or part.expression in loose) and not part.prefix for part in index.parts)
        fits = (longest_entry(draft, table, index) or 0) <= BTREE_BYTES
        if wanted and whole and fits and draft.has(table.name, *index.columns):
            values = [
                pg_name(draft.column(table.name, part.column).target)
                if part.column
                else key_sql(made_term(draft, source, name, draft.context(immutable=True)))
                for part, name in zip(index.parts, names, strict=True)
            ]
            pairs = zip(names, values, strict=True)
            parts = ", ".join(f"lower({value})" if name in loose else value for name, value in pairs)
            unique = "UNIQUE " * index.unique
            yield f"CREATE {unique}INDEX CONCURRENTLY ON {draft.qualified(table.name)} ({parts});"
