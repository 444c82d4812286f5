"""What a statement does to rows, by its words alone. What is not known to be harmless is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set

from converge.revisions.gate.alter import altered
from converge.revisions.gate.effect import Arms, Effect, Empties, Fires, Loses, Unjudged
from converge.revisions.gate.reader import Reader
from converge.revisions.gate.words import Statement, set_of

_HARMLESS = set_of("comment grant revoke analyze reindex vacuum refresh lock notify checkpoint")
_MAKES = set_of(
    "table index view type domain sequence schema function procedure aggregate trigger rule policy "
    "extension collation statistics operator cast text unique materialized recursive"
)
_DROPS = set_of(
    "index view materialized type domain function procedure routine aggregate trigger rule policy "
    "collation statistics operator cast schema sequence text"
)
_CASCADES_TO_NO_ROWS = set_of("index view materialized trigger rule policy statistics")
_CALLS_NOW = {
    "create": set_of("table materialized domain schema"),
    "alter": set_of("table foreign view materialized domain"),
}
"""The kinds of objects whose functions are called at once, or as soon as a row comes."""
_ROWS = ("insert", "update", "delete", "merge", "select")
_SETTINGS = set_of(
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
    if _calls_now(statement):
        yield from (Unjudged(f"it calls {name}()") for name in sorted(Reader(statement.words).calls() & own))


def made_functions(statement: Statement) -> tuple[str, ...]:
    """The name that a function has from this statement on."""
    reader = Reader(statement.words)
    verb = reader.any_of("create", "alter")
    reader.take("or", "replace")
    if not verb or not reader.any_of("function", "procedure", "routine", "aggregate"):
        return ()
    if verb == "create":
        return reader.name()[-1:]
    return (statement.words[-1].text,) if reader.has("rename", "to") else ()


def _calls_now(statement: Statement) -> bool:
    reader = Reader(statement.words)
    verb = reader.any_of(*_CALLS_NOW, *_ROWS)
    return verb in _ROWS or (verb != "" and _kind_made(reader) in _CALLS_NOW[verb])


def _kind_made(reader: Reader) -> str:
    """The kind of object that CREATE names, which comes next."""
    reader.take("or", "replace")
    while reader.any_of("temp", "temporary", "unlogged", "global", "local", "trusted", "constraint"):
        pass
    if reader.has("recursive", "view"):
        reader.take("recursive")
    return reader.next()


def _create(reader: Reader) -> Iterator[Effect]:
    kind = _kind_made(reader)
    reader.take(kind)
    if kind not in _MAKES:
        yield Unjudged(f"what CREATE {kind.upper()} does to rows is not known")
    elif kind in ("trigger", "rule") or (kind == "schema" and reader.has("create")):
        yield Arms()
    elif kind == "view":
        yield Arms(reader.name())


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
        for name in reader.names():
            yield Empties(name[-1]) if name else Unjudged("a name in it cannot be read")
    elif kind not in _DROPS:
        yield Unjudged(f"what DROP {kind.upper()} takes along is not known")
    elif cascade and kind not in _CASCADES_TO_NO_ROWS:
        yield Unjudged("CASCADE takes along what hangs on it, columns too")


def _set_variable(reader: Reader) -> Iterator[Effect]:
    reader.any_of("local", "session")
    if reader.next() not in _SETTINGS:
        yield Unjudged(f"with another {reader.next() or 'setting'} statements may mean something else")


def _insert(reader: Reader) -> Iterator[Effect]:
    reader.take("into")
    name = reader.name()
    yield Fires(name, ("insert", "update") if reader.has("do", "update") else ("insert",))
    if reader.has("do", "update"):
        yield Loses(name, "ON CONFLICT DO UPDATE overwrites rows")
    if reader.has("delete") or (reader.has("update") and not reader.has("do", "update")):
        yield Unjudged("it changes other rows on its way")


def _update(reader: Reader) -> Iterator[Effect]:
    reader.take("only")
    name = reader.name()
    yield Fires(name, ("update",))
    yield Loses(name, "it overwrites rows")


def _delete(reader: Reader) -> Iterator[Effect]:
    reader.take("from")
    reader.take("only")
    name = reader.name()
    yield Fires(name, ("delete",))
    yield Loses(name, "it deletes rows")


def _truncate(reader: Reader) -> Iterator[Effect]:
    reader.take("table")
    reader.take("only")
    for name in reader.names():
        yield Fires(name, ("truncate",))
        yield Loses(name, "it empties the table")
    if reader.has("cascade"):
        yield Unjudged("CASCADE empties what references it, too")


def _merge(reader: Reader) -> Iterator[Effect]:
    reader.take("into")
    reader.take("only")
    name = reader.name()
    yield Fires(name, ("insert", "update", "delete"))
    yield Loses(name, "it overwrites or deletes rows")


def _transaction(reader: Reader) -> Iterator[Effect]:
    yield Unjudged("it ends or begins a transaction: where the rest fails, a half of the revision stays")


def _select(reader: Reader) -> Iterator[Effect]:
    """Setting a sequence is all that a query may do here: another's answer may decide what follows."""
    sets = reader.take("pg_catalog", ".", "setval") or reader.take("setval")
    known = {"setval", "pg_get_serial_sequence", "max", "min", "coalesce", "greatest", "least", "count"}
    known |= {"select", "from"}
    if not sets or (reader.calls() - known) or any(word.text == ";" for word in reader.left):
        yield Unjudged("a query may call anything, and its answer decide what follows")


_KINDS: dict[str, Callable[[Reader], Iterable[Effect]]] = {
    "create": _create,
    "drop": _drop,
    "alter": altered,
    "set": _set_variable,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
    "truncate": _truncate,
    "merge": _merge,
    "select": _select,
    **dict.fromkeys(set_of("begin start commit end rollback abort"), _transaction),
}
