"""A server under a keeper process, seen from its caller."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import converge
from converge.codes import Code
from converge.sandbox import process
from converge.sandbox.server import SandboxError

_END_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """A server to make and run, by commands in which {folder}, {port} and {locale} stand for what it gets."""

    name: str
    make: list[str]
    run: list[str]
    ready: str
    """What its log says when it serves."""
    end: int
    """The signal that ends it."""
    libraries: list[str]
    """Folders of shared libraries."""


@contextmanager
def kept(job: Job) -> Iterator[int]:
    """The port of a server under a keeper of its own, seen from its caller. Raises SandboxError."""
    package = str(Path(converge.__file__).parents[1])
    path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    keeper = subprocess.Popen(
        [sys.executable, "-m", "converge.sandbox.keeper", json.dumps(asdict(job))],
        cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C in the caller's terminal must not end servers that the caller still needs.
        start_new_session=True,
    )
    assert keeper.stdin is not None and keeper.stdout is not None
    reply: dict[str, Any] = {}
    try:
        reply = json.loads(keeper.stdout.readline() or "{}")
        if "port" not in reply:
            told = {"message": f"the process that keeps {job.name} was ended", **reply}
            raise SandboxError(**told, code=Code.X004)
        yield reply["port"]
    finally:
        keeper.stdin.close()
        keeper.stdout.close()
        try:
            keeper.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        if "folder" in reply:  # nothing is left of it, unless the keeper was killed
            process.remove(Path(reply["folder"]))
