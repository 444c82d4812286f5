"""What each right of the source user is good for, and which snapshot the rights allow."""

from __future__ import annotations

from collections.abc import Iterable

from converge.model.facts import PossibleSnapshot, Right
from converge.mysql.rights import Rights

# Right, what it is for, what is lost without it; the first group is granted on the database.
_ON_DATABASE = (
    ("SHOW VIEW", "reads the text of views", "views are not listed, or arrive without their text"),
    ("TRIGGER", "lists triggers with their text", "the plan cannot say which triggers stay behind"),
    ("EVENT", "lists events with their text", "the plan cannot say which events stay behind"),
    ("LOCK TABLES", "holds writers off the tables where RELOAD is not given", "one way less to a snapshot"),
)
_ON_SERVER = (
    ("RELOAD", "holds all writers off while the readers begin (FLUSH TABLES WITH READ LOCK)",
     "the snapshot is proven by logs that stand still, or by LOCK TABLES"),
    ("REPLICATION CLIENT", "reads the binary log's position, which shows later whether the source has moved",
     "without GTIDs, only a redo log that stands still shows that"),
    ("BACKUP_ADMIN", "holds changes of the schema off (LOCK INSTANCE FOR BACKUP)",
     "nobody may change the schema during a run"),
    ("PROCESS", "sees long statements, behind which the read lock would wait",
     "the lock may wait behind them, for a second at a time"),
    ("SHOW_ROUTINE", "lists procedures and functions with their text",
     "the plan cannot say which routines stay behind"),
)  # fmt: skip
_INSTEAD = {
    "RELOAD": ("FLUSH_TABLES",),
    "REPLICATION CLIENT": ("SUPER",),
    "SHOW_ROUTINE": ("SELECT",),
}
"""Rights that do as well; each came with a later version, or gives more."""


def known_rights(rights: Rights, *, show_routine: bool) -> tuple[Right, ...]:
    """SELECT, which a run needs, then those that only add something."""
    found = [_select(rights)]
    for name, purpose, without in _ON_DATABASE:
        found.append(Right(name, rights.may(name), purpose, without, rights.grant(name)))
    for name, purpose, without in _ON_SERVER:
        held = _any_on_server(rights, (name, *_INSTEAD.get(name, ())))
        there = show_routine or name != "SHOW_ROUTINE"
        grant = f"GRANT {name} ON *.* TO {rights.account};" if there else ""
        found.append(Right(name, held, purpose, without, grant))
    return tuple(found)


def _select(rights: Rights) -> Right:
    tables = sorted(filter(rights.may_read, rights.tables))
    without = f"only tables that --include names one by one: {', '.join(tables)}" if tables else "no run"
    return Right("SELECT", rights.may("SELECT"), "reads every table", without, rights.grant("SELECT"), True)


def possible_snapshot(rights: Rights) -> PossibleSnapshot:
    """The level that a run can reach, in the order in which a run tries."""
    if _any_on_server(rights, ("RELOAD", "FLUSH_TABLES")):
        why = f"{rights.account} may flush tables"
        return PossibleSnapshot(
            "locked", "FLUSH TABLES WITH READ LOCK, for as long as the readers begin", why
        )
    lock = rights.may("LOCK TABLES") and rights.may("SELECT")
    otherwise = "then LOCK TABLES … READ" if lock else "then there is none"
    how = f"the server's logs must not move meanwhile, {otherwise}"
    return PossibleSnapshot("quiet", how, "RELOAD is missing")


def _any_on_server(rights: Rights, names: Iterable[str]) -> bool:
    return any(map(rights.may_on_server, names))
