"""Moves of several databases at a time, each in a process of its own.

Processes and not threads: a signal stops a move where it waits for a server, which only a main thread hears;
Alembic has one context a process; and one move that crashes is no end of the others. A process is used
for one move after the other. It does not hear the signals of its group: the parent passes on the first one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from types import FrameType
from typing import TYPE_CHECKING, Any

from converge import signals
from converge.codes import Code
from converge.errors import ConvergeError, SourceError
from converge.model.event import DatabaseStarted, Event, OfDatabase, Sink
from converge.model.recovery import Removal
from converge.run.connections import result_or_error
from converge.run.options import RESUME
from converge.run.workers import Process, share_server

if TYPE_CHECKING:
    from converge.run.many import Step

_STOP = signal.SIGUSR1
Ask = Callable[[str, Removal], None]
"""Asks the user about this database."""


class Movers:
    """`size` processes. Use it as a context manager; leaving it ends them, with what they do."""

    def __init__(self, size: int, emit: Sink, ask: Ask) -> None:
        self._emit, self._ask = emit, ask
        context = multiprocessing.get_context("forkserver")
        share_server(context, "converge.run.many")
        self._processes: dict[Pipe, Process] = {}
        for number in range(size):
            ours, theirs = context.Pipe()
            process = Process(target=_serve, args=(theirs,), name=f"converge-move-{number}")
            process.start()
            theirs.close()
            self._processes[ours] = process
        self._doing: dict[Pipe, tuple[int, Step]] = {}

    def __enter__(self) -> Movers:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in self._processes.items():
            pipe.close()
            if pipe in self._doing:
                process.kill()
            process.join()

    def each(self, steps: Sequence[Step], *, goes_on: bool) -> list[Step]:
        """Has the steps carried out in their order, several at a time; how they are then.

        After an error none begins, unless it `goes_on`. KeyboardInterrupt stops those that have begun, and is
        raised where it goes on.
        """
        done, waiting = list(steps), deque(enumerate(steps))
        stopped = False
        while waiting or self._doing:
            try:
                for pipe in [pipe for pipe in self._processes if pipe not in self._doing]:
                    self._hand_out(pipe, waiting)
                for number, step in self._hear():
                    done[number] = step
                    if step.error is not None and not goes_on:
                        waiting.clear()
                if not self._processes:
                    waiting.clear()
            except KeyboardInterrupt:
                if goes_on or stopped:
                    raise
                stopped = True
                waiting.clear()
                for pipe in self._doing:
                    os.kill(self._processes[pipe].pid or 0, _STOP)
        return done

    def _hand_out(self, pipe: Pipe, waiting: deque[tuple[int, Any]]) -> None:
        """Gives the process the first step that need not wait for another one."""
        at_work = {step.alone for _, step in self._doing.values()} - {None}
        for number, step in waiting:
            if step.alone not in at_work:
                waiting.remove((number, step))
                self._doing[pipe] = number, step
                pipe.send(step)
                return

    def _hear(self) -> list[tuple[int, Any]]:
        """What the processes say; the steps that have ended."""
        ended = []
        for ready in wait([*self._doing]):
            pipe: Any = ready
            number, step = self._doing[pipe]
            try:
                said = pipe.recv()
            except (EOFError, ConnectionResetError):
                said = self._lost(pipe, step)
            match said:
                case Removal():
                    pipe.send(_own_class(result_or_error(partial(self._ask, step.name, said))[1]))
                case DatabaseStarted():
                    self._emit(said)
                case ConvergeError():
                    step.lost(said)
                    ended.append((number, step))
                    del self._doing[pipe]
                case _ if hasattr(said, "go"):
                    ended.append((number, said))
                    del self._doing[pipe]
                case _:
                    self._emit(OfDatabase(step.name, said))
        return ended

    def _lost(self, pipe: Pipe, step: Step) -> ConvergeError:
        process = self._processes.pop(pipe)
        process.join()
        message = f"the process that migrated {step.name} is gone (exit code {process.exitcode})"
        return SourceError(message, code=Code.R001, hint=RESUME)


class _Moving:
    """The process's side."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe, self._lock = pipe, threading.Lock()
        self._at_work = self._telling = self._stopped = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of the signal: what is told now must arrive whole."""
        self._stopped = True
        if self._at_work and not self._telling:
            raise KeyboardInterrupt

    def tell(self, said: Event | Removal) -> None:
        # Statements end in threads of their own.
        main = threading.current_thread() is threading.main_thread()
        with self._lock:
            self._telling |= main
            try:
                self._pipe.send(said)
            except OSError:
                os._exit(1)
            self._telling &= not main
        if main and self._at_work and self._stopped:
            raise KeyboardInterrupt

    def ask(self, removal: Removal) -> None:
        self.tell(removal)
        if (error := self._pipe.recv()) is not None:
            raise error

    def serve(self) -> None:
        while True:
            step = self._pipe.recv()
            self._at_work = True
            step.go(self.tell, self.ask)
            self._at_work = False
            self._pipe.send(step)


def _own_class(error: ConvergeError | None) -> ConvergeError | None:
    """As one of converge's own classes: the processes do not have a class of the program that asks."""
    if error is None:
        return None
    own = next(one for one in type(error).__mro__ if one.__module__ == ConvergeError.__module__)
    made: ConvergeError = own(error.message, code=error.code, hint=error.hint, details=error.details)
    return made


def _serve(pipe: Pipe) -> None:
    signals.ignore()
    moving, parent = _Moving(pipe), multiprocessing.parent_process()
    signal.signal(_STOP, moving.stop)
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    try:
        moving.serve()
    except (EOFError, OSError):
        return


def _end_with(parent: int) -> None:
    """The workers of this process notice, and both servers roll back what was open."""
    wait([parent])
    os._exit(1)
