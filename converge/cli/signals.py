"""Being stopped: the first signal lets running chunks finish, a second one ends it at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import time
from contextlib import suppress
from types import FrameType
from typing import Never

_EXIT = 130
# `timeout`, a shell and the terminal's own Ctrl-C may all pass on the same wish.
_SAME_WISH_SECONDS = 0.5


class Stopping:
    """The handler of SIGINT, SIGTERM and SIGHUP."""

    def __init__(self) -> None:
        self._first: float | None = None

    def install(self) -> None:
        signal.signal(signal.SIGINT, self)
        signal.signal(signal.SIGTERM, self)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(signal.SIGHUP, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        if self._first is None:
            self._first = time.monotonic()
            raise KeyboardInterrupt
        if number != signal.SIGHUP and time.monotonic() - self._first > _SAME_WISH_SECONDS:
            _end_now()

    def asked(self) -> bool:
        """Whether the process shall end: Python ignores an interrupt that meets it in a finalizer."""
        return self._first is not None


class Leaving(Stopping):
    """The same for a worker, which leaves between two tasks."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        with suppress(KeyboardInterrupt):
            super().__call__(number, frame)


def asked_to_stop() -> bool:
    """Whether a signal has asked this command to stop."""
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(handler, Stopping) and handler.asked()


def _leave_terminal() -> None:
    """Nobody reads what is written to a terminal that is gone, and writing would fail."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(nowhere, stream)


def _end_now() -> Never:
    for child in multiprocessing.active_children():
        child.kill()
    with suppress(OSError):
        os.write(
            2, b"stopped at once; both servers roll back what was open, `converge status` tells the rest\n"
        )
    os._exit(_EXIT)
