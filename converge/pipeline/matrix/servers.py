"""The servers of a matrix: versions are started side by side and always ended; those of URLs just run on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from converge import sandbox
from converge.errors import ConvergeError
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Said, Sink
from converge.pipeline.matrix.wish import Wanted
from converge.run.connections import attempt

_MAINTENANCE = "postgres"


@dataclass(frozen=True, slots=True)
class Server:
    """One that answers, or why it does not."""

    name: str
    endpoint: Endpoint | None
    """A database from which others can be made."""
    provider: str
    seconds: float
    error: ConvergeError | None = None


@contextmanager
def servers(wanted: Sequence[Wanted], emit: Sink) -> Iterator[tuple[Server, ...]]:
    """All that are wanted, in their order; one that cannot be had does not keep the others away."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
            stacks = [stack.enter_context(ExitStack()) for _ in wanted]
            found = tuple(pool.map(lambda one, own: _server(one, own, emit), wanted, stacks))
        yield found


def _server(wanted: Wanted, stack: ExitStack, emit: Sink) -> Server:
    if wanted.endpoint is not None:
        return Server(wanted.name, wanted.endpoint, "URL", 0.0)
    started = time.monotonic()

    def say(text: str) -> None:
        emit(Said(text))

    start = sandbox.start(f"postgres:{wanted.name}", on_progress=say)
    found, error = attempt(lambda: stack.enter_context(start))
    took = time.monotonic() - started
    if found is None:
        return Server(wanted.name, None, "", took, error)
    (server,) = found
    return Server(wanted.name, parse(server.database_url(_MAINTENANCE)), server.provider, took)
