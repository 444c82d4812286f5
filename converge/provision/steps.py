"""What the entries of `converge.toml` want of the PostgreSQL server: a database each, and its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from converge.codes import Code
from converge.errors import UsageError
from converge.model.plan import Finding
from converge.model.quote import pg_name, pg_text
from converge.settings.file import Database
from converge.settings.variables import address, of_kind, variable


@dataclass(frozen=True, slots=True)
class Wanted:
    """A database and the role that owns it; an empty value leaves it to the template."""

    name: str
    """The entry's."""
    database: str
    role: str
    template: str
    encoding: str
    collate: str
    ctype: str
    extensions: tuple[str, ...] = ()
    password_env: str = ""
    """The variable with the role's password."""
    password: str = field(default="", repr=False)
    """The role's; empty for none."""


def wanted(entries: Sequence[Database], *, passwords: bool) -> tuple[Wanted, ...]:
    """What the entries want of the server; what they leave open comes from their target's address.

    Without `passwords` those are left unread. Raises UsageError.
    """
    found = []
    for entry in entries:
        own, place = entry.provision, f"the database {entry.name}"
        assert own is not None
        known = own.database and own.role and (own.password_env or not passwords)
        target = of_kind(address(entry.target, place), "postgres") if entry.target and not known else None
        password = target.password if target and passwords else ""
        if own.password_env and passwords:
            password = variable(own.password_env, place)
        found.append(
            Wanted(
                entry.name,
                own.database or (target and target.database) or entry.name,
                own.role or (target and target.user) or entry.name,
                own.template,
                own.encoding,
                own.collate,
                own.ctype,
                own.extensions,
                own.password_env,
                password,
            )
        )
    names = [one.database for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"two entries provision the database {twice[0]}"
        raise UsageError(message, code=Code.U031, hint="leave out provision in one of them")
    return tuple(found)


SET_GRANTS = 160000
"""Since then a role that was made belongs to its maker only as far as it is granted."""
LOCALE_PROVIDERS = 150000


@dataclass(frozen=True, slots=True)
class RoleFacts:
    login: bool
    may_become: bool
    """Whether the administrator may make objects that belong to it."""
    may_grant: bool
    """Whether the administrator may grant it, to itself too."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    """libc, icu or builtin."""
    extensions: frozenset[str] = frozenset()
    """Those that are made, where an entry wants any."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The server, as far as the wanted databases are concerned."""

    version: str
    number: int
    """170005 for 17.5."""
    admin: str
    """The role that makes everything."""
    superuser: bool
    may_create_databases: bool
    may_create_roles: bool
    roles: Mapping[str, RoleFacts]
    databases: Mapping[str, DatabaseFacts]
    extensions: Mapping[str, bool]
    """What can be made here, and whether that takes a superuser."""
    encodings: Mapping[str, str]
    """The server's names of the wanted encodings; empty for one that it does not know."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is there already, or that a statement makes."""

    what: str
    sql: str = ""
    """Without the password; empty when it is there already."""
    password: str = field(default="", repr=False)
    """Of `owner`, to be set by the statement."""
    owner: str = ""
    database: str = ""
    """Where the statement runs; empty where the administrator is."""
    role: str = ""
    """For whom it runs, where that is not the administrator."""

    @property
    def state(self) -> Literal["made", "there"]:
        return "made" if self.sql else "there"


def steps(wanted: Sequence[Wanted], cluster: Cluster, *, passwords: bool) -> list[tuple[Step, ...]]:
    """The steps of each database in their order; `passwords` sets those of existing roles, too."""
    seen: set[str] = set()
    """Roles that are made once, statements that are needed once."""
    found = []
    for one in wanted:
        made = [*_role(one, cluster, passwords=passwords and one.role not in seen, again=one.role in seen)]
        seen.add(one.role)
        made += [grant for grant in _grant(one, cluster) if grant.sql not in seen]
        seen.update(step.sql for step in made)
        found.append((*made, *_database(one, cluster)))
    return found


def _role(one: Wanted, cluster: Cluster, *, passwords: bool, again: bool) -> Iterator[Step]:
    what, name = f"role {one.role}", pg_name(one.role)
    if one.role not in cluster.roles and not again:
        yield Step(what, f"CREATE ROLE {name} LOGIN", one.password, one.role)
        return
    yield Step(what)
    if passwords and one.password:
        yield Step(f"password of role {one.role}", f"ALTER ROLE {name}", one.password, one.role)


def _grant(one: Wanted, cluster: Cluster) -> Iterator[Step]:
    """An administrator who is no superuser makes nothing for a role that it is no member of."""
    role = cluster.roles.get(one.role)
    missing = one.database not in cluster.databases or _missing(one, cluster)
    if missing and not cluster.superuser and not (role and role.may_become):
        options = " WITH SET TRUE, INHERIT FALSE" if cluster.number >= SET_GRANTS else ""
        sql = f"GRANT {pg_name(one.role)} TO {pg_name(cluster.admin)}{options}"
        yield Step(f"grant of role {one.role} to {cluster.admin}", sql)


def _database(one: Wanted, cluster: Cluster) -> Iterator[Step]:
    sql = create_database(one, providers=cluster.number >= LOCALE_PROVIDERS)
    yield Step(f"database {one.database}", "" if one.database in cluster.databases else sql)
    missing = _missing(one, cluster)
    for name in one.extensions:
        yield Step(
            f"extension {name}",
            f"CREATE EXTENSION {pg_name(name)}" if name in missing else "",
            database=one.database,
            role="" if cluster.superuser else one.role,
        )


def _missing(one: Wanted, cluster: Cluster) -> list[str]:
    there = cluster.databases.get(one.database)
    return [name for name in one.extensions if there is None or name not in there.extensions]


def create_database(one: Wanted, *, providers: bool) -> str:
    """CREATE DATABASE; a server with locale providers is told that the collation is libc's."""
    parts = [
        f"CREATE DATABASE {pg_name(one.database)} OWNER {pg_name(one.role)} TEMPLATE {pg_name(one.template)}",
        f"ENCODING {pg_text(one.encoding)}",
        *([f"LC_COLLATE {pg_text(one.collate)}"] if one.collate else []),
        *([f"LC_CTYPE {pg_text(one.ctype)}"] if one.ctype else []),
        *(["LOCALE_PROVIDER libc"] if providers and (one.collate or one.ctype) else []),
    ]
    return " ".join(parts)


def findings(wanted: Sequence[Wanted], cluster: Cluster) -> list[Finding]:
    """All that stands in the way, at once, and notes."""
    return [*_rights(wanted, cluster), *(finding for one in wanted for finding in _findings(one, cluster))]


def _rights(wanted: Sequence[Wanted], cluster: Cluster) -> Iterator[Finding]:
    if cluster.superuser:
        return
    lacks = []
    if not cluster.may_create_roles and any(one.role not in cluster.roles for one in wanted):
        lacks.append("CREATEROLE")
    if not cluster.may_create_databases and any(one.database not in cluster.databases for one in wanted):
        lacks.append("CREATEDB")
    if lacks:
        message = f"the role {cluster.admin} has no {' and no '.join(lacks)}"
        hint = f"ALTER ROLE {pg_name(cluster.admin)} {' '.join(lacks)};"
        yield Finding(Code.T031, "block", "admin", message, hint)


def _findings(one: Wanted, cluster: Cluster) -> Iterator[Finding]:
    role, there = cluster.roles.get(one.role), cluster.databases.get(one.database)
    if there is None:
        yield from _template(one, cluster)
    else:
        yield from _differs(one, there, cluster)
    yield from _extensions(one, cluster)
    if role is None and not one.password:
        message = f"the role {one.role} gets no password: it can only log in where the server asks for none"
        yield Finding(Code.T034, "note", one.name, message, f"ALTER ROLE {pg_name(one.role)} PASSWORD '…';")
    if role is not None and not role.login:
        message = f"the role {one.role} was there already and may not log in"
        yield Finding(Code.T034, "note", one.name, message, f"ALTER ROLE {pg_name(one.role)} LOGIN;")
    if (
        role
        and (there is None or _missing(one, cluster))
        and not (cluster.superuser or role.may_become or role.may_grant)
    ):
        yield Finding(
            Code.T031, "block", one.name,
            f"the role {cluster.admin} may make nothing that belongs to the role {one.role}",
            f"GRANT {pg_name(one.role)} TO {pg_name(cluster.admin)};",
        )  # fmt: skip


def _template(one: Wanted, cluster: Cluster) -> Iterator[Finding]:
    if one.template not in cluster.databases:
        message = f"the server has no template {one.template}"
        yield Finding(Code.T032, "block", one.name, message, 'template = "template0"')
    if not cluster.encodings[one.encoding]:
        message = f"the server has no encoding {one.encoding}"
        yield Finding(Code.T032, "block", one.name, message, 'encoding = "UTF8"')


def _differs(one: Wanted, there: DatabaseFacts, cluster: Cluster) -> Iterator[Finding]:
    name = pg_name(one.database)
    wanted = (
        ("encoding", cluster.encodings[one.encoding] or one.encoding, there.encoding),
        ("collation", one.collate, there.collate),
        ("character type", one.ctype, there.ctype),
        ("locale provider", "libc" if one.collate or one.ctype else "", there.provider),
    )
    if wrong := [f"its {what} is {has}, not {want}" for what, want, has in wanted if not _same(want, has)]:
        yield Finding(
            Code.T030, "block", one.name,
            f"the database {one.database} is there already: {', '.join(wrong)}; that cannot be changed",
            f"ALTER DATABASE {name} RENAME TO {pg_name(f'{one.database}_before')};  -- or DROP DATABASE",
        )  # fmt: skip
    if there.owner != one.role:
        yield Finding(
            Code.T035, "block", one.name,
            f"the database {one.database} is there already and belongs to {there.owner}, not to {one.role}",
            f"ALTER DATABASE {name} OWNER TO {pg_name(one.role)};",
        )  # fmt: skip


def _same(want: str, has: str) -> bool:
    """``en_US.utf8`` is what ``en_US.UTF-8`` is."""
    return not want or want.lower().replace("-", "") == has.lower().replace("-", "")


def _extensions(one: Wanted, cluster: Cluster) -> Iterator[Finding]:
    for name in _missing(one, cluster):
        if name not in cluster.extensions:
            hint = "install it on the server; most are in the package postgresql-contrib"
            yield Finding(Code.T033, "block", one.name, f"the server has no extension {name}", hint)
        elif cluster.extensions[name] and not cluster.superuser:
            message = f"the extension {name} can only be made by a superuser"
            hint = f"--admin URL of a superuser, or CREATE EXTENSION {pg_name(name)}; in {one.template}"
            yield Finding(Code.T033, "block", one.name, message, hint)
