"""What the source user may do, what each privilege is good for, and the GRANT for all that it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection

from converge.codes import Code
from converge.errors import SourceError, listed
from converge.model.facts import PossibleSnapshot, Privilege
from converge.model.finding import Finding
from converge.model.quote import my_name, my_text
from converge.mysql.grants import Grant, granted_as, on_database, on_server, on_tables, read_grant, read_roles
from converge.mysql.query import fetch
from converge.providers import Provider

# Without the privilege, information_schema hides these objects instead of refusing them.
_HIDDEN = {"SELECT": "tables", "SHOW VIEW": "views", "TRIGGER": "triggers", "EVENT": "events"}
# Of procedures and functions it shows those that the user may run or change, or all with these privileges
# (MySQL 8.0 manual, "The INFORMATION_SCHEMA ROUTINES Table").
_ROUTINES = ("SELECT", "SHOW_ROUTINE")
_OF_ROUTINES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")
_NO_SUCH_TABLE = 1146
_DENIED = (1044, 1142)
_NAMED = 20
"""Tables that a finding names."""
# Privilege, what it is for, what is lost without it; the first group is granted on the database.
_ON_DATABASE = (
    ("SHOW VIEW", "reads the text of views", "views are not listed, or arrive without their text"),
    ("TRIGGER", "lists triggers with their text", "the plan cannot say which triggers are not migrated"),
    ("EVENT", "lists events with their text", "the plan cannot say which events are not migrated"),
    ("LOCK TABLES", "holds writers off the tables where RELOAD is not given", "one way less to a snapshot"),
)
_ON_SERVER = (
    ("RELOAD", "holds all writers off while the readers begin (FLUSH TABLES WITH READ LOCK)",
     "the snapshot is proven by logs that stand still, or by LOCK TABLES"),
    ("REPLICATION CLIENT", "reads the binary log's position, which shows whether the source has changed",
     "no `converge follow`; without GTIDs, only a redo log that stands still shows changes"),
    ("REPLICATION SLAVE", "reads the binary log, to keep the target up to date", "no `converge follow`"),
    ("BACKUP_ADMIN", "holds changes of the schema off (LOCK INSTANCE FOR BACKUP)",
     "nobody may change the schema during a run"),
    ("PROCESS", "sees statements and sessions of others",
     "no `converge follow`; the read lock may wait behind long statements, for a second at a time, and the "
     "sessions that wait for the run are not named (V005)"),
    ("SHOW_ROUTINE", "lists procedures and functions with their text",
     "the plan cannot say which routines are not migrated"),
)  # fmt: skip
_INSTEAD = {"RELOAD": "FLUSH_TABLES", "REPLICATION CLIENT": "SUPER", "SHOW_ROUTINE": "SELECT"}
"""Privileges that do as well; each came with a later version, or gives more."""


@dataclass(frozen=True, slots=True)
class Privileges:
    """The privileges of the connected account with its active roles."""

    server: frozenset[str]
    """On ``*.*``."""
    database: frozenset[str]
    """On the whole source database: the server-wide ones included, but for those revoked there."""
    tables: frozenset[str] = frozenset()
    """Single tables that may be read."""
    partly: frozenset[str] = frozenset()
    """Tables of which some columns may be read."""
    account: str = ""
    """``'user'@'host'`` as the server took it, which a proxied login does not give."""
    name: str = ""
    """The source database, as the server spells it."""
    granted_as: str = ""
    """The database as a grant should name it: as one that is there does, which a new one could not outdo."""
    roles: tuple[str, ...] = ()
    """Active roles, quoted as in GRANT."""
    idle_roles: tuple[str, ...] = ()
    """Roles that are granted and not active."""
    lines: tuple[str, ...] = ()
    """SHOW GRANTS; it holds no password."""

    def may(self, privilege: str) -> bool:
        """Whether the user has the privilege on the whole database."""
        return bool(self.database & {privilege, "ALL PRIVILEGES"})

    def may_on_server(self, *privileges: str) -> bool:
        """Whether the user has one of them everywhere."""
        return bool(self.server & {*privileges, "ALL PRIVILEGES"})

    def may_read(self, table: str) -> bool:
        """Whether the user may read every column of the table."""
        return self.may("SELECT") or table in self.tables

    def grant(self, privilege: str) -> str:
        """The statement that gives a privilege on the whole database."""
        return f"GRANT {privilege} ON {my_name(self.granted_as)}.* TO {self.account};"

    def grant_reading(self, database: str, table: str) -> str:
        """The statement that lets the user read a table of any database."""
        return f"GRANT SELECT ON {my_name(database, table)} TO {self.account};"

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Kinds of object whose inventory would be incomplete."""
        hidden = tuple(kind for privilege, kind in _HIDDEN.items() if not self.may(privilege))
        seen = self.may_on_server(*_ROUTINES) or any(map(self.may, _OF_ROUTINES))
        return hidden if seen else (*hidden, "routines")


def read_privileges(connection: Connection[Any], database: str) -> Privileges:
    """The current user's on the database, with its active roles. Raises SourceError for no database."""
    if not database:
        raise SourceError(
            "the source URL names no database", code=Code.S003, hint="mysql://user@host:port/DATABASE"
        )
    query = (
        "SELECT CURRENT_USER(), CURRENT_ROLE(), IF(@@lower_case_table_names, LOWER(%s), %s), "
        # Foreign keys name it as the server does, which may not be as the address does.
        "COALESCE((SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s), %s)"
    )
    ((user, active, name, spelled),) = fetch(connection, query, [database] * 4)
    # Where revokes can be partial, database names in grants hold no wildcards.
    query = "SHOW GLOBAL VARIABLES WHERE Variable_name = 'partial_revokes' AND Value = 'ON'"
    literal = bool(fetch(connection, query))
    lines, grants = _granted(connection, active)
    on_all = on_database(grants, name, literal=literal)
    tables, partly = on_tables(grants, name)
    # Both statements print a role the same way.
    roles = read_roles(lines)
    idle = tuple(role for role in roles if role not in active)
    login, _, host = user.rpartition("@")
    return Privileges(
        server=on_server(grants),
        # Of patterns, roles and revokes together the server alone knows the sum.
        database=on_all | {"SELECT"} if _may_read_all(connection, name)
        else on_all - {"SELECT", "ALL PRIVILEGES"},
        tables=tables,
        partly=partly,
        account=f"{my_text(login)}@{my_text(host)}",
        name=spelled,
        granted_as=granted_as(grants, name),
        roles=tuple(role for role in roles if role not in idle),
        idle_roles=idle,
        lines=lines,
    )  # fmt: skip


def sees_all_databases(connection: Connection[Any]) -> bool:
    """Whether SHOW DATABASES lists all that there are; other privileges on ``*.*``, such as RELOAD, do not do
    (tried on 8.0.33, against the manual's "any static global privilege")."""
    ((active,),) = fetch(connection, "SELECT CURRENT_ROLE()")
    _, grants = _granted(connection, active)
    everything = {"SHOW DATABASES", "SELECT", "ALL PRIVILEGES"}
    return bool(on_server(grants) & everything) and not any(one.revoked for one in grants)


def _granted(connection: Connection[Any], active: str) -> tuple[tuple[str, ...], list[Grant]]:
    """The lines of SHOW GRANTS with these roles, and what they grant."""
    using = "" if active == "NONE" else f" USING {active}"
    lines = tuple(str(line) for (line,) in fetch(connection, f"SHOW GRANTS FOR CURRENT_USER(){using}"))
    return lines, [grant for grant in map(read_grant, lines) if grant is not None]


def missing_select(own: Privileges, readable: Sequence[str], names: Sequence[str] | None) -> list[Finding]:
    """A finding for each privilege to read that a run lacks, with its GRANT.

    `readable` are the tables that the user may read, `names` those that --include names one by one. Tables
    without a privilege are invisible, so without such names, privileges on some tables only would migrate a
    part of the database without a word.
    """
    if own.may("SELECT"):
        return []
    if names is not None:
        return [_unreadable_table(own, name) for name in names if not own.may_read(name)]
    some = listed(readable, _NAMED)
    evidence = f"it may read {some}; --include NAME takes such tables alone" if readable else ""
    message = (
        f"{own.account} may not read the whole database {my_name(own.name)}; tables without the "
        "privilege would be missing in silence"
    )
    return [_unreadable(own, "source", message, own.grant("SELECT"), evidence)]


def _unreadable_table(own: Privileges, table: str) -> Finding:
    message = f"{own.account} may not read it, or it is not there"
    if table in own.partly:
        message = f"{own.account} may read some of its columns; the others would be missing in silence"
    return _unreadable(own, table, message, own.grant_reading(own.name, table))


def _unreadable(own: Privileges, object_: str, message: str, grant: str, evidence: str = "") -> Finding:
    """Where roles do not come with the login, they may be what is missing."""
    if own.idle_roles:
        message += f"; its roles {', '.join(own.idle_roles)} are not active"
        grant = f"SET DEFAULT ROLE ALL TO {own.account};\n{grant}"
    return Finding(Code.S004, "block", object_, message, grant, evidence)


def _may_read_all(connection: Connection[Any], database: str) -> bool:
    """Whether SELECT is there for tables that nobody has named: then none is hidden.

    The privilege is checked before the table is looked for, so a name that no table has shows it.
    """
    try:
        fetch(connection, f"SELECT 1 FROM {my_name(database, 'no table of this name')}")
    except pymysql.err.MySQLError as error:
        if error.args[0] not in (_NO_SUCH_TABLE, *_DENIED):
            raise
        return bool(error.args[0] == _NO_SUCH_TABLE)
    return False


def known_privileges(own: Privileges, *, show_routine: bool) -> tuple[Privilege, ...]:
    """SELECT, which a run needs, then those that only add something."""
    tables = ", ".join(sorted(own.tables))
    without = f"only tables that --include names one by one: {tables}" if tables else "no run"
    on_server = (
        Privilege(
            name, own.may_on_server(name, _INSTEAD.get(name, name)), purpose, without,
            f"GRANT {name} ON *.* TO {own.account};" if show_routine or name != "SHOW_ROUTINE" else "",
        )
        for name, purpose, without in _ON_SERVER
    )  # fmt: skip
    return (
        Privilege(
            "SELECT", own.may("SELECT"), "reads every table", without, own.grant("SELECT"), needed=True
        ),
        *(
            Privilege(name, own.may(name), purpose, without, own.grant(name))
            for name, purpose, without in _ON_DATABASE
        ),
        *on_server,
    )


def possible_snapshot(own: Privileges, provider: Provider | None) -> PossibleSnapshot:
    """The level that a run can reach, in the order in which a run tries."""
    flush, stop = "FLUSH TABLES WITH READ LOCK", "stop all writers while the run begins"
    if provider and provider.locks_nothing:
        return PossibleSnapshot("none", "no lock here holds the writer off", f"it is {provider.name}", stop)
    refused = provider.name if provider and provider.refuses_flush else ""
    if not refused and own.may_on_server("RELOAD", "FLUSH_TABLES"):
        how = f"{flush}, for as long as the readers begin"
        return PossibleSnapshot("locked", how, f"{own.account} may flush tables", "")
    lock = own.may("LOCK TABLES") and own.may("SELECT")
    otherwise = "then LOCK TABLES … READ" if lock else "then there is none"
    how = f"the server's logs must not move meanwhile, {otherwise}"
    if not refused:
        return PossibleSnapshot("quiet", how, "RELOAD is missing", f"GRANT RELOAD ON *.* TO {own.account};")
    fix = stop if lock else own.grant("LOCK TABLES")
    return PossibleSnapshot("quiet", how, f"{refused} refuses {flush}", fix)
