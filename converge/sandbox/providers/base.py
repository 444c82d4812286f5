"""What a provider is: a function that finds a server, and gives a function that launches it."""

from __future__ import annotations

from collections.abc import Callable

from converge.sandbox.running import Running
from converge.sandbox.spec import Options, Progress, Spec

# Starts the server and returns at once; the server is ready when its `wait` returns.
Launcher = Callable[[Options], Running]
# None: this provider doesn't have that server, so the next one is asked.
Finder = Callable[[Spec, Progress], Launcher | None]
