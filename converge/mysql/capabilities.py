"""What a MySQL server can do, by name: the only place that looks at its version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    version: str
    check_constraints: bool
    """information_schema.CHECK_CONSTRAINTS exists (8.0.16)."""


def capabilities(version: str) -> Capabilities:
    """The capabilities of a server that calls itself e.g. ``8.0.15`` or ``8.0.33-log``."""
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:3])
    return Capabilities(version=version, check_constraints=numbers >= (8, 0, 16))
