"""Identifiers that PostgreSQL accepts: at most 63 bytes, unique in a schema, deterministic."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

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


class Namespace:
    """Names of one schema: its tables, indexes, sequences, views and types share one namespace.

    Names that applications use, those of tables and views, are held for them.
    """

    def __init__(self, taken: Iterable[str] = (), held: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._held = {fit(name) for name in held}

    def take(self, *wishes: str, held: bool = False) -> str:
        """The first wish that is free, else the last with a number; `held`: it may be a held one."""
        name = next((name for name in map(fit, wishes) if not self._used(name, held)), None)
        number = 2
        while name is None:
            numbered = fit(f"{wishes[-1]}_{number}")
            name = None if self._used(numbered, held) else numbered
            number += 1
        self._taken.add(name)
        return name

    def _used(self, name: str, held: bool) -> bool:
        return name in self._taken or (name in self._held and not held)
