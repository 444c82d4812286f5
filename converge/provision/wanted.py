"""What the entries of `converge.toml` want of the PostgreSQL server: a database each, and its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from converge.codes import Code
from converge.errors import UsageError
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
