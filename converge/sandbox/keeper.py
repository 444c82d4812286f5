"""The small process between a caller and one server: `python -m converge.sandbox.keeper JOB`.

It makes and starts the server, prints its port and folder, or an error, as one JSON object, and stays until
its stdin ends, its caller's process is gone or a signal arrives. Then it ends the server and removes its
folder. So nothing is left even of a caller that was killed.
"""

from __future__ import annotations

import hashlib
import json
import locale
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from converge.codes import Code
from converge.sandbox import packages, process
from converge.sandbox.kept import Job
from converge.sandbox.server import SandboxError
from converge.signals import STOPS

_START_SECONDS = 300.0
_PORT_ATTEMPTS = 10
_PORT_TAKEN = "Address already in use"
_LOG_LINES = 20


class CallerGone(BaseException):
    """Nobody needs the server any more."""


class Caller:
    """The process at the other ends of stdin and stdout."""

    def __init__(self) -> None:
        self._pid = os.getppid()
        # Signals only wake `stay`, so that they can't cut a step such as mkdtemp in two.
        self._wake, wake_end = os.pipe()
        os.set_blocking(wake_end, False)
        signal.set_wakeup_fd(wake_end)
        for number in STOPS:
            signal.signal(number, lambda *_: None)

    def stay(self, seconds: float) -> None:
        """Waits. Raises CallerGone."""
        # Nothing is ever written to our stdin. A forked child of the caller may hold it open, so the caller's
        # process id is asked too.
        readable, _, _ = select.select([0, self._wake], [], [], seconds)
        if readable or os.getppid() != self._pid:
            raise CallerGone


class Keeper:
    """One server in one folder."""

    def __init__(self, caller: Caller, job: Job, folder: Path) -> None:
        self._caller = caller
        self._job = job
        self._folder = folder
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Copies the data folder that the first server of its kind has left in the cache.

        To make one takes MySQL 2 s of CPU, to copy it 0.1 s. Raises SandboxError.
        """
        _lend(self._folder)
        try:
            made = packages.cached(_entry(self._job), self._make, lambda _: None)
        except (SandboxError, OSError):  # the cache is closed or full, or what is wrong is wrong here, too
            self._make(self._folder)
        else:
            self._finish(["cp", "-R", str(made), "{folder}/data"], self._folder)
        (self._folder / "data").chmod(0o700)  # PostgreSQL demands it

    def _make(self, folder: Path) -> Path:
        _lend(folder)
        self._finish(self._job.make, folder)
        (folder / "data/auto.cnf").unlink(missing_ok=True)  # each MySQL gets a UUID of its own as it starts
        return folder / "data"

    def _finish(self, command: list[str], folder: Path) -> None:
        maker = self._spawn(command, folder)
        try:
            while maker.poll() is None:
                self._caller.stay(0.05)
        finally:
            self.end()
        if maker.returncode != 0:
            raise self._failure("could not make its data folder")

    def start(self) -> int:
        """Starts the server; its port, which was free a moment ago. Raises SandboxError."""
        for _ in range(_PORT_ATTEMPTS):
            port, begin = process.free_port(), self._log.stat().st_size
            server = self._spawn(self._job.run, self._folder, port)
            give_up = time.monotonic() + _START_SECONDS
            while self._job.ready not in (said := self._log.read_bytes()[begin:].decode(errors="replace")):
                if server.poll() is not None or time.monotonic() > give_up:
                    break
                self._caller.stay(0.05)
            else:
                return port
            self.end()
            if _PORT_TAKEN not in said:
                break
            self._caller.stay(0.5)
        raise self._failure("doesn't start")

    def stay(self) -> None:
        """Until the caller is gone."""
        while True:
            self._caller.stay(1.0)
            if self._process is not None:
                self._process.poll()  # takes note of a server that ended by itself: no zombie stays

    def end(self) -> None:
        """Ends whatever runs, without care for its data."""
        if self._process is not None:
            process.end(self._process, self._job.end)

    def _spawn(self, command: list[str], folder: Path, port: int = 0) -> subprocess.Popen[bytes]:
        places = {"{folder}": str(folder), "{port}": str(port), "{locale}": _locale()}
        words = [re.sub(r"\{\w+\}", lambda place: places.get(place[0], place[0]), word) for word in command]
        self._process = process.spawn(words, self._folder, self._log, self._job.libraries, self._job.end)
        return self._process

    def _failure(self, what: str) -> SandboxError:
        lines = self._log.read_text(errors="replace").splitlines()
        return SandboxError(f"{self._job.name} {what}", code=Code.X004, details=lines[-_LOG_LINES:])


def _lend(folder: Path) -> None:
    """Gives a folder to the account that root's servers run under."""
    if account := process.unprivileged():
        os.chown(folder, account.pw_uid, account.pw_gid)


def _entry(job: Job) -> str:
    """The data folder's name in the cache, by all that it depends on: initdb notes locale and time zone."""
    told = json.dumps([job.make, _locale(), os.environ.get("TZ"), time.tzname])
    digest = hashlib.sha256(told.encode()).hexdigest()[:12]
    return f"data-{job.name.replace(' ', '-')}-{packages.this_platform()}-{digest}"


def _locale() -> str:
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    return "C.UTF-8"


def main() -> None:
    caller, job = Caller(), Job(**json.loads(sys.argv[1]))
    with suppress(CallerGone, BrokenPipeError):
        try:
            folder = Path(tempfile.mkdtemp(prefix="cvg-", dir=process.base_folder()))
            keeper = Keeper(caller, job, folder)
            try:
                keeper.make()
                print(json.dumps({"port": keeper.start(), "folder": str(folder)}), flush=True)
                keeper.stay()
            finally:
                keeper.end()
                process.remove(folder)
        except SandboxError as error:
            told = {"message": error.message, "hint": error.hint, "details": error.details}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
