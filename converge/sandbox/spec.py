"""The name of a server, such as mysql:8.0.15 or postgres:17.5, and what the caller wants of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from converge.codes import Code
from converge.sandbox.errors import BadName

Kind = Literal["mysql", "postgres"]
Progress = Callable[[str], None]

_NAME = re.compile(r"(?P<kind>mysql|postgres):(?P<version>\d+(\.\d+){0,2})", re.ASCII)


@dataclass(frozen=True)
class Spec:
    """One asked-for server. A short version stands for every release that begins with it."""

    kind: Kind
    version: str

    @classmethod
    def parse(cls, name: str) -> Spec:
        """Raises BadName unless the name is like mysql:8.0.15 or postgres:17.5."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise BadName(
                f"{name!r} names no server",
                code=Code.X001,
                hint="write it like mysql:8.0.15 or postgres:17.5",
            )
        return cls(cast(Kind, match["kind"]), match["version"])

    def __str__(self) -> str:
        return f"{self.kind}:{self.version}"

    @property
    def variable(self) -> str:
        """The environment variable that may hold this server's URL: CONVERGE_SANDBOX_MYSQL_8_0_15."""
        return "CONVERGE_SANDBOX_" + re.sub(r"\W", "_", str(self)).upper()

    def fits(self, release: str) -> bool:
        """Whether a release is what was asked for: 8.0 fits 8.0.33, while 8.0.15 and 17.5 are exact."""
        asked = self.version.split(".")
        return release.split(".")[: len(asked)] == asked


@dataclass(frozen=True)
class Options:
    """How a server is to run.

    `settings` are server settings (mysqld options, postgresql.conf names) that win over ours.
    `durable` leaves the server's own care for its disk; otherwise it is traded for speed.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    durable: bool = False


def newest(releases: list[str]) -> str:
    """The highest of some dotted releases."""
    return max(releases, key=lambda release: tuple(int(part) for part in release.split(".")))
