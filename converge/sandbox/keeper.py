"""The small process between a caller and one server: `python -m converge.sandbox.keeper`.

It reads a job from stdin, makes and starts the server, says so on stdout, and then obeys "stop",
"crash" and "restart": one JSON object a line. When stdin ends, its caller's process is gone or a signal
arrives, it ends the server and removes its folder. So nothing is left even of a caller that was killed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from converge.codes import Code
from converge.sandbox import process
from converge.sandbox.engines import ENGINES, Job
from converge.sandbox.errors import SandboxError, StartFailed

_START_SECONDS = 300.0  # crash recovery of a big database takes a while
_PORT_ATTEMPTS = 10
_PORT_TAKEN = "Address already in use"
_LOG_LINES = 20


class CallerGone(BaseException):
    """Nobody needs the server any more."""


class Caller:
    """The process at the other ends of stdin and stdout."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._received = b""
        # Signals only wake `line`, so that they can't cut a step such as mkdtemp in two.
        self._wake, wake_end = os.pipe()
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def line(self, seconds: float) -> str | None:
        """The caller's next line, or None when there is none in that time. Raises CallerGone."""
        if b"\n" not in self._received:
            readable, _, _ = select.select([0, self._wake], [], [], seconds)
            # A forked child of the caller may hold our stdin open, so its process id is asked too.
            if self._wake in readable or os.getppid() != self._pid:
                raise CallerGone
            if 0 in readable:
                piece = os.read(0, 65536)
                if not piece:
                    raise CallerGone
                self._received += piece
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        return line.decode()

    def tell(self, **reply: Any) -> None:
        """Where the server is, or the error of what was asked."""
        try:
            print(json.dumps(reply), flush=True)
        except BrokenPipeError:
            raise CallerGone from None

    def tell_error(self, error: SandboxError) -> None:
        self.tell(error=error.message, hint=error.hint, details=error.details)


class Keeper:
    """One server in one folder."""

    def __init__(self, caller: Caller, job: Job, folder: Path) -> None:
        self._caller = caller
        self._job = job
        self._engine = ENGINES[job.kind]
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def make(self) -> None:
        """Makes the data folder. Raises StartFailed."""
        self._folder.chmod(0o711)  # others may walk through to `files`, without seeing the rest
        files = self._folder / "files"
        files.mkdir(mode=0o755)
        if account := process.unprivileged():
            for folder in (self._folder, files):
                os.chown(folder, account.pw_uid, account.pw_gid)
        maker = self._spawn(self._engine.make(self._job, self._folder))
        while maker.poll() is None:
            self._caller.line(0.05)
        if maker.returncode != 0:
            raise self._failure("could not make its data folder")

    def start(self) -> None:
        """Starts the server on its port, which is chosen the first time. Raises StartFailed."""
        for _ in range(_PORT_ATTEMPTS):
            port = self._port or process.free_port()
            begin = self._log.stat().st_size
            self._spawn(self._engine.run(self._job, self._folder, port))
            said = self._wait_until_ready(begin)
            if self._engine.ready in said:
                self._port = port
                return
            self.end(signal.SIGKILL)
            if _PORT_TAKEN not in said:
                break
            self._caller.line(0.5)
        raise self._failure("doesn't start")

    def keep(self) -> None:
        """Makes and starts the server, and obeys its caller until that is gone."""
        self.make()
        self.start()
        self._caller.tell(port=self._port, folder=str(self._folder))
        while True:
            command = self._caller.line(1.0)
            if self._process is not None:
                self._process.poll()  # takes note of a server that ended by itself: no zombie stays
            if command is None:
                continue
            try:
                self.end(self._engine.crash if command == "crash" else self._engine.stop)
                if command == "restart":
                    self.start()
                self._caller.tell(port=self._port, folder=str(self._folder))
            except StartFailed as error:
                self._caller.tell_error(error)

    def end(self, how: signal.Signals | None = None) -> None:
        """Ends whatever runs; by default without care for its data."""
        if self._process is not None:
            process.end(self._process, how or self._engine.crash)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        libraries, crash = self._job.library_path, self._engine.crash
        spawned = process.spawn(command, self._folder, self._log, library_path=libraries, death_signal=crash)
        self._process = spawned
        return spawned

    def _wait_until_ready(self, begin: int) -> str:
        """What the server says until it is ready or has ended or its time is over."""
        give_up = time.monotonic() + _START_SECONDS
        while True:
            ended = self._process is None or self._process.poll() is not None
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            if ended or self._engine.ready in said or time.monotonic() > give_up:
                return said
            self._caller.line(0.05)

    def _failure(self, what: str) -> StartFailed:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        name = f"{self._engine.program} {self._job.release}"
        return StartFailed(f"{name} {what}", code=Code.X004, details=lines[-_LOG_LINES:])


def main() -> None:
    caller = Caller()
    try:
        while (line := caller.line(1.0)) is None:
            pass
        folder = Path(tempfile.mkdtemp(prefix="cvg-", dir=process.base_folder()))
        keeper = Keeper(caller, Job.from_line(line), folder)
        try:
            keeper.keep()
        finally:
            keeper.end()
            process.remove(folder)
    except CallerGone:
        pass
    except SandboxError as error:
        caller.tell_error(error)


if __name__ == "__main__":
    main()
