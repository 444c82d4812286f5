"""Workers that a run starts itself: on this machine, or wherever Dask has its workers.

Dask starts processes and nothing else: which work there is, and who does it, is in the ledger. So its task is
the command `converge worker`, in the environment that it finds, and is never tried again.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from converge import signals
from converge.cluster.join import Joining, serve
from converge.codes import Code
from converge.errors import ConvergeError, UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import silent
from converge.run.workers import Process

_END_SECONDS = 10.0
_MOST_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Started:
    """Workers that were started."""

    count: int
    failed: Callable[[], list[str]]
    """What those say that have ended."""


@contextmanager
def local(count: int, source: Endpoint, target: Endpoint, run: int) -> Iterator[Started]:
    """Processes of this machine that join as those of others do; they hear the addresses through a pipe."""
    context = multiprocessing.get_context("forkserver")
    pairs = [context.Pipe() for _ in range(count)]
    processes = [Process(target=_serve, args=(theirs,)) for _, theirs in pairs]
    for process, (ours, theirs) in zip(processes, pairs, strict=True):
        process.start()
        theirs.close()
        ours.send((source, target, run))

    def failed() -> list[str]:
        return [_said(ours) for process, (ours, _) in zip(processes, pairs, strict=True) if process.exitcode]

    try:
        yield Started(count, failed)
    finally:
        for process in processes:
            process.join(_END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


def _said(pipe: Connection) -> str:
    try:
        return str(pipe.recv())
    except (EOFError, OSError):
        return "it has ended"


def _serve(pipe: Connection) -> None:
    signals.ignore()
    source, target, run = pipe.recv()
    try:
        serve(Joining(source, target, run, 1, _END_SECONDS, lambda: False, silent, returns=0))
    except ConvergeError as error:
        pipe.send(error.message)
        sys.exit(error.exit_code)


@contextmanager
def dask(address: str, run: int, arguments: tuple[str, ...], seconds: float) -> Iterator[Started]:
    """A worker in each of Dask's, with as many processes as that has threads.

    Raises UsageError without Dask, ConvergeError where the scheduler cannot be reached or has no workers.
    """
    try:
        import dask.config as settings
        import distributed
    except ImportError as error:
        hint = "pip install 'converge-pg[cluster]'"
        raise UsageError("--workers dask:// needs Dask distributed", code=Code.U039, hint=hint) from error
    kind = "tls" if settings.get("distributed.comm.require-encryption") else "tcp"
    try:
        connect: Any = distributed.Client
        client = connect(f"{kind}://{address}", set_as_default=False, timeout=_END_SECONDS)
        client.wait_for_workers(1, timeout=seconds)
    except (OSError, TimeoutError) as error:
        raise ConvergeError(
            f"the Dask scheduler {address} has no workers for us: {error}", code=Code.R009
        ) from error
    with client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        futures: list[Any] = [
            client.submit(
                work, run, one["nthreads"], arguments,
                workers=[place], allow_other_workers=False, retries=0, pure=False,
            )
            for place, one in workers.items()
        ]  # fmt: skip

        def failed() -> list[str]:
            ended = [future for future in futures if future.done()]
            results = [_result(future) for future in ended]
            return [said for code, said in results if code]

        yield Started(len(futures), failed)


def _result(future: Any) -> tuple[int, str]:
    if future.status != "finished":
        return 1, f"Dask: {future.status}"
    code, said = future.result()
    return int(code), str(said)


def work(run: int, jobs: int, arguments: tuple[str, ...]) -> tuple[int, str]:
    """What Dask's workers are asked to do: exit code and last lines of `converge worker`."""
    command = [sys.executable, "-m", "converge", "worker", "--run", str(run), "--jobs", str(jobs), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stderr.strip()[-_MOST_SHOWN:]
