"""Views: translated behind an allow-list, tried on the target, each after those that it reads.

Not all of a view's rows is defined: their order, what LIMIT leaves, columns that may differ by nature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Literal

from sqlglot import exp

from converge.codes import Code
from converge.model.catalog import Table, View
from converge.model.plan import TARGET_SCHEMA
from converge.model.quote import fit, pg_name
from converge.model.table_plan import WHOLE, Computed
from converge.planner.draft import Draft
from converge.postgres.capabilities import major
from converge.translate import (
    Relation,
    Untranslatable,
    called,
    column_term,
    parse_query,
    translate_view,
)  # fmt: skip

_INVOKER_SINCE = 15
"""The PostgreSQL that has security_invoker."""
_OPEN_CALLS = frozenset(
    # The clock, then what differs by session.
    ["now", "sysdate", "curdate", "curtime", "utc_timestamp", "utc_date", "utc_time",
     "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
     "rand", "uuid", "uuid_short", "random_bytes", "user", "current_user", "session_user", "system_user",
     "current_role", "connection_id", "database", "schema", "version", "last_insert_id", "found_rows",
     "row_count", "any_value"]
)  # fmt: skip
_OPEN_NODES = (exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentUser, exp.SessionParameter)
_INSTEAD = "change the tables themselves, or add an INSTEAD OF trigger"
_OF_ORDER = frozenset({"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"})
"""Window functions that count rows, also such as tie."""
_RANKS = frozenset({"rank", "dense_rank", "percent_rank", "cume_dist"})
"""Those that count rows before the tie, whatever the frame."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns that a view reads tell of its rows: by table and name, in lower case, as `_origin`."""

    keys: Mapping[str, Sequence[Set[str]]]
    """Of each table those that tell its rows apart."""
    alike: Set[tuple[str, str]]
    """Those that both servers sort alike: all but texts."""
    undefined: Mapping[tuple[str, str], str]
    """Those that need not be equal, with the reason."""

    def sorted_by(self, order: exp.Expr | None) -> Set[tuple[str, str]]:
        """The columns of an ORDER BY; none where one is a text, or computed."""
        items = order.expressions if order is not None else ()
        names = {_origin(item.this) if isinstance(item.this, exp.Column) else ("", "") for item in items}
        return names if names <= self.alike else set()

    def is_total(self, order: exp.Expr | None) -> bool:
        """Whether it leaves no order of rows open."""
        names = self.sorted_by(order)
        select = order.find_ancestor(exp.Select) if order is not None else None
        if order is None or select is None or not _shows_once(select):
            return False
        # A column of the query around it is the same in all rows.
        own = {column.table.lower() for column in order.find_all(exp.Column)} <= _read_by(select).keys()
        columns = {name for _, name in names}
        return own and any(key <= columns for table, _ in names for key in self.keys.get(table, ()))


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
        self.known: dict[str, Relation] = {}
        self.joined: set[str] = set()
        """Views that read a join, and views of them, in lower case."""
        self.read: dict[str, None] = {}
        """What the view at hand reads, by names of the source, in their order."""

    def find(self, database: str, name: str) -> Relation:
        """The relation of this name. Raises Untranslatable."""
        if database and database.lower() != self._draft.catalog.database.lower():
            raise Untranslatable(f"it reads the database {database}")
        if name not in self._draft.tables and name not in self.known:
            # A server can take names without regard to case.
            names = (*self._draft.tables, *self.known)
            name = next((one for one in names if one.lower() == name.lower()), name)
        if name not in self.known:
            self.known[name] = self._table(name)
        self.read[name] = None
        return self.known[name]

    def _table(self, name: str) -> Relation:
        table, source = self._draft.tables.get(name), self._draft.source(name)
        if table is None or source is None:
            raise Untranslatable(f"it reads {name}, which is not migrated")
        columns = {
            plan.source.lower(): column_term(source.column(plan.source), plan, pg_name(plan.target))
            for plan in table.columns
        }
        return Relation(f"{TARGET_SCHEMA}.{pg_name(table.target)}", columns, _unique(source))


def _view(draft: Draft, view: View, relations: _Relations) -> None:
    if not view.definition:
        reason = "the source user may not read its definition, or what it reads no longer exists"
        draft.left(Code.P050, "view", view.name, reason, "GRANT SHOW VIEW ON … TO …;")
        return
    relations.read = {}
    context = draft.context()
    try:
        query = translate_view(view.definition, relations.find, covered=view.full_group_by, context=context)
    except Untranslatable as reason:
        draft.left(Code.P051, "view", view.name, f"{reason}; its text is {view.definition}")
        return
    target = draft.names.take(view.name, held=True)
    name, within = draft.own(target), f"{TARGET_SCHEMA}.{pg_name(target)}"
    # A source that lost the view's definer does not say its columns; the query names them, too.
    columns = f" ({', '.join(pg_name(fit(column)) for column in view.columns)})" if view.columns else ""
    options, losses = _options(draft, view)
    sql = f"CREATE VIEW {within}{columns}{options} AS {query.sql}"
    if refused := draft.refusal("view", view.name, sql, tuple(relations.read)):
        why = f"the target refuses it: {refused}; its text is {view.definition}"
        draft.left(Code.P052, "view", view.name, why)
        return
    relations.known[view.name] = query.relation(within, view.columns)
    if target != view.name:
        context.note(f"is called {target} in the target")
    draft.local_times += [f"view {view.name}"] * context.local_time
    for note in context.notes:
        draft.find(Code.P053, view.name, note)
    for loss in losses:
        draft.find(Code.P157, view.name, loss, severity="lossy")
    if _is_joined(parse_query(view.definition), relations.joined):
        relations.joined.add(view.name.lower())
        if view.updatable:
            cause = (
                "rows can no longer be changed through it: PostgreSQL does that only in views of one table"
            )
            draft.find(Code.P157, view.name, cause, _INSTEAD, severity="note", cause=cause)
    sql = sql.replace(TARGET_SCHEMA, pg_name(draft.schema))
    draft.do("view", view.name, sql, "a view of the source", makes=f"VIEW {name}", optional=True)
    tried = "and tried on the target" if draft.tried else "but not tried on the target"
    draft.done("view", view.name, target, f"translated {tried}")
    read = {name: relations.known[name] for name in relations.read}
    draft.computed.append(_computed(draft, view, target, read))


def _is_joined(tree: exp.Expr, joined: Set[str]) -> bool:
    """Whether it reads several tables, or one of these views."""
    from_ = tree.args.get("from_")
    read = from_.this.unnest() if from_ else None
    if not isinstance(read, exp.Table):
        return bool(tree.args.get("joins"))
    return bool(tree.args.get("joins") or read.args.get("joins")) or read.name.lower() in joined


def _options(draft: Draft, view: View) -> tuple[str, list[str]]:
    """Whose privileges count, as SQL; and what the view no longer does."""
    losses, options = [], ""
    if view.merge:
        losses.append("a MERGE table becomes a view of its tables: rows cannot be inserted through it")
    if view.check_option != "NONE":
        losses.append(
            f"WITH {view.check_option} CHECK OPTION is left out: writes through the view are not checked"
        )
    if view.security == "INVOKER":
        if major(draft.inputs.target_version) >= _INVOKER_SINCE:
            options = " WITH (security_invoker = true)"
        else:
            losses.append(
                "SQL SECURITY INVOKER: before PostgreSQL 15 a view reads with the privileges of its owner"
            )
    return options, losses


# ---- what of a view's rows is defined ------------------------------------------------------------------


def _computed(draft: Draft, view: View, target: str, read: Mapping[str, Relation]) -> Computed:
    """What the comparison must know of a view that `read` these tables and views."""
    views = {one.source: one for one in draft.computed if one.kind == "view"}
    tables: dict[str, None] = {}
    undefined: dict[int, str] = {}
    theirs: dict[tuple[str, str], str] = {}
    for name, relation in read.items():
        one = views.get(name)
        tables |= dict.fromkeys(one.reads if one else [name])
        places = {place for place, _ in (*one.undefined, *one.unsorted)} if one else set()
        reason = f"the view {name}, whose rows are not defined in full"
        if one and (WHOLE in places or one.limited):
            undefined[WHOLE] = reason
        names = [(name.lower(), column) for column in relation.columns]
        theirs |= {column: reason for place, column in enumerate(names) if place in places}
        # Views are read in UTC, which such a column of a table is not in the target.
        source = draft.source(name)
        theirs |= {
            (
                name.lower(),
                column.name.lower(),
            ): f"{name}.{column.name}, which is computed in the server's time zone"
            for column in (source.columns if source else ())
            if column.zoned
        }
    tree = parse_query(view.definition)
    outputs = _outputs(tree)
    keys = {name.lower(): relation.keys for name, relation in read.items()}
    columns = _Columns(keys, {*_sorted_alike(read)}, theirs)
    unsorted = {}
    for number, item in enumerate(outputs):
        value = item.unalias()
        is_list = isinstance(value, exp.GroupConcat) and not _is_sorted(value, columns)
        if is_list and not _reason(value.this, columns):
            separator = value.args.get("separator")
            unsorted[number] = "," if separator is None else separator.name
        elif reason := _reason(item, columns):
            undefined.setdefault(number, reason)
    places = undefined.keys() | unsorted.keys()
    if places and tree.args.get("distinct"):
        undefined.setdefault(WHOLE, "DISTINCT, which merges rows by what need not be equal")
    shown, hidden = _order(tree, outputs)
    order = tuple(takewhile(lambda place: place not in places, shown))
    hidden |= order != shown
    limited: Literal["", "limit", "offset"] = ""
    if order and not hidden and (tree.args.get("limit") or tree.args.get("offset")) is not None:
        limited = "limit" if tree.args.get("offset") is None else "offset"
    if reason := _outside(tree, outputs, columns, limited=bool(limited)):
        undefined.setdefault(WHOLE, reason)
    return Computed(
        "view", view.name, target, reads=tuple(tables), order=order, hidden=hidden, limited=limited,
        unsorted=tuple(unsorted.items()), undefined=tuple(undefined.items()),
    )  # fmt: skip


def _outputs(tree: exp.Expr) -> Sequence[exp.Expr]:
    """What is selected; of a UNION only names are of use, which the first query gives."""
    while isinstance(tree, exp.Union | exp.Subquery):
        tree = tree.this
    return tree.expressions if isinstance(tree, exp.Select) else ()


def _unique(table: Table) -> list[set[str]]:
    """Columns that tell the table's rows apart."""
    filled = {column.name.lower() for column in table.columns if not column.nullable}
    keys = [
        {name.lower() for name in index.columns}
        for index in table.indexes
        if index.unique and not any(part.prefix or part.expression for part in index.parts)
    ]
    return [key for key in keys if key <= filled]


def _sorted_alike(relations: Mapping[str, Relation]) -> Iterator[tuple[str, str]]:
    """The columns that both servers sort alike: not texts."""
    for table, relation in relations.items():
        for name, value in relation.columns.items():
            if value.kind not in ("text", "set", "opaque") or value.labels:
                yield table.lower(), name


def _order(tree: exp.Expr, outputs: Sequence[exp.Expr]) -> tuple[tuple[int, ...], bool]:
    """Places of the columns that rows are sorted by, and whether more follow that are not shown."""
    order = tree.args.get("order")
    names = [item.alias_or_name.lower() for item in outputs]
    values = [item.unalias() for item in outputs]
    places = []
    for item in order.expressions if order is not None else ():
        key = item.this
        if isinstance(key, exp.Literal | exp.Null):
            continue
        if key in values:
            places.append(values.index(key))
        elif isinstance(key, exp.Column) and not key.table and key.name.lower() in names:
            places.append(names.index(key.name.lower()))
        else:
            return tuple(places), True
    return tuple(places), False


def _outside(tree: exp.Expr, outputs: Sequence[exp.Expr], columns: _Columns, *, limited: bool) -> str:
    """Why the rows themselves are not defined: what stands elsewhere than in the list of columns."""
    skipped = {"order", *(("limit", "offset") if limited else ())}
    if isinstance(tree, exp.Select):
        skipped.add("expressions")
    parts = (part for name, part in tree.args.items() if name not in skipped)
    listed = chain.from_iterable(part if isinstance(part, list) else [part] for part in parts)
    # GROUP BY and HAVING may name an output; MySQL prints a table's column with its table.
    named = {column.name.lower() for name in ("group", "having") if tree.args.get(name)
             for column in tree.args[name].find_all(exp.Column) if not column.table}  # fmt: skip
    aliased = (item for item in outputs if item.alias.lower() in named)
    reasons = (_reason(one, columns) for one in chain(listed, aliased) if isinstance(one, exp.Expr))
    return next(filter(None, reasons), "")


def _reason(tree: exp.Expr, columns: _Columns) -> str:
    """What makes the value of an expression depend on more than the rows."""
    for node in tree.walk():
        name = called(node)
        if isinstance(node, exp.Column) and (reason := columns.undefined.get(_origin(node))):
            return reason
        # Of a moment that it is given it says which second that is.
        clock = name == "unix_timestamp" and not node.expressions
        if clock or name in _OPEN_CALLS or isinstance(node, _OPEN_NODES):
            return f"{(name or node.key).upper()}()"
        if isinstance(node, exp.Limit | exp.Offset):
            return "LIMIT, which leaves open which rows it takes where they tie"
        if isinstance(node, exp.GroupConcat) and not _is_sorted(node, columns):
            return "GROUP_CONCAT, which lists parts that tie in any order"
        if isinstance(node, exp.Window) and (reason := _open(node, columns)):
            return f"{called(node.this).upper()}(), which {reason}"
    return ""


def _origin(column: exp.Column) -> tuple[str, str]:
    """The table or view of the schema that has the column, and its name there, both in lower case; empty
    where a query has made it."""
    select, named = column.find_ancestor(exp.Select), None
    while select is not None and named is None:
        named = _read_by(select).get(column.table.lower())
        select = select.find_ancestor(exp.Select)
    if isinstance(named, exp.Table):
        queries = {one.alias.lower() for one in named.root().find_all(exp.CTE)}
        return ("", "") if named.name.lower() in queries else (named.name.lower(), column.name.lower())
    query = named.unnest() if named is not None and not named.alias_column_names else None
    for item in query.expressions if isinstance(query, exp.Select) else ():
        value = item.unalias()
        if item.alias_or_name.lower() == column.name.lower() and isinstance(value, exp.Column):
            return _origin(value)
    return "", ""


def _shows_once(select: exp.Select) -> bool:
    """Whether it reads one table, each row of it once at most."""
    read = [*_read_by(select).values()]
    query = read[0].unnest() if len(read) == 1 else None
    return isinstance(query, exp.Table) or (isinstance(query, exp.Select) and _shows_once(query))


def _read_by(select: exp.Select) -> dict[str, exp.Table | exp.Subquery]:
    """What stands in the FROM of a query, by its name there in lower case."""
    parts = [select.args.get("from_"), *(select.args.get("joins") or ())]
    nodes = chain.from_iterable(
        part.walk(prune=lambda node: isinstance(node, exp.Select | exp.Union)) for part in parts if part
    )
    # A join in parentheses is a Subquery without a name.
    return {
        node.alias_or_name.lower(): node
        for node in nodes
        if isinstance(node, exp.Table) or (isinstance(node, exp.Subquery) and node.alias)
    }


def _open(window: exp.Window, columns: _Columns) -> str:
    """Why the window function may give something else on the other server; empty where it may not."""
    name, select = called(window.this), window.find_ancestor(exp.Select)
    if not name:
        return ""  # The definition of a named window counts where a function uses it.
    named = {one.name.lower(): one for one in (select and select.args.get("windows")) or ()}
    window = named.get(window.alias.lower(), window)
    spec, order = window.args.get("spec"), window.args.get("order")
    # A frame of rows ends between rows that tie, unless it has no ends.
    endless = spec is not None and {spec.args.get("start"), spec.args.get("end")} == {"UNBOUNDED"}
    counts = name in _OF_ORDER or (spec is not None and not endless)
    if counts and not columns.is_total(order):
        return "counts rows that tie in any order"
    keys = order.find_all(exp.Column) if order is not None else ()
    if (name in _RANKS or not endless) and any(_origin(key) not in columns.alike for key in keys):
        return "goes by an order of texts"
    return ""


def _is_sorted(node: exp.GroupConcat, columns: _Columns) -> bool:
    """Whether its parts have one order."""
    order = node.this
    if not isinstance(order, exp.Order):
        return False
    distinct = isinstance(order.this, exp.Distinct)
    parts = order.this.expressions if distinct else [order.this]
    if parts == [item.this for item in order.expressions]:
        return bool(columns.sorted_by(order))
    # One of several rows decides where a distinct part goes.
    return not distinct and columns.is_total(order)
