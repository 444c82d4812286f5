"""Room on the target's disk: no SQL tells, so it is known only where the data folder is on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from converge.model.facts import Disk

_SAME_SECONDS = 10
"""The server notes its start a little before it says that it is up."""


def free_space(data: str, place: str, started: int) -> Disk | None:
    """The disk under `place`, if the server with the folder `data` runs here; None where nobody can tell.

    A folder of that name may be another server's, behind a tunnel or a container, so the process that
    holds it must have started when ours did (seconds since 1970).
    """
    if not data or not place:
        return None
    try:
        # Third line: the time of the start (PostgreSQL's src/include/utils/pidfile.h).
        noted = int(Path(data, "postmaster.pid").read_text("utf-8").splitlines()[2])
        free = shutil.disk_usage(place).free
    except (OSError, ValueError, IndexError):
        return None
    return Disk(place, free) if abs(noted - started) <= _SAME_SECONDS else None
