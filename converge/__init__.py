"""converge moves a MySQL 8 database to PostgreSQL and proves that nothing was lost.

The public API; docs/api.md shows it at work::

    import converge

    result = converge.migrate("mysql://user:password@host/shop", "postgresql://user:password@host/shop")
    print(result.verdict)

Functions: `doctor`, `plan`, `migrate`, `migrate_several`, `verify`, `verify_merge`, `sync`, `follow`,
`cutover`, `recover`, and `endpoint` for addresses. The other names are what these take, return or raise.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # and not typing's, which takes its time before signals are heard
if TYPE_CHECKING:
    # ruff: noqa: F403, F405
    from converge.api import *

__version__ = "0.2.0"
__all__ = [
    "Awaited", "BlockedError", "ConvergeError", "Diagnosis", "Difference", "Endpoint", "Event", "Finding",
    "Interrupted", "Limits", "Merge", "MigrateOptions", "Move", "Options", "Plan", "Recovery", "Removal",
    "Repair", "Result", "Results", "Selection", "SourceError", "TableResult", "TargetError", "UsageError",
    "Window", "cutover", "doctor", "endpoint", "follow", "migrate", "migrate_several", "plan", "recover",
    "sync", "verify", "verify_merge",
]  # fmt: skip


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        # Drivers and parser take half a second to load: workers and `converge --help` do without the API.
        if name not in __all__:
            raise AttributeError(f"module 'converge' has no attribute {name!r}")
        return getattr(importlib.import_module("converge.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
