"""Being stopped: the first signal lets running chunks finish, a second one ends it at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import stat
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Never

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What asks a process to stop; they reach whole process groups."""
_EXIT = 130
_AGAIN_SECONDS = 0.01
# `timeout`, a shell and the terminal's own Ctrl-C may all pass on the same wish.
_SAME_WISH_SECONDS = 0.5


class Stopping:
    """The handler of SIGINT, SIGTERM and SIGHUP."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._over = False

    def install(self) -> None:
        """Hears signals, also those that were blocked so far. Raises KeyboardInterrupt."""
        for number in STOPS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self)
        signal.signal(signal.SIGALRM, self._raise)
        sys.unraisablehook = self._ignored
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)

    def end(self) -> None:
        """The result is known, and is said whole: no signal changes it any more."""
        self._over = True
        ignore()
        # Python would exit by an interrupt that went through the last exec(), as dataclasses have it.
        exec("")

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            _leave_terminal()
        if self._first is None:
            self._first = time.monotonic()
            self._raise()
        elif (
            number != signal.SIGHUP and time.monotonic() - self._first > _SAME_WISH_SECONDS and not self._over
        ):
            _end_now()

    def _raise(self, *_: object) -> None:
        if not self._over:
            raise KeyboardInterrupt

    def _ignored(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Python ignores what is raised in a finalizer, or in a callback as an import has: raised once more,
        outside of it."""
        if self._first is not None and unraisable.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            sys.__unraisablehook__(unraisable)

    def asked(self) -> bool:
        """Whether the process shall end."""
        return self._first is not None


class Leaving(Stopping):
    """The same for a worker, which leaves between two tasks."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        with suppress(KeyboardInterrupt):
            super().__call__(number, frame)


def ignore() -> None:
    """For a process that ends when the one that has started it says so."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)


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
