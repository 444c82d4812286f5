"""`schema_maps/collations.toml`: MySQL's collations in ICU's words."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from converge.resources import folder


@dataclass(frozen=True, slots=True)
class Collation:
    match: str
    locale: str
    """ICU locale; empty for a comparison of bytes."""
    note: str


@cache
def _all() -> tuple[Collation, ...]:
    text = (folder("schema_maps") / "collations.toml").read_text("utf-8")
    return tuple(Collation(**entry) for entry in tomllib.loads(text)["collation"])


def counterpart(name: str) -> Collation | None:
    """What is known of a MySQL collation; None when nothing is."""
    return next((one for one in _all() if fnmatchcase(name, one.match)), None)


def ignores_case(name: str | None) -> bool:
    """Whether 'a' = 'A' in this MySQL collation."""
    return name is not None and "_ci" in name
