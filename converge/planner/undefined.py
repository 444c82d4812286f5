"""What of a view's rows is defined: its order, what LIMIT leaves, and columns that may differ by nature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Literal

from sqlglot import exp

from converge.model.catalog import Table
from converge.model.plan import Computed
from converge.translate import Untranslatable
from converge.translate.parse import called, parse_query

_CLOCK = ("now", "sysdate", "curdate", "curtime", "utc_timestamp", "utc_date", "utc_time", "unix_timestamp",
          "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp")  # fmt: skip
_SESSION = (
    "rand", "uuid", "uuid_short", "random_bytes", "user", "current_user", "session_user", "system_user",
    "current_role", "connection_id", "database", "schema", "version", "last_insert_id", "found_rows",
    "row_count", "any_value",
)  # fmt: skip
_OPEN_CALLS = frozenset(_CLOCK + _SESSION)
_OPEN_NODES = (exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentUser, exp.SessionParameter)
_OF_ORDER = frozenset({"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"})
"""Window functions that count rows, also such as tie."""
WHOLE = -1
Keys = Sequence[tuple[Set[str], Set[str]]]


def computed_view(
    name: str,
    target: str,
    definition: str,
    read: Iterable[Computed | str],
    source: Callable[[str], Table | None],
) -> Computed:
    """What the comparison must know of a view; `read` has its tables, and its views as they were computed."""
    tables: dict[str, None] = {}
    undefined: dict[int, str] = {}
    for one in read:
        if isinstance(one, str):
            tables[one] = None
            continue
        tables |= dict.fromkeys(one.reads)
        if one.undefined or one.unsorted or one.limited:
            undefined[WHOLE] = f"the view {one.source}, whose rows are not defined in full"
    try:
        tree = parse_query(definition)
    except Untranslatable:
        return Computed("view", name, target, reads=tuple(tables))
    outputs = _outputs(tree)
    order, hidden = _order(tree, outputs)
    limited = _limited(tree) if order and not hidden else ""
    unsorted = {}
    only = source(next(iter(tables))) if len(list(tree.find_all(exp.Table))) == len(tables) == 1 else None
    keys = _keys(only) if only is not None else []
    for place, item in enumerate(outputs):
        value = item.unalias()
        if isinstance(value, exp.GroupConcat) and not _is_sorted(value) and not _reason(value.this, keys):
            separator = value.args.get("separator")
            unsorted[place] = "," if separator is None else separator.name
        elif reason := _reason(item, keys):
            undefined.setdefault(place, reason)
    if reason := _outside(tree, keys, limited=bool(limited)):
        undefined.setdefault(WHOLE, reason)
    return Computed(
        "view", name, target, reads=tuple(tables), order=order, hidden=hidden, limited=limited,
        unsorted=tuple(unsorted.items()), undefined=tuple(undefined.items()),
    )  # fmt: skip


def _outputs(tree: exp.Expr) -> Sequence[exp.Expr]:
    """What is selected; of a UNION only names are of use, which the first query gives."""
    while isinstance(tree, exp.Union | exp.Subquery):
        tree = tree.this
    return tree.expressions if isinstance(tree, exp.Select) else ()


def _keys(table: Table) -> list[tuple[Set[str], Set[str]]]:
    """Columns that tell the table's rows apart, each beside all that both servers sort alike."""
    alike = {column.name.lower() for column in table.columns if not column.charset or column.type == "enum"}
    filled = {column.name.lower() for column in table.columns if not column.nullable}
    keys = [
        {name.lower() for name in index.columns}
        for index in table.indexes
        if index.unique and not any(part.prefix or part.expression for part in index.parts)
    ]
    return [(key, alike) for key in keys if key <= alike & filled]


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


def _limited(tree: exp.Expr) -> Literal["", "limit", "offset"]:
    if tree.args.get("offset") is not None:
        return "offset"
    return "limit" if tree.args.get("limit") is not None else ""


def _outside(tree: exp.Expr, keys: Keys, *, limited: bool) -> str:
    """Why the rows themselves are not defined: what stands elsewhere than in the list of columns."""
    skipped = {"order", *(("limit", "offset") if limited else ())}
    if isinstance(tree, exp.Select):
        skipped.add("expressions")
    for name, part in tree.args.items():
        if name not in skipped:
            for one in part if isinstance(part, list) else [part]:
                if isinstance(one, exp.Expr) and (reason := _reason(one, keys)):
                    return reason
    return ""


def _reason(tree: exp.Expr, keys: Keys) -> str:
    """What makes the value of an expression depend on more than the rows."""
    for node in tree.walk():
        name = called(node)
        if name in _OPEN_CALLS or isinstance(node, _OPEN_NODES):
            return f"{(name or node.key).upper()}()"
        if isinstance(node, exp.Limit | exp.Offset):
            return "LIMIT, which leaves open which rows it takes where they tie"
        if isinstance(node, exp.GroupConcat) and not _is_sorted(node):
            return "GROUP_CONCAT without ORDER BY"
        if name in _OF_ORDER and isinstance(node.parent, exp.Window) and not _is_total(node.parent, keys):
            return f"{name.upper()}(), which counts rows that tie in any order"
    return ""


def _is_total(window: exp.Window, keys: Keys) -> bool:
    """Whether the window sorts its rows without ties, and by nothing that a collation sorts."""
    order = window.args.get("order")
    items = [item.this for item in order.expressions] if order is not None else []
    names = {item.name.lower() if isinstance(item, exp.Column) else "" for item in items}
    return any(key <= names <= alike for key, alike in keys)


def _is_sorted(node: exp.GroupConcat) -> bool:
    return isinstance(node.this, exp.Order)
