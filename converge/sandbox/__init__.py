"""Temporary MySQL and PostgreSQL servers, for the demo, the matrix, dumps and the tests.

    with sandbox.start("mysql:8.0.15", "postgres:17.5") as (my, pg):
        source = my.create_database("shop")

Each server comes from the first of these that has it: a URL in the environment
(CONVERGE_SANDBOX_MYSQL_8_0_15), Docker, programs that are installed, programs from packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from converge.sandbox import providers
from converge.sandbox.server import Progress, SandboxError, Server, Spec

__all__ = ["SandboxError", "Server", "start"]


def print_progress(message: str) -> None:
    """Prints a line to stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def start(
    *names: str,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    on_progress: Progress = print_progress,
) -> Iterator[tuple[Server, ...]]:
    """Starts servers side by side, and ends and removes them on exit, whatever happens.

    `names` are like mysql:8.0.15, mysql:8.0, postgres:17.5 or postgres:14; a short one stands for the
    newest such release that is known. `settings` go to the servers of one kind:
    {"mysql": {"sql_mode": "ANSI"}, "postgres": {"fsync": "on"}}; by default servers trade the safety of their
    data for speed. `on_progress` gets a line of text now and then, from several threads, while packages are
    fetched.

    Raises SandboxError, with what to do about it in its hint.
    """
    specs = [Spec.parse(name) for name in names]
    with ExitStack() as stack:

        def launch(spec: Spec) -> Server:
            provider, running = providers.find(spec, (settings or {}).get(spec.kind, {}), on_progress)
            return Server(spec.kind, spec.version, provider, stack.enter_context(running))

        with ThreadPoolExecutor() as pool:
            servers = tuple(pool.map(launch, specs))
        yield servers
