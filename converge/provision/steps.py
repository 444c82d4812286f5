"""What the entries of `converge.toml` want of the PostgreSQL server: a database each, and its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from converge.codes import Code
from converge.errors import UsageError
from converge.model.finding import Finding
from converge.model.quote import pg_name, pg_text
from converge.settings.file import Database, Provision
from converge.settings.variables import address, of_kind, variable


class Wanted(Provision):
    """A database and the role that owns it; an empty value leaves it to the template."""

    name: str
    """The entry's."""
    password: str = Field(default="", repr=False)
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
        places = {
            "database": own.database or (target and target.database) or entry.name,
            "role": own.role or (target and target.user) or entry.name,
        }
        found.append(
            Wanted(**(own.model_dump(exclude_defaults=True) | places), name=entry.name, password=password)
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
class Facts:
    """The server, as far as one wanted database is concerned."""

    number: int
    """Its version, 170005 for 17.5."""
    made: frozenset[str]
    """The extensions that the database has, or its template where that lets the administrator in."""
    admin: str
    """The role that makes everything."""
    superuser: bool
    makes_extensions: bool
    """Whether it has the role of a service's administrators, who make extensions without being superusers."""
    may_create_databases: bool
    may_create_roles: bool
    login: bool | None
    """Whether the wanted role may log in; None where it is not there."""
    may_become: bool
    """Whether the administrator may make objects that belong to it."""
    may_grant: bool
    """Whether the administrator may grant it, to itself too."""
    owner: str | None
    """Of the database; None where it is not there."""
    encoding: str
    collate: str
    ctype: str
    provider: str
    """libc, icu or builtin."""
    template_connects: bool | None
    """Whether the administrator may connect to the template; None where there is none."""
    wanted_encoding: str
    """The server's name of it; empty where it does not know it."""
    extensions: Mapping[str, bool]
    """What can be made here, and whether that takes a superuser."""


Pairs = Sequence[tuple[Wanted, Facts]]


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


def steps(pairs: Pairs, *, passwords: bool) -> list[tuple[Step, ...]]:
    """The steps of each database in their order; `passwords` sets those of existing roles, too."""
    roles: set[str] = set()
    statements: set[str] = set()
    found = []
    for one, facts in pairs:
        own = [*_role(one, facts, passwords=passwords and one.role not in roles, again=one.role in roles)]
        own += [grant for grant in _grant(one, facts) if grant.sql not in statements]
        roles.add(one.role)
        statements.update(step.sql for step in own)
        found.append((*own, *_database(one, facts)))
    return found


def _role(one: Wanted, facts: Facts, *, passwords: bool, again: bool) -> Iterator[Step]:
    """A role is made once, whoever wants it `again`."""
    what, name = f"role {one.role}", pg_name(one.role)
    if facts.login is None and not again:
        yield Step(what, f"CREATE ROLE {name} LOGIN", one.password, one.role)
        return
    yield Step(what)
    if passwords and one.password:
        yield Step(f"password of role {one.role}", f"ALTER ROLE {name}", one.password, one.role)


def _grant(one: Wanted, facts: Facts) -> Iterator[Step]:
    """An administrator who is no superuser makes nothing for a role that it is no member of."""
    if _makes(one, facts) and not facts.superuser and not facts.may_become:
        options = " WITH SET TRUE, INHERIT FALSE" if facts.number >= SET_GRANTS else ""
        sql = f"GRANT {pg_name(one.role)} TO {pg_name(facts.admin)}{options}"
        yield Step(f"grant of role {one.role} to {facts.admin}", sql)


def _database(one: Wanted, facts: Facts) -> Iterator[Step]:
    sql = create_database(one, providers=facts.number >= LOCALE_PROVIDERS)
    yield Step(f"database {one.database}", "" if facts.owner else sql)
    for name in one.extensions:
        # A template that lets nobody in may have it.
        sql = "" if name in facts.made else f"CREATE EXTENSION IF NOT EXISTS {pg_name(name)}"
        role = "" if facts.superuser or facts.extensions.get(name) else one.role
        yield Step(f"extension {name}", sql, database=one.database, role=role)


def _missing(one: Wanted, facts: Facts) -> list[str]:
    return [name for name in one.extensions if name not in facts.made]


def _makes(one: Wanted, facts: Facts) -> bool:
    """Whether something is to be made that belongs to the role."""
    return facts.owner is None or bool(_missing(one, facts))


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


def findings(pairs: Pairs) -> list[Finding]:
    """All that stands in the way, at once, and notes."""
    return [*_rights(pairs), *(finding for one, facts in pairs for finding in _findings(one, facts))]


def _rights(pairs: Pairs) -> Iterator[Finding]:
    _, server = pairs[0]
    lacks = []
    if not server.may_create_roles and any(facts.login is None for _, facts in pairs):
        lacks.append("CREATEROLE")
    if not server.may_create_databases and any(facts.owner is None for _, facts in pairs):
        lacks.append("CREATEDB")
    if lacks and not server.superuser:
        message = f"the role {server.admin} has no {' and no '.join(lacks)}"
        hint = f"ALTER ROLE {pg_name(server.admin)} {' '.join(lacks)};"
        yield Finding(Code.T031, "block", "admin", message, hint)


def _findings(one: Wanted, facts: Facts) -> Iterator[Finding]:
    yield from _template(one, facts) if facts.owner is None else _differs(one, facts)
    yield from _extensions(one, facts)
    role = pg_name(one.role)
    if facts.login is None and not one.password:
        message = f"the role {one.role} gets no password: it can only log in where the server asks for none"
        yield Finding(Code.T034, "note", one.name, message, f"ALTER ROLE {role} PASSWORD '…';")
    if facts.login is False:
        message = f"the role {one.role} was there already and may not log in"
        yield Finding(Code.T034, "note", one.name, message, f"ALTER ROLE {role} LOGIN;")
    may_make = facts.login is None or facts.superuser or facts.may_become or facts.may_grant
    if _makes(one, facts) and not may_make:
        message = f"the role {facts.admin} may make nothing that belongs to the role {one.role}"
        yield Finding(Code.T031, "block", one.name, message, f"GRANT {role} TO {pg_name(facts.admin)};")


def _template(one: Wanted, facts: Facts) -> Iterator[Finding]:
    if facts.template_connects is None:
        message = f"the server has no template {one.template}"
        yield Finding(Code.T032, "block", one.name, message, 'template = "template0"')
    if not facts.wanted_encoding:
        message = f"the server has no encoding {one.encoding}"
        yield Finding(Code.T032, "block", one.name, message, 'encoding = "UTF8"')


def _differs(one: Wanted, facts: Facts) -> Iterator[Finding]:
    name = pg_name(one.database)
    wanted = (
        ("encoding", facts.wanted_encoding or one.encoding, facts.encoding),
        ("collation", one.collate, facts.collate),
        ("character type", one.ctype, facts.ctype),
        ("locale provider", "libc" if one.collate or one.ctype else "", facts.provider),
    )
    if wrong := [f"its {what} is {has}, not {want}" for what, want, has in wanted if not _same(want, has)]:
        message = f"the database {one.database} is there already: {', '.join(wrong)}; that cannot be changed"
        before = pg_name(f"{one.database}_before")
        hint = f"ALTER DATABASE {name} RENAME TO {before};  -- or DROP DATABASE"
        yield Finding(Code.T030, "block", one.name, message, hint)
    if facts.owner != one.role:
        message = (
            f"the database {one.database} is there already and belongs to {facts.owner}, not to {one.role}"
        )
        hint = f"ALTER DATABASE {name} OWNER TO {pg_name(one.role)};"
        yield Finding(Code.T035, "block", one.name, message, hint)


def _same(want: str, has: str) -> bool:
    """``en_US.utf8`` is what ``en_US.UTF-8`` is."""
    return not want or want.lower().replace("-", "") == has.lower().replace("-", "")


def _extensions(one: Wanted, facts: Facts) -> Iterator[Finding]:
    for name in _missing(one, facts):
        if name not in facts.extensions:
            hint = "install it on the server; most are in the package postgresql-contrib"
            yield Finding(Code.T033, "block", one.name, f"the server has no extension {name}", hint)
        elif facts.extensions[name] and not (facts.superuser or facts.makes_extensions):
            message = f"the extension {name} can only be made by a superuser"
            hint = (
                "--admin URL of a superuser; or provision without it, then let a superuser run "
                f"CREATE EXTENSION {pg_name(name)}; in {one.database}"
            )
            yield Finding(Code.T033, "block", one.name, message, hint)
