"""Looks at a server, makes what it lacks of the wanted databases and roles, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import TargetError, UsageError
from converge.model.documents import head
from converge.model.endpoint import Endpoint
from converge.model.event import DatabaseStarted, Sink
from converge.model.finding import Finding
from converge.model.quote import pg_name, pg_text
from converge.model.words import counted
from converge.postgres.connect import connect
from converge.postgres.errors import explain
from converge.provision.steps import Facts, Step, Wanted, findings, steps
from converge.report.words import one_line, visible
from converge.resources import sql
from converge.run.blockers import require_privileges
from converge.run.connections import explained

# Locales and encodings that do not go together, or that the template does not let in.
_NO_SUCH_DATABASE = ("22023", "42809", "0A000")
_FINDING = ("code", "severity", "object", "message", "hint")


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
        return head("provision", "provisioned") | {
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
                {key: value for key, value in asdict(one).items() if key in _FINDING} for one in self.findings
            ],
        }


def provision(admin: Endpoint, wanted: Sequence[Wanted], emit: Sink, *, passwords: bool) -> Provisioned:
    """Looks at all first, then makes what is missing; `passwords` sets those of existing roles.

    Raises BlockedError with all that stands in the way before anything is made, and TargetError.
    """
    if passwords and not any(one.password for one in wanted):
        hint = 'provision = { password_env = "…" }'
        raise UsageError("no entry has a password to be set", code=Code.U034, hint=hint)
    with explained(admin, admin), closing(connect(admin)) as connection:
        version = (connection.info.parameter_status("server_version") or "").split()[0]
        pairs = [(one, _facts(connection, admin, one)) for one in wanted]
    found = findings(pairs)
    require_privileges([one for one in found if one.severity == "block"])
    todo = steps(pairs, passwords=passwords)
    for one, its in zip(wanted, todo, strict=True):
        emit(DatabaseStarted(one.name))
        # A statement at a time: the next call goes on where one failed.
        for step in its:
            if step.sql:
                _make(replace(admin, database=step.database or admin.database), step)
    return Provisioned(str(admin), version, tuple(zip(wanted, todo, strict=True)), tuple(found))


def _facts(connection: psycopg.Connection[Any], admin: Endpoint, one: Wanted) -> Facts:
    """Writes nothing. A database that wants extensions is looked into, or its template."""
    number = connection.info.server_version
    parameters = one.model_dump() | {"extensions": list(one.extensions)}
    (row,) = connection.execute(sql("converge.provision", "facts").encode(), parameters).fetchall()
    facts = Facts(number, frozenset(), *row)
    if not one.extensions or (facts.owner is None and not facts.template_connects):
        return facts
    database = one.template if facts.owner is None else one.database
    with closing(connect(replace(admin, database=database))) as there:
        made = there.execute("SELECT extname::text FROM pg_extension").fetchall()
    return replace(facts, made=frozenset(name for (name,) in made))


def _make(at: Endpoint, step: Step) -> None:
    """Raises TargetError."""
    with closing(connect(at, search_path="public")) as connection:
        try:
            if step.role:
                connection.execute(f"SET ROLE {pg_name(step.role)}".encode())
            connection.execute(f"{step.sql}{_password(connection, step)}".encode())
        except psycopg.Error as error:
            if error.sqlstate in _NO_SUCH_DATABASE:
                raise TargetError(
                    f"{step.what}: {error.diag.message_primary}",
                    code=Code.T032,
                    details=[line for line in (error.diag.message_detail,) if line],
                    hint='template = "template0" takes every encoding and locale that the server has',
                ) from error
            raise explain(error, at) from error


def _password(connection: psycopg.Connection[Any], step: Step) -> str:
    """A verifier made here, so that no log and no list of the server's statements has the password."""
    if not step.password:
        return ""
    made = connection.pgconn.encrypt_password(step.password.encode(), step.owner.encode())
    return f" PASSWORD {pg_text(made.decode())}"


def provision_text(done: Provisioned) -> str:
    """Each database with its owner and what was made for it, then notes and the verdict."""
    lines = [f"{'target':<10}PostgreSQL {done.version} {done.admin}"]
    for wanted, its in done.databases:
        locale = "".join(
            f", {name} {value}"
            for name, value in (("collation", wanted.collate), ("character type", wanted.ctype))
            if value
        )
        lines += ["", one_line(f"{wanted.name}: {wanted.encoding}{locale}, owner {wanted.role}")]
        lines += [f"  {step.state:<7}{one_line(step.what)}" for step in its]
    for finding in done.findings:
        lines += ["", f"note      {one_line(finding.message)}", f"          {finding.hint}"]
    made = sum(step.state == "made" for _, its in done.databases for step in its)
    lines += ["", f"{'verdict':<10}provisioned: {counted(made, 'thing')} made, the rest was there already"]
    return visible("\n".join(lines))
