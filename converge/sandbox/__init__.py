"""Temporary MySQL and PostgreSQL servers, for the demo, the tests and the benchmark.

    with sandbox.start("mysql:8.0.15", "postgres:17.5") as (my, pg):
        source = my.create_database("shop")

Each server comes from the first of these that has it: a URL in the environment
(CONVERGE_SANDBOX_MYSQL_8_0_15), Docker, programs that are installed, programs from packages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager

from converge.sandbox import providers
from converge.sandbox.dump_load import load_dump
from converge.sandbox.errors import SandboxError
from converge.sandbox.server import Options, Progress, Server, Spec

__all__ = ["SandboxError", "Server", "load_dump", "start"]


def print_progress(message: str) -> None:
    """Prints a line to stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def start(
    *names: str,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    durable: bool = False,
    on_progress: Progress | None = print_progress,
) -> Iterator[tuple[Server, ...]]:
    """Starts servers side by side, and ends and removes them on exit, whatever happens.

    `names` are like mysql:8.0.15, mysql:8.0, postgres:17.5 or postgres:14; a short one stands for the
    newest such release that is known. `settings` go to the servers of one kind:
    {"mysql": {"sql_mode": "ANSI"}, "postgres": {"fsync": "on"}}. Servers trade the safety of their
    data for speed unless they are `durable`. `on_progress` gets a line of text now and then, from
    several threads, while packages are fetched; None keeps silent.

    Raises SandboxError, with what to do about it in its hint.
    """
    specs = [Spec.parse(name) for name in names]
    tell = on_progress or (lambda message: None)
    with ExitStack() as stack:
        with ThreadPoolExecutor(max_workers=max(len(specs), 1)) as pool:
            found = list(pool.map(lambda spec: providers.find(spec, tell), specs))
        servers = []
        for spec, (provider, launch) in zip(specs, found, strict=True):
            options = Options((settings or {}).get(spec.kind, {}), durable)
            running = stack.enter_context(closing(launch(options)))
            servers.append((running, Server(spec, provider, running)))
        for running, _ in servers:
            running.wait()
        yield tuple(server for _, server in servers)
