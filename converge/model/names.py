"""Identifiers that PostgreSQL accepts: at most 63 bytes, unique in their namespace, deterministic."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import chain, count

from converge.codes import Code
from converge.errors import UsageError

LIMIT = 63
# PostgreSQL manual, "System Columns".
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def fit(name: str) -> str:
    """The name, or its beginning and a hash of the whole when it is longer than 63 bytes."""
    encoded = name.encode()
    if len(encoded) <= LIMIT:
        return name
    digest = sha256(encoded).hexdigest()[:8]
    return encoded[: LIMIT - 9].decode(errors="ignore") + "_" + digest


def require_schema(name: str, origin: str) -> str:
    """The name of a target schema. Raises UsageError for one that cannot be the target's."""
    wrong = ""
    if not name or "\0" in name or len(name.encode()) > LIMIT:
        wrong = f"a schema's name has 1 to {LIMIT} bytes"
    elif name in ("converge", "information_schema") or name.startswith("pg_"):
        wrong = "the schema is not for tables of an application"
    if wrong:
        raise UsageError(f"{origin} {name!r}: {wrong}", code=Code.U182, hint="--schema public")
    return name


class Namespace:
    """Names that must differ: of a schema's relations and types, of its functions, of a table's constraints.

    Names that applications use, those of tables and views, are held for them.
    """

    def __init__(self, taken: Iterable[str] = (), held: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._held = {fit(name) for name in held}

    def take(self, *wishes: str, held: bool = False, also: Namespace | None = None) -> str:
        """The first wish that is free, else the last with a number.

        `held`: it may be a held one. In the namespace `also` the name must be free, too.
        """
        spaces = (self, also) if also else (self,)
        numbered = (f"{wishes[-1]}_{number}" for number in count(2))
        for name in map(fit, chain(wishes, numbered)):
            if not any(space._used(name, held) for space in spaces):
                break
        for space in spaces:
            space._taken.add(name)
        return name

    def _used(self, name: str, held: bool) -> bool:
        return name in self._taken or (name in self._held and not held)
