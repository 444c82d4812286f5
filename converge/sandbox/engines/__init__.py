"""How each kind of server is made and run: command lines, signals and log lines, as plain data."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from converge.sandbox.engines import mysql, postgres
from converge.sandbox.spec import Kind


@dataclass(frozen=True)
class Programs:
    """A server's programs: `home` holds bin, lib and share; `release` is what --version said."""

    home: Path
    bin: Path
    release: str
    library_path: tuple[Path, ...] = ()


class Engine(Protocol):
    """What the keeper must know about a kind of server."""

    PROGRAM: str
    READY: str
    PORT_TAKEN: str
    STOP: signal.Signals
    CRASH: signal.Signals
    SCHEME: str

    def defaults(self, durable: bool) -> dict[str, str]: ...
    def make(self, programs: Programs, folder: Path, settings: Mapping[str, str]) -> list[str]: ...
    def run(self, programs: Programs, folder: Path, port: int, settings: Mapping[str, str]) -> list[str]: ...


ENGINES: Mapping[Kind, Engine] = {"mysql": mysql, "postgres": postgres}
