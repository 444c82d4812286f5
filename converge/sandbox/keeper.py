"""The small process between a caller and one server: `python -m converge.sandbox.keeper`.

It reads a job from stdin, makes and starts the server, says so on stdout, and then obeys "stop",
"crash" and "restart". When stdin ends, its caller's process is gone or a signal arrives, it ends the
server and removes its folder. So nothing is left even of a caller that was killed.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from converge.codes import Code
from converge.sandbox import account, cleanup, ports, process
from converge.sandbox.engines import ENGINES
from converge.sandbox.errors import SandboxError, StartFailed
from converge.sandbox.job import Job, Reply, reply_to_line

_START_SECONDS = 300.0  # crash recovery of a big database takes a while
_PORT_ATTEMPTS = 10


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

    def tell(self, reply: Reply | SandboxError) -> None:
        try:
            print(reply_to_line(reply), flush=True)
        except BrokenPipeError:
            raise CallerGone from None


class Keeper:
    """One server in one folder."""

    def __init__(self, caller: Caller, job: Job, folder: Path) -> None:
        self._caller = caller
        self._job = job
        self._engine = ENGINES[job.kind]
        self._folder = folder
        self._log = folder / "log"
        self._account = account.unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        self._port: int | None = None

    def make(self) -> None:
        """Makes the data folder. Raises StartFailed."""
        self._folder.chmod(0o711)  # others may walk through to `files`, without seeing the rest
        files = self._folder / "files"
        files.mkdir(mode=0o755)
        if self._account:
            for place in (self._folder, files):
                os.chown(place, self._account.pw_uid, self._account.pw_gid)
        maker = self._spawn(self._engine.make(self._job.programs, self._folder, self._job.settings))
        while maker.poll() is None:
            self._caller.line(0.05)
        if maker.returncode != 0:
            raise self._failure("could not make its data folder")

    def start(self) -> Reply:
        """Starts the server on its port, which is chosen the first time. Raises StartFailed."""
        for _ in range(_PORT_ATTEMPTS):
            port = self._port or ports.free()
            begin = self._log.stat().st_size
            self._spawn(self._engine.run(self._job.programs, self._folder, port, self._job.settings))
            said = self._wait_until_ready(begin)
            if self._engine.READY in said:
                self._port = port
                return Reply(port, str(self._folder))
            self.end(signal.SIGKILL)
            if self._engine.PORT_TAKEN not in said:
                break
            self._caller.line(0.5)
        raise self._failure("doesn't start")

    def obey(self, command: str) -> Reply:
        """Stops, crashes or restarts the server; restarting keeps its port and its data."""
        self.end(self._engine.CRASH if command == "crash" else self._engine.STOP)
        return self.start() if command == "restart" else Reply(self._port or 0, str(self._folder))

    def end(self, how: signal.Signals | None = None) -> None:
        """Ends whatever runs; by default without care for its data."""
        if self._process is not None:
            process.end(self._process, how or self._engine.CRASH)

    def reap(self) -> None:
        """Takes note of a server that ended by itself, so that no zombie stays."""
        if self._process is not None:
            self._process.poll()

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        self._process = process.spawn(
            command,
            folder=self._folder,
            log=self._log,
            account=self._account,
            library_path=self._job.programs.library_path,
            death_signal=self._engine.CRASH,
        )
        return self._process

    def _wait_until_ready(self, begin: int) -> str:
        """What the server says until it is ready or has ended or its time is over."""
        give_up = time.monotonic() + _START_SECONDS
        while True:
            ended = self._process is None or self._process.poll() is not None
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            if ended or self._engine.READY in said or time.monotonic() > give_up:
                return said
            self._caller.line(0.05)

    def _failure(self, what: str) -> StartFailed:
        name = f"{self._engine.PROGRAM} {self._job.programs.release}"
        return StartFailed(f"{name} {what}", code=Code.X004, details=process.last_lines(self._log))


def main() -> None:
    caller = Caller()
    try:
        line = None
        while line is None:
            line = caller.line(1.0)
        folder = Path(tempfile.mkdtemp(prefix="cvg-", dir=account.base_folder()))
        keeper = Keeper(caller, Job.from_line(line), folder)
        try:
            _keep(caller, keeper)
        finally:
            keeper.end()
            cleanup.remove(folder)
    except CallerGone:
        pass
    except SandboxError as error:
        caller.tell(error)


def _keep(caller: Caller, keeper: Keeper) -> None:
    keeper.make()
    caller.tell(keeper.start())
    while True:
        command = caller.line(1.0)
        keeper.reap()
        if command is not None:
            try:
                caller.tell(keeper.obey(command))
            except StartFailed as error:
                caller.tell(error)


if __name__ == "__main__":
    main()
