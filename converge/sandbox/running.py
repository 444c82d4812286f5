"""A server that runs, seen from its caller: the interface, and the one under a keeper process."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Protocol

import converge
from converge.codes import Code
from converge.sandbox import cleanup
from converge.sandbox.engines import ENGINES
from converge.sandbox.errors import StartFailed
from converge.sandbox.job import Job, Reply, reply_from_line

_END_SECONDS = 60.0


class Running(Protocol):
    """What a provider gives: a server that was told to start."""

    def wait(self) -> None:
        """Returns when the server answers; raises a SandboxError when it doesn't."""

    @property
    def url(self) -> str: ...
    @property
    def files(self) -> Path: ...
    def stop(self) -> None: ...
    def crash(self) -> None: ...
    def restart(self) -> None: ...
    def close(self) -> None:
        """Ends the server and removes all of it. May be called at any time, and twice."""


class Kept:
    """A server under a keeper of its own. Its methods may be called from several threads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reply: Reply | None = None
        self._lock = threading.Lock()
        package = str(Path(converge.__file__).parents[1])
        path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "converge.sandbox.keeper"],
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C in the caller's terminal must not end servers that the caller still needs.
            start_new_session=True,
        )
        self._send(job.to_line())

    def wait(self) -> None:
        with self._lock:
            self._reply = self._receive()

    @property
    def url(self) -> str:
        return f"{ENGINES[self._job.kind].SCHEME}@127.0.0.1:{self._ready.port}"

    @property
    def files(self) -> Path:
        return Path(self._ready.folder, "files")

    def stop(self) -> None:
        self._ask("stop")

    def crash(self) -> None:
        self._ask("crash")

    def restart(self) -> None:
        self._ask("restart")

    def close(self) -> None:
        for stream in (self._keeper.stdin, self._keeper.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            self._keeper.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        if self._reply is not None:  # nothing is left of it, unless the keeper was killed
            cleanup.remove(Path(self._reply.folder))

    @property
    def _ready(self) -> Reply:
        if self._reply is None:
            raise StartFailed("the server hasn't started yet", code=Code.X004)
        return self._reply

    def _ask(self, command: str) -> None:
        with self._lock:
            self._send(command)
            self._reply = self._receive()

    def _send(self, line: str) -> None:
        assert self._keeper.stdin is not None
        # A keeper that is gone has no answer either, which _receive reports.
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(line + "\n")
            self._keeper.stdin.flush()

    def _receive(self) -> Reply:
        assert self._keeper.stdout is not None
        line = self._keeper.stdout.readline()
        if not line:
            what = f"{self._job.kind} {self._job.programs.release}"
            raise StartFailed(f"the process that keeps {what} was ended", code=Code.X004)
        return reply_from_line(line)
