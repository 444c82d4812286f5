"""The pool of worker processes: started together, fed one task each, always ended.

Processes and not threads, because Python's lock would let only one of them work on rows. They are
forked from a server process that has loaded the drivers and nothing else, so that they share its pages
and no connection of the coordinator. They get the addresses through a pipe, so that no password is in an
argument or an environment.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import forkserver, popen_forkserver, resource_tracker, spawn
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.process import BaseProcess
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from converge.codes import Code
from converge.errors import ConvergeError, SourceError
from converge.model.endpoint import Endpoint
from converge.model.event import Progress, Sink, WorkersBusy, silent
from converge.run import worker
from converge.signals import STOPS

if TYPE_CHECKING:
    from converge.cluster.joined import Guests

SETTLE_SECONDS = 4.0
_POLL_SECONDS = 0.2
_LOCKED_SECONDS = 0.01
"""While all wait for all, perhaps under a lock."""


def share_server(context: ForkServerContext, module: str) -> None:
    """Starts the server that processes are forked from, with this module; a process of one has that already.

    Python would start another there, which imports everything again: its `ensure_running` says in its
    docstring that it reuses the parent's, and looks for what only the parent knows (CPython 3.11 to 3.14,
    Lib/multiprocessing/forkserver.py).
    """
    if forkserver.get_inherited_fds() is None:
        context.set_forkserver_preload([module])
        # Ctrl-C reaches it, too, and would end its imports with a traceback. The start of the tracker, else a
        # part of it, would let the signals through.
        resource_tracker.ensure_running()
        heard = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    else:
        vars(forkserver._forkserver)["ensure_running"] = lambda: None


def _without_main(name: str) -> dict[str, Any]:
    data = spawn.get_preparation_data(name)
    return {key: value for key, value in data.items() if not key.startswith("init_main_")}


class _Start(popen_forkserver.Popen):
    # Python's own with another `spawn` among its globals, because it takes no option for this (CPython 3.11
    # to 3.14, Lib/multiprocessing/popen_forkserver.py). To hide `__main__` for a moment would also hide it
    # from processes that another thread of the program starts.
    _launch = FunctionType(
        vars(popen_forkserver.Popen)["_launch"].__code__,
        vars(popen_forkserver) | {"spawn": SimpleNamespace(get_preparation_data=_without_main)},
    )


class Process(ForkServerProcess):
    """A process that does not run the program's main module again.

    Ours need nothing of it, and it may be a script that migrates as soon as it is run, or standard input.
    """

    _Popen = _Start


class Workers:
    """`size` workers. Use it as a context manager; leaving it ends the processes.

    The server that they are forked from loads its modules while the plan is made; they start, and connect,
    when `connect` tells them to.
    """

    def __init__(self, size: int, emit: Sink = silent, module: str = "converge.run.workers") -> None:
        """`module` is what all processes need that are forked from the server."""
        # Python would look for modules in the working folder first, in the processes behind these, too.
        os.environ["PYTHONSAFEPATH"] = "1"
        self._size, self._emit = size, emit
        self._context = multiprocessing.get_context("forkserver")
        share_server(self._context, module)
        self._processes: dict[Pipe, BaseProcess] = {}
        self._busy: set[Pipe] = set()
        self.joined: Guests | None = None
        """The workers of other machines, together."""
        self.throttle: Callable[[], bool] = lambda: True
        """Whether a task may be handed out now."""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for pipe in self._processes:
            if pipe not in self._busy:
                # A worker that is gone needs no word.
                with suppress(OSError):
                    pipe.send(None)
            pipe.close()
        for process in self._processes.values():
            process.join(0 if kind else 5)
            if process.is_alive():
                # Both servers roll back what it had open.
                process.kill()
                process.join()

    def connect(self, source: Endpoint, target: Endpoint, **settings: str) -> None:
        """Starts all workers, each with two connections; `settings` are of the target's.

        Raises what the first that fails says.
        """
        for number in range(self._size):
            ours, theirs = self._context.Pipe()
            process = Process(target=worker.main, args=(theirs,), name=f"converge-{number}", daemon=True)
            process.start()
            theirs.close()
            self._processes[ours] = process
        self.everyone((source, target, settings))

    def everyone(self, task: object) -> None:
        """Gives all workers the same task and waits for all."""
        for pipe in self._processes:
            self.tell(pipe, task)
        if self.joined is not None:
            self.joined.everyone(task)
        while self.busy:
            self._receive(_LOCKED_SECONDS)

    @property
    def busy(self) -> int:
        """How many tasks are being carried out."""
        return len(self._busy) + (self.joined.busy if self.joined else 0)

    @property
    def size(self) -> int:
        """How many tasks can be carried out at a time."""
        return self._size + (self.joined.jobs if self.joined else 0)

    def free(self) -> list[Pipe]:
        """Workers of this machine without a task."""
        return [pipe for pipe in self._processes if pipe not in self._busy]

    def work(self, tasks: Iterable[object]) -> Iterator[Any]:
        """Gives out the tasks in order; yields `Progress` and, as they end, the tasks' results.

        Where the next task hangs on results, `tasks` gives None.

        Now and then it yields None, so that a caller who also waits for something else can look.
        Raises the error of the first task that fails.
        """
        waiting = iter(tasks)
        more, busy = True, 0
        while more or self.busy or self._returned:
            is_open = self.throttle()
            for place in self._places() if is_open else ():
                task = self._returned.popleft() if self._returned else next(waiting, None)
                if task is None:
                    more = False
                    break
                if isinstance(place, Pipe):
                    self.tell(place, task)
                else:
                    place.give(task)
            if is_open and self.joined is not None:
                self.joined.give_late(waiting)
            if busy != self.busy:
                busy = self.busy
                self._emit(WorkersBusy(busy))
            if self.busy:
                yield from self._receive()
                more = True
            elif not is_open:
                time.sleep(_POLL_SECONDS)
                yield None
        if busy:
            self._emit(WorkersBusy(0))

    def settle(self) -> list[Any]:
        """Lets the running tasks end for at most four seconds; returns the results that came."""
        deadline = time.monotonic() + SETTLE_SECONDS
        results = []
        while self.busy and time.monotonic() < deadline:
            # Whoever wants to stop does not care for what one worker has lost.
            with suppress(ConvergeError):
                results += [result for result in self._receive() if result is not None]
        return results

    def _places(self) -> Iterator[Pipe | Guests]:
        """Where the next tasks go: to those of this machine first."""
        yield from self.free()
        while self.joined is not None and self.joined.room:
            yield self.joined

    @property
    def _returned(self) -> deque[object]:
        return self.joined.returned if self.joined else deque()

    def drop(self, pipe: Pipe) -> None:
        """Goes on without a worker that has failed."""
        process = self._processes.pop(pipe)
        pipe.close()
        process.kill()
        process.join()

    def tell(self, pipe: Pipe, task: object) -> None:
        """Gives a worker a task."""
        try:
            pipe.send(task)
        except (BrokenPipeError, OSError) as error:
            raise self._lost(pipe) from error
        self._busy.add(pipe)

    def hear(self, other: Any, seconds: float) -> Iterator[tuple[Pipe, str, list[Any]]]:
        """What the busy workers have to say within this time, or until there is something to read of `other`.

        `lost`, with the error, is the last word of one that is gone.
        """
        if other and other.heard:
            seconds = 0
        for ready in wait([*self._busy, *([other] if other else [])], seconds):
            pipe: Any = ready
            if pipe is other:
                continue
            try:
                kind, *content = pipe.recv()
            except (EOFError, ConnectionResetError):
                kind, content = "lost", [self._lost(pipe)]
            if kind not in ("progress", "found"):
                self._busy.discard(pipe)
            yield pipe, kind, content

    def _receive(self, seconds: float = _POLL_SECONDS) -> list[Any]:
        """What the busy workers have to say now; [None] when nobody does."""
        results: list[Any] = []
        for _, kind, content in self.hear(self.joined, seconds):
            if kind in ("failed", "lost"):
                raise content[0]
            results += [Progress(*content)] if kind == "progress" else content
        if self.joined is not None:
            results += self.joined.take()
        return results or [None]

    def _lost(self, pipe: Pipe) -> ConvergeError:
        process = self._processes[pipe]
        process.join(2)
        return SourceError(
            f"the worker {process.name} is gone (exit code {process.exitcode}); its chunk was rolled back",
            code=Code.R001,
            lost=True,
        )
