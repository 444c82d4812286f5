"""What the source user may do, what each right is good for, and the GRANT for all that it lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import SourceError
from converge.model.facts import PossibleSnapshot, Right
from converge.model.plan import Finding
from converge.model.quote import my_name, my_text
from converge.mysql.grants import (
    granted_as,
    on_database,
    on_server,
    on_tables,
    partly,
    read_grants,
    read_roles,
)

# Without the right, information_schema hides these objects instead of refusing them.
_HIDDEN = {"SHOW VIEW": "views", "TRIGGER": "triggers", "EVENT": "events"}
# Of procedures and functions it shows those that the user may run or change, or all with these rights
# (MySQL 8.0 manual, "The INFORMATION_SCHEMA ROUTINES Table").
_ROUTINES = ("SELECT", "SHOW_ROUTINE")
_OF_ROUTINES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")
_NO_SUCH_TABLE = 1146
_DENIED = (1044, 1142)
_NAMED = 20
"""Tables that a finding names."""
# Right, what it is for, what is lost without it; the first group is granted on the database.
_ON_DATABASE = (
    ("SHOW VIEW", "reads the text of views", "views are not listed, or arrive without their text"),
    ("TRIGGER", "lists triggers with their text", "the plan cannot say which triggers are not migrated"),
    ("EVENT", "lists events with their text", "the plan cannot say which events are not migrated"),
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
     "the plan cannot say which routines are not migrated"),
)  # fmt: skip
_INSTEAD = {
    "RELOAD": ("FLUSH_TABLES",),
    "REPLICATION CLIENT": ("SUPER",),
    "SHOW_ROUTINE": ("SELECT",),
}
"""Rights that do as well; each came with a later version, or gives more."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of the connected account with its active roles."""

    server: frozenset[str]
    """On ``*.*``."""
    database: frozenset[str]
    """On the whole source database: the server-wide ones included, but for those revoked there."""
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """On single tables."""
    partly: frozenset[str] = frozenset()
    """Tables of which some columns may be read."""
    account: str = ""
    """``'user'@'host'`` as the server took it, which a proxied login does not give."""
    name: str = ""
    """The source database."""
    granted_as: str = ""
    """The database as a grant should name it: as one that is there does, which a new one could not outdo."""
    roles: tuple[str, ...] = ()
    """Active roles, quoted as in GRANT."""
    idle_roles: tuple[str, ...] = ()
    """Roles that are granted and not active."""
    awake: Rights | None = None
    """The rights with all roles active, where some are idle."""
    lines: tuple[str, ...] = ()
    """SHOW GRANTS; it holds no password."""

    def may(self, right: str) -> bool:
        """Whether the user has the right on the whole database."""
        return bool(self.database & {right, "ALL PRIVILEGES"})

    def may_on_server(self, right: str) -> bool:
        return bool(self.server & {right, "ALL PRIVILEGES"})

    def may_read(self, table: str) -> bool:
        """Whether the user may read every column of the table."""
        own = self.tables.get(table, frozenset())
        return self.may("SELECT") or bool(own & {"SELECT", "ALL PRIVILEGES"})

    def grant(self, right: str) -> str:
        """The statement that gives a right on the whole database."""
        return f"GRANT {right} ON {my_name(self.granted_as)}.* TO {self.account};"

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Kinds of object whose inventory would be incomplete."""
        rights = {"SELECT": "tables", **_HIDDEN}
        hidden = tuple(kind for right, kind in rights.items() if not self.may(right))
        seen = any(map(self.may_on_server, _ROUTINES)) or any(map(self.may, _OF_ROUTINES))
        return hidden if seen else (*hidden, "routines")


def read_rights(connection: Connection[Any], database: str) -> Rights:
    """The rights of the current user on the database, with its active roles. Raises SourceError for none."""
    if not database:
        raise SourceError(
            "the source URL names no database", code=Code.S003, hint="mysql://user@host:port/DATABASE"
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CURRENT_USER(), CURRENT_ROLE(), IF(@@lower_case_table_names, LOWER(%s), %s)",
            (database, database),
        )
        user, active, name = cast(tuple[str, str, str], cursor.fetchone())
        # Where revokes can be partial, database names in grants hold no wildcards.
        cursor.execute("SHOW GLOBAL VARIABLES WHERE Variable_name = 'partial_revokes' AND Value = 'ON'")
        literal = cursor.fetchone() is not None

    def rights(using: str) -> Rights:
        lines = _show_grants(connection, using)
        roles = read_roles(lines)
        # Both statements print a role the same way.
        idle = tuple(role for role in roles if role not in using)
        grants = read_grants(lines)
        return Rights(
            server=on_server(grants),
            database=on_database(grants, name, literal=literal),
            tables=on_tables(grants, name),
            partly=partly(grants, name),
            account=_account(user),
            name=database,
            granted_as=granted_as(grants, name),
            roles=tuple(role for role in roles if role not in idle),
            idle_roles=idle,
            lines=lines,
        )

    own = rights("" if active == "NONE" else active)
    # Of patterns, roles and revokes together the server alone knows the sum.
    if _may_read_all(connection, name):
        own = replace(own, database=own.database | {"SELECT"})
    else:
        own = replace(own, database=own.database - {"SELECT", "ALL PRIVILEGES"})
    return replace(own, awake=rights(",".join(own.roles + own.idle_roles))) if own.idle_roles else own


def missing_select(rights: Rights, readable: Sequence[str], names: Sequence[str] | None) -> list[Finding]:
    """A finding for each right to read that a run lacks, with its GRANT.

    `readable` are the tables that the user may read, `names` those that --include names one by one. Tables
    without a right are invisible, so without such names, rights on some tables only would migrate a part
    of the database without a word.
    """
    if rights.may("SELECT"):
        return []
    if names is not None:
        return [_unreadable_table(rights, name) for name in names if not rights.may_read(name)]
    evidence = f"it may read {_listed(readable)}; --include NAME takes such tables alone" if readable else ""
    message = (
        f"{rights.account} may not read the whole database {my_name(rights.name)}; tables without the "
        "right would be missing in silence"
    )
    hint = rights.grant("SELECT")
    if rights.awake is not None and rights.awake.may("SELECT"):
        message, hint = _asleep(rights, message)
    return [Finding(Code.S004, "block", "source", message, hint, evidence)]


def _unreadable_table(rights: Rights, table: str) -> Finding:
    message = f"{rights.account} may not read it, or it is not there"
    if table in rights.partly:
        message = f"{rights.account} may read some of its columns; the others would be missing in silence"
    hint = f"GRANT SELECT ON {my_name(rights.name, table)} TO {rights.account};"
    if rights.awake is not None and rights.awake.may_read(table):
        message, hint = _asleep(rights, message)
    return Finding(Code.S004, "block", table, message, hint)


def _asleep(rights: Rights, message: str) -> tuple[str, str]:
    """The same for an account that has the right by roles that do not come with its login."""
    return (
        f"{message}; its roles {', '.join(rights.idle_roles)} would give the privilege and are not active",
        f"SET DEFAULT ROLE ALL TO {rights.account};",
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _show_grants(connection: Connection[Any], using: str) -> tuple[str, ...]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW GRANTS FOR CURRENT_USER()" + (f" USING {using}" if using else ""))
        return tuple(cast(str, row[0]) for row in cursor.fetchall())


def _may_read_all(connection: Connection[Any], database: str) -> bool:
    """Whether SELECT is there for tables that nobody has named: then none is hidden.

    The right is checked before the table is looked for, so a name that no table has shows it.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {my_name(database, 'no table of this name')}")
    except pymysql.err.MySQLError as error:
        if error.args[0] in (_NO_SUCH_TABLE, *_DENIED):
            return bool(error.args[0] == _NO_SUCH_TABLE)
        raise
    return False


def _account(user: str) -> str:
    """``name@host`` of CURRENT_USER() as GRANT wants it."""
    name, _, host = user.rpartition("@")
    return f"{my_text(name)}@{my_text(host)}"


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
