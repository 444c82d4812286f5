"""What ALTER does to rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from converge.revisions.gate.effect import Arms, Effect, Loses, Renamed, Unjudged
from converge.revisions.gate.reader import Reader
from converge.revisions.gate.words import set_of


def altered(reader: Reader) -> Iterator[Effect]:
    kind = reader.next()
    reader.take(kind)
    if kind in ("materialized", "foreign"):
        reader.take("view") or reader.take("table")
    reader.take("if", "exists")
    reader.take("only")
    harmless = _ALTERS.get("table" if kind == "foreign" else kind)
    if harmless is None or reader.has("all", "in", "tablespace"):
        yield Unjudged(f"what ALTER {kind.upper()} does to rows is not known")
        return
    name = reader.name()
    reader.take("*")
    yield from harmless(name, reader)


def _alter_table(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    for part in reader.parts():
        first = part.any_of("add", "drop", "alter", "rename", "set")
        if first:
            yield from _ACTIONS[first](name, part)
        elif moved := next((words for words in _MOVES_ROWS if part.take(*words)), None):
            yield from _moves_rows(name, moved, part)
        elif part.take("enable"):
            # A trigger or a rule, maybe one without effect as the database is now.
            yield from () if part.take("row") else (Arms(),)
        elif part.next() not in _TABLE_ACTIONS:
            yield Unjudged(f"what ALTER TABLE … {part.next().upper()} does to rows is not known")


_TABLE_ACTIONS = set_of("validate disable cluster replica owner reset force no of not")
_MOVES_ROWS = (("inherit",), ("no", "inherit"), ("attach", "partition"), ("detach", "partition"))


def _moves_rows(name: tuple[str, ...], how: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    child = part.name() if "partition" in how else name
    if how in (("inherit",), ("attach", "partition")):
        yield Loses(child, "its rows become rows of another table, too")
    else:
        yield Loses(child, "its rows leave the table above it")


def _add(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    column = part.take("column")
    if not column and part.next() in (
        "constraint",
        "primary",
        "unique",
        "foreign",
        "check",
        "exclude",
        "not",
    ):
        return
    filled = any(part.has(word) for word in ("default", "generated", "serial", "bigserial", "smallserial"))
    if part.has("not", "null") and not filled:
        yield Loses(name, "it adds a column that must not be NULL and has no default")


def _drop_column(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("constraint"):
        return
    part.take("column")
    part.take("if", "exists")
    column = (part.name() or ("",))[-1]
    yield Loses(name, f"it drops the column {column}", column)
    if part.take("cascade"):
        yield Unjudged("CASCADE takes along what hangs on it")


def _alter_column(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("constraint"):
        return
    part.take("column")
    column = (part.name() or ("",))[-1]
    if part.take("set", "data", "type") or part.take("type"):
        yield Loses(name, f"it changes the type of {column}", column, tuple(part.left))
    elif part.take("set", "not", "null"):
        yield Loses(name, f"it makes {column} NOT NULL", column)
    elif part.has("set", "expression"):
        yield Loses(name, f"it computes {column} anew", column)
    elif part.next() not in ("set", "drop", "add", "reset", "restart"):
        yield Unjudged(f"what ALTER COLUMN … {part.next().upper()} does to rows is not known")


def _rename(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("to"):
        yield from _moved(name, new=part.name())


def _moved(
    name: tuple[str, ...], new: tuple[str, ...] = (), schema: tuple[str, ...] = ()
) -> Iterator[Effect]:
    if name and (new or schema):
        yield Renamed(name, name=new[-1]) if new else Renamed(name, schema=schema[-1])
    else:
        yield Unjudged("a name in it cannot be read")


def _set(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("schema"):
        yield from _moved(name, schema=part.name())
    elif part.take("unlogged"):
        yield Unjudged("a crash empties an unlogged table")


def _alter_relation(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    """Views, sequences and the like: only their names matter."""
    if (first := reader.any_of("rename", "set")) and not reader.take("column"):
        yield from _ACTIONS[first](name, reader)


def _alter_type(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    if reader.has("attribute"):
        yield Unjudged("columns of this type change, too")
    elif reader.take("rename", "value"):
        yield Unjudged("every row with this value shows another one")


def _alter_harmless(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    return iter(())


_Action = Callable[[tuple[str, ...], Reader], Iterable[Effect]]
_ACTIONS: dict[str, _Action] = {
    "add": _add,
    "drop": _drop_column,
    "alter": _alter_column,
    "rename": _rename,
    "set": _set,
}
_ALTERS: dict[str, _Action] = {
    "table": _alter_table,
    "type": _alter_type,
    **dict.fromkeys(("view", "materialized", "sequence", "index"), _alter_relation),
    **dict.fromkeys(
        set_of("function procedure routine aggregate trigger policy rule domain collation statistics"),
        _alter_harmless,
    ),
}
