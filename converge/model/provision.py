"""What is wanted of a PostgreSQL server, what it has, and the steps between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from converge.model.plan import Finding


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


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What came of it: all steps are done."""

    admin: str
    """The address, without its password."""
    version: str
    databases: tuple[tuple[Wanted, tuple[Step, ...]], ...]
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """The --json document."""
        return {
            "converge": 1,
            "command": "provision",
            "verdict": "provisioned",
            "exit_code": 0,
            "target": {"url": self.admin, "version": self.version},
            "databases": [
                {
                    "name": wanted.name,
                    "database": wanted.database,
                    "owner": wanted.role,
                    "encoding": wanted.encoding,
                    "collate": wanted.collate,
                    "ctype": wanted.ctype,
                    "steps": [{"what": one.what, "state": one.state, "sql": one.sql} for one in steps],
                }
                for wanted, steps in self.databases
            ],
            "findings": [
                {"code": one.code, "severity": one.severity, "object": one.object, "message": one.message,
                 "hint": one.hint} for one in self.findings
            ],
        }  # fmt: skip
