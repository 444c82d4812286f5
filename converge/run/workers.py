"""The pool of worker processes: started together, fed one task each, always ended.

Processes and not threads, because Python's lock would let only one of them work on rows. They are
forked from a server process that has loaded the drivers and nothing else, so that they share its pages
and no connection of the coordinator. They get the addresses through a pipe, so that no password is in an
argument or an environment.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from converge.codes import Code
from converge.errors import ConvergeError, SourceError
from converge.model.endpoint import Endpoint
from converge.model.event import Progress, Sink, WorkersBusy, silent
from converge.run import worker

SETTLE_SECONDS = 4.0
_POLL_SECONDS = 0.2


class Workers:
    """`size` workers. Use it as a context manager; leaving it ends the processes.

    The server that they are forked from loads its modules while the plan is made; they start, and connect,
    when `connect` tells them to.
    """

    def __init__(self, size: int, emit: Sink = silent) -> None:
        # Python would look for modules in the working folder first, in the processes behind these, too.
        os.environ["PYTHONSAFEPATH"] = "1"
        self._size, self._emit = size, emit
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["converge.run.worker"])
        forkserver.ensure_running()
        self._processes: dict[Pipe, BaseProcess] = {}
        self._busy: set[Pipe] = set()
        self.gate: Callable[[], bool] = lambda: True
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
            process = self._context.Process(
                target=worker.main, args=(theirs,), name=f"converge-{number}", daemon=True
            )
            process.start()
            theirs.close()
            self._processes[ours] = process
        self.everyone((source, target, settings))

    def everyone(self, task: object) -> None:
        """Gives all workers the same task and waits for all."""
        for pipe in self._processes:
            self._tell(pipe, task)
            self._busy.add(pipe)
        while self._busy:
            self._receive()

    def work(self, tasks: Iterable[object]) -> Iterator[Any]:
        """Gives out the tasks in order; yields `Progress` and, as they end, the tasks' results.

        Now and then it yields None, so that a caller who also waits for something else can look.
        Raises the error of the first task that fails.
        """
        waiting = iter(tasks)
        more, busy = True, 0
        while more or self._busy:
            is_open = self.gate()
            for pipe in [pipe for pipe in self._processes if is_open and pipe not in self._busy]:
                task = next(waiting, None)
                if task is None:
                    more = False
                    break
                self._tell(pipe, task)
                self._busy.add(pipe)
            if busy != len(self._busy):
                busy = len(self._busy)
                self._emit(WorkersBusy(busy))
            if self._busy:
                yield from self._receive()
            elif not is_open:
                time.sleep(_POLL_SECONDS)
                yield None
        if busy:
            self._emit(WorkersBusy(0))

    def settle(self) -> list[Any]:
        """Lets the running tasks end for at most four seconds; returns the results that came."""
        deadline = time.monotonic() + SETTLE_SECONDS
        results = []
        while self._busy and time.monotonic() < deadline:
            # Whoever wants to stop does not care for what one worker has lost.
            with suppress(ConvergeError):
                results += [result for result in self._receive() if result is not None]
        return results

    def _tell(self, pipe: Pipe, task: object) -> None:
        try:
            pipe.send(task)
        except (BrokenPipeError, OSError) as error:
            raise self._lost(pipe) from error

    def _receive(self) -> list[Any]:
        """What the busy workers have to say now; [None] when nobody does."""
        results: list[Any] = []
        for ready in wait(list(self._busy), _POLL_SECONDS):
            pipe: Any = ready
            try:
                kind, *content = pipe.recv()
            except (EOFError, ConnectionResetError) as error:
                raise self._lost(pipe) from error
            if kind == "progress":
                results.append(Progress(*content))
                continue
            if kind == "found":
                results += content
                continue
            self._busy.discard(pipe)
            if kind == "failed":
                raise content[0]
            results += content
        return results or [None]

    def _lost(self, pipe: Pipe) -> ConvergeError:
        self._busy.discard(pipe)
        process = self._processes[pipe]
        process.join(2)
        return SourceError(
            f"the worker {process.name} is gone (exit code {process.exitcode}); its chunk was rolled back",
            code=Code.R001,
            lost=True,
        )
