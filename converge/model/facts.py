"""What `doctor` reads of the two servers, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from converge.model.endpoint import Endpoint
from converge.model.finding import Finding

Verified = Literal["certificate and name", "certificate", "nothing"]


@dataclass(frozen=True, slots=True)
class Tls:
    """How the connection is encrypted; `version` is empty when it is not."""

    version: str
    cipher: str
    verified: Verified


@dataclass(frozen=True, slots=True)
class Privilege:
    """A privilege, and what it is good for."""

    name: str
    held: bool
    purpose: str
    without: str
    """What is lost without it."""
    grant: str
    """The statement that gives it; empty where this version has no such privilege."""
    needed: bool = False
    """No run goes without it."""


@dataclass(frozen=True, slots=True)
class PossibleSnapshot:
    """The strongest guarantee of one instant for all readers that these privileges allow."""

    level: Literal["locked", "quiet", "none"]
    how: str
    why: str
    fix: str
    """What makes it stronger; empty where nothing could."""

    def __str__(self) -> str:
        return f"{self.level}: {self.how} ({self.why})"


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    value: str
    """Value with its unit, as it is when a session of the role begins."""


@dataclass(frozen=True, slots=True)
class OwnSetting:
    """A setting that a role or a database has of its own, with the statement that takes it back."""

    name: str
    value: str
    where: str
    reset: str


@dataclass(frozen=True, slots=True)
class SourceFacts:
    version: str
    distribution: str
    provider: str
    """The service or build, as `providers.toml` names it; empty for MySQL's own and those of systems."""
    account: str
    """``'user'@'host'`` whose privileges count."""
    login: str
    """``user@host`` that has logged in."""
    plugin: str
    """How the account proves who it is; empty when the server does not tell."""
    roles: tuple[str, ...]
    idle_roles: tuple[str, ...]
    grants: tuple[str, ...]
    rights: tuple[Privilege, ...]
    tls: Tls
    sql_mode: str
    time_zone: str
    server_charset: str
    database_charset: str
    max_allowed_packet: int
    """Bytes."""
    binary_log: str
    """Its format; OFF when there is none."""
    binary_log_seconds: int
    """How long it is kept; 0 is for ever."""
    gtid_mode: str
    snapshot: PossibleSnapshot
    tables: int
    """Those that the user sees."""
    views: int
    rows: int
    """The server's estimate."""
    data_bytes: int
    index_bytes: int
    largest: tuple[tuple[str, int], ...]
    """The largest tables with their bytes, indexes included."""
    unsafe_engines: tuple[tuple[str, int], ...]
    """Storage engines without snapshots, with their number of tables."""
    connections: int
    """Connections in use by all."""
    max_connections: int
    user_connections: int
    """The most that the account may have; 0 is no limit."""
    longest_statement: int | None
    """Seconds that the longest statement of others runs already; None when they are not to be seen."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Where the target keeps its data, seen on this machine."""

    path: str
    free: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    version: str
    provider: str
    """The service or build, as `providers.toml` names it; empty for PostgreSQL's own and those of systems."""
    database: str
    role: str
    login: str
    """The role that has logged in, which ALTER ROLE … SET role may have changed."""
    superuser: bool
    authentication: str
    """How the role has proved who it is; empty before PostgreSQL 16."""
    origins: tuple[tuple[str, str], ...]
    """Where the driver took each value that the address leaves open."""
    tls: Tls
    encoding: str
    collation: str
    schema: str
    relations: int
    """Tables, views and the like in the schema."""
    ledger: str
    """What the last run of converge here has come to."""
    rights: tuple[Privilege, ...]
    settings: tuple[Setting, ...]
    extensions: tuple[str, ...]
    installable: tuple[str, ...]
    """Extensions for which a map or a type may ask, and that this role could make."""
    own_settings: tuple[OwnSetting, ...]
    """Those of the role or the database."""
    event_triggers: tuple[str, ...]
    connections: int
    """Connections of the server in use by all."""
    max_connections: int
    """But those that are reserved."""
    role_connections: int | None
    """How many the role, or all in the database, may have; None is no limit."""
    locks: int
    """Room in the server's lock table."""
    database_bytes: int
    disk: Disk | None
    """None when the data folder cannot be seen from here."""

    def setting(self, name: str) -> str:
        """A setting's value; empty for one that this version does not have."""
        return next((one.value for one in self.settings if one.name == name), "")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Facts of each side that could be reached, and all findings at once."""

    source: Endpoint | None
    """None when no source is named; so the target."""
    target: Endpoint | None
    source_facts: SourceFacts | None
    """None when it could not be reached."""
    target_facts: TargetFacts | None
    findings: tuple[Finding, ...]
    unreached: int
    """The exit code of the first side that could not be reached; 0 when all could."""
    needed_bytes: int | None
    """What tables and indexes will take in the target; None without the source."""

    @property
    def blocked(self) -> bool:
        return any(finding.severity == "block" for finding in self.findings)

    @property
    def verdict(self) -> Literal["ready", "blocked", "failed"]:
        if self.unreached:
            return "failed"
        return "blocked" if self.blocked else "ready"

    @property
    def exit_code(self) -> int:
        return self.unreached or (3 if self.blocked else 0)
