"""What of a view's rows is defined: its order, what LIMIT leaves, and columns that may differ by nature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from sqlglot import exp

from converge.model.plan import Computed
from converge.planner.expressions import Untranslatable
from converge.planner.expressions.parse import parse_query

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


def computed_view(name: str, target: str, definition: str, read: Iterable[Computed | str]) -> Computed:
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
    order = _order(tree, outputs)
    limited = _limited(tree) if order else ""
    unsorted = {}
    for place, item in enumerate(outputs):
        value = item.unalias()
        if isinstance(value, exp.GroupConcat) and not _is_sorted(value) and not _reason(value.this):
            separator = value.args.get("separator")
            unsorted[place] = "," if separator is None else separator.name
        elif reason := _reason(item):
            undefined.setdefault(place, reason)
    if reason := _outside(tree, limited=bool(limited)):
        undefined.setdefault(WHOLE, reason)
    return Computed(
        "view", name, target, reads=tuple(tables), order=order, limited=limited,
        unsorted=tuple(unsorted.items()), undefined=tuple(undefined.items()),
    )  # fmt: skip


def _outputs(tree: exp.Expr) -> Sequence[exp.Expr]:
    """What is selected; of a UNION only names are of use, which the first query gives."""
    while isinstance(tree, exp.Union | exp.Subquery):
        tree = tree.this
    return tree.expressions if isinstance(tree, exp.Select) else ()


def _order(tree: exp.Expr, outputs: Sequence[exp.Expr]) -> tuple[int, ...]:
    """Places of the columns that rows are sorted by; none where a key is not shown."""
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
            return ()
    return tuple(places)


def _limited(tree: exp.Expr) -> Literal["", "limit", "offset"]:
    if tree.args.get("offset") is not None:
        return "offset"
    return "limit" if tree.args.get("limit") is not None else ""


def _outside(tree: exp.Expr, *, limited: bool) -> str:
    """Why the rows themselves are not defined: what stands elsewhere than in the list of columns."""
    skipped = {"order", *(("limit", "offset") if limited else ())}
    if isinstance(tree, exp.Select):
        skipped.add("expressions")
    for name, part in tree.args.items():
        if name not in skipped:
            for one in part if isinstance(part, list) else [part]:
                if isinstance(one, exp.Expr) and (reason := _reason(one)):
                    return reason
    return ""


def _reason(tree: exp.Expr) -> str:
    """What makes the value of an expression depend on more than the rows."""
    for node in tree.walk():
        name = str(node.this).lower() if isinstance(node, exp.Anonymous) else ""
        if name in _OPEN_CALLS or isinstance(node, _OPEN_NODES):
            return f"{(name or node.key).upper()}()"
        if isinstance(node, exp.Limit | exp.Offset):
            return "LIMIT, which leaves open which rows it takes where they tie"
        if isinstance(node, exp.GroupConcat) and not _is_sorted(node):
            return "GROUP_CONCAT without ORDER BY"
        if name in _OF_ORDER and isinstance(node.parent, exp.Window):
            return f"{name.upper()}(), which counts rows that tie in any order"
    return ""


def _is_sorted(node: exp.GroupConcat) -> bool:
    return isinstance(node.this, exp.Order)
