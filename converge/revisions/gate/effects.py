"""What a statement does to rows, by its words alone. What is not known to be harmless is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from converge.revisions.gate.reader import Reader
from converge.revisions.gate.words import Statement, Word


@dataclass(frozen=True, slots=True)
class Loses:
    """Rows of a relation may be lost, or the values of a column."""

    relation: tuple[str, ...]
    reason: str
    column: str = ""
    becomes: tuple[Word, ...] = ()
    """A column's new type: harmless where it holds all that the old one does."""


@dataclass(frozen=True, slots=True)
class Empties:
    """All that is in a schema goes."""

    schema: str


@dataclass(frozen=True, slots=True)
class Unjudged:
    """It may do anything to any table."""

    reason: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A relation has another name, or is in another schema, from here on."""

    relation: tuple[str, ...]
    name: str = ""
    schema: str = ""


Effect = Loses | Empties | Unjudged | Renamed


def _all(*words: str) -> frozenset[str]:
    return frozenset(word for line in words for word in line.split())


_HARMLESS = _all("begin commit comment grant revoke analyze reindex vacuum refresh lock notify checkpoint")
_MAKES = _all(
    "table index view type domain sequence schema function procedure aggregate trigger rule policy "
    "extension collation statistics operator cast text unique materialized recursive"
)
_DROPS = _all(
    "index view materialized type domain function procedure routine aggregate trigger rule policy "
    "collation statistics operator cast schema sequence text"
)
_CASCADES_TO_NO_ROWS = _all("index view materialized trigger rule policy statistics")
_SETTINGS = _all(
    "lock_timeout statement_timeout idle_in_transaction_session_timeout client_min_messages "
    "check_function_bodies maintenance_work_mem work_mem max_parallel_maintenance_workers"
)


def effects(statement: Statement, own: Set[str] = frozenset()) -> Iterator[Effect]:
    """What the statement does; nothing for a harmless one. `own` are functions that are not the server's."""
    reader = Reader(statement.words)
    first = reader.next()
    reader.take(first)
    if first in _HARMLESS:
        return
    known = _KINDS.get(first)
    if known is None:
        yield Unjudged(f"what {first.upper() or 'it'} does is not known")
        return
    yield from known(reader)
    if first == "insert" or (first == "create" and _fills(Reader(statement.words))):
        yield from (Unjudged(f"it calls {name}()") for name in sorted(Reader(statement.words).calls() & own))


def made_functions(statement: Statement) -> tuple[str, ...]:
    """The name of the function that the statement makes."""
    reader = Reader(statement.words)
    if reader.take("create"):
        reader.take("or", "replace")
        if reader.any_of("function", "procedure"):
            return reader.name()[-1:]
    return ()


def _fills(reader: Reader) -> bool:
    """Whether what is made gets its rows from a query at once."""
    return reader.has("materialized") or (reader.has("table") and reader.has("as"))


def _create(reader: Reader) -> Iterator[Effect]:
    reader.take("or", "replace")
    while reader.any_of("temp", "temporary", "unlogged", "global", "local", "trusted", "constraint"):
        pass
    if reader.next() not in _MAKES:
        yield Unjudged(f"what CREATE {reader.next().upper()} does to rows is not known")


def _drop(reader: Reader) -> Iterator[Effect]:
    kind = reader.next()
    reader.take(kind)
    reader.take("view") or reader.take("table")
    reader.take("concurrently")
    reader.take("if", "exists")
    cascade = bool(reader.left) and reader.left[-1].text == "cascade"
    if kind in ("table", "foreign"):
        yield from (Loses(name, "it drops the table") for name in reader.names())
        if cascade:
            yield Unjudged("CASCADE takes along what hangs on it")
    elif kind == "sequence" and not cascade:
        yield from (Loses(name, "it drops the sequence, and where it stands") for name in reader.names())
    elif kind == "schema" and cascade:
        yield from (Empties(name[-1]) for name in reader.names())
    elif kind not in _DROPS:
        yield Unjudged(f"what DROP {kind.upper()} takes along is not known")
    elif cascade and kind not in _CASCADES_TO_NO_ROWS:
        yield Unjudged("CASCADE takes along what hangs on it, columns too")


def _alter(reader: Reader) -> Iterator[Effect]:
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
        elif part.next() not in _TABLE_ACTIONS:
            yield Unjudged(f"what ALTER TABLE … {part.next().upper()} does to rows is not known")


_TABLE_ACTIONS = _all(
    "validate enable disable cluster replica owner reset force no inherit attach detach of not"
)


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
    column = part.name()[-1]
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
    elif part.next() not in ("set", "drop", "add", "reset", "restart"):
        yield Unjudged(f"what ALTER COLUMN … {part.next().upper()} does to rows is not known")


def _rename(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("to"):
        yield Renamed(name, name=part.name()[-1])


def _set(name: tuple[str, ...], part: Reader) -> Iterator[Effect]:
    if part.take("schema"):
        yield Renamed(name, schema=part.name()[-1])
    elif part.take("unlogged"):
        yield Unjudged("a crash empties an unlogged table")


def _alter_relation(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    """Views, sequences and the like: only their names matter."""
    if (first := reader.any_of("rename", "set")) and not reader.take("column"):
        yield from _ACTIONS[first](name, reader)


def _alter_type(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    if reader.has("attribute"):
        yield Unjudged("columns of this type change, too")


def _alter_harmless(name: tuple[str, ...], reader: Reader) -> Iterator[Effect]:
    return iter(())


def _set_variable(reader: Reader) -> Iterator[Effect]:
    reader.any_of("local", "session")
    if reader.next() not in _SETTINGS:
        yield Unjudged(f"with another {reader.next() or 'setting'} statements may mean something else")


def _insert(reader: Reader) -> Iterator[Effect]:
    reader.take("into")
    name = reader.name()
    if reader.has("do", "update"):
        yield Loses(name, "ON CONFLICT DO UPDATE overwrites rows")
    if reader.has("delete") or (reader.has("update") and not reader.has("do", "update")):
        yield Unjudged("it changes other rows on its way")


def _update(reader: Reader) -> Iterator[Effect]:
    reader.take("only")
    yield Loses(reader.name(), "it overwrites rows")


def _delete(reader: Reader) -> Iterator[Effect]:
    reader.take("from")
    reader.take("only")
    yield Loses(reader.name(), "it deletes rows")


def _truncate(reader: Reader) -> Iterator[Effect]:
    reader.take("table")
    reader.take("only")
    yield from (Loses(name, "it empties the table") for name in reader.names())
    if reader.has("cascade"):
        yield Unjudged("CASCADE empties what references it, too")


def _merge(reader: Reader) -> Iterator[Effect]:
    reader.take("into")
    reader.take("only")
    yield Loses(reader.name(), "it overwrites or deletes rows")


def _select(reader: Reader) -> Iterator[Effect]:
    """Setting a sequence is all that a query may do here: another's answer may decide what follows."""
    sets = reader.take("pg_catalog", ".", "setval") or reader.take("setval")
    known = {"setval", "pg_get_serial_sequence", "max", "coalesce", "greatest", "count", "select", "from"}
    if not sets or (reader.calls() - known) or any(word.text == ";" for word in reader.left):
        yield Unjudged("a query may call anything, and its answer decide what follows")


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
    **dict.fromkeys(("view", "materialized", "sequence"), _alter_relation),
    **dict.fromkeys(
        _all("index function procedure routine aggregate trigger policy rule domain collation statistics"),
        _alter_harmless,
    ),
}
_KINDS: dict[str, Callable[[Reader], Iterable[Effect]]] = {
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    "set": _set_variable,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
    "truncate": _truncate,
    "merge": _merge,
    "select": _select,
}
