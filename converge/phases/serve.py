"""The worker process: waits for its addresses and serves its coordinator.

The coordinator sends a task and gets ``("progress", table, rows, bytes)`` while it runs and then
``("done", result)`` or ``("failed", error)``. SIGINT, SIGTERM and SIGHUP, which reach whole process groups,
are ignored: the coordinator gets them too and lets the chunk settle.
"""

from __future__ import annotations

import logging
import os
import signal
import traceback
from multiprocessing.connection import Connection as Pipe

from converge.errors import ConvergeError
from converge.model.work import CheckTask, CopyTask, DigestTask, DrillTask, ViewTask, WrittenTask
from converge.mysql.packets import NullRow
from converge.phases.explain import DRIVER_ERRORS, explained
from converge.phases.worker import Task, Worker


def main(pipe: Pipe) -> None:
    """The process: waits for its addresses, then serves until the coordinator says stop or is gone."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    # The driver's warnings say in other words what is raised.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        addresses = pipe.recv()
        if addresses is None:
            return
        source, target = addresses
        with explained(source, target):
            worker = Worker(source, target, pipe)
        pipe.send(("done", None))
        _serve(worker, pipe)
    except ConvergeError as error:
        pipe.send(("failed", error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The coordinator is gone; both servers roll back what was open.
        os._exit(1)
    except Exception as error:  # noqa: BLE001 - a bug of ours: the coordinator says so
        traceback.print_exc()
        pipe.send(("failed", error))


def _serve(worker: Worker, pipe: Pipe) -> None:
    while True:
        task = pipe.recv()
        try:
            match task:
                case None:
                    return
                case "begin":
                    worker.begin()
                    pipe.send(("done", None))
                case CopyTask():
                    pipe.send(("done", worker.copy(task)))
                case DigestTask():
                    pipe.send(("done", worker.digest(task)))
                case WrittenTask():
                    pipe.send(("done", worker.written(task)))
                case DrillTask():
                    pipe.send(("done", worker.drill(task)))
                case CheckTask():
                    pipe.send(("done", worker.check(task)))
                case ViewTask():
                    pipe.send(("done", worker.view(task)))
        except (ConvergeError, NullRow, *DRIVER_ERRORS) as error:
            if isinstance(error, BrokenPipeError):
                raise
            known = task if isinstance(task, Task) else None
            raise worker.explain(error, known) from error
