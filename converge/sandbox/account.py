"""The account that servers run under.

PostgreSQL refuses to run as root. Both kinds of server get the same account, so that PostgreSQL can
read what MySQL writes with SELECT … INTO OUTFILE (mode 0640 since MySQL 8.0.17).
"""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

from converge.codes import Code
from converge.sandbox.errors import SandboxError

# A socket's path has 107 bytes on Linux and 103 on macOS; ours adds /cvg-xxxxxxxx/.s.PGSQL.65535.
_LONGEST_BASE = 70


def unprivileged() -> pwd.struct_passwd | None:
    """The account that root lends to its servers; None when the caller isn't root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SandboxError(
        "PostgreSQL doesn't run as root, and there is no account postgres or nobody to run it under",
        code=Code.X004,
        hint="useradd --system postgres",
    )


def base_folder() -> Path:
    """The folder for data folders: the usual one, unless it is too deep or closed to the account."""
    for folder in (Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")):
        if len(os.fsencode(folder)) <= _LONGEST_BASE and (os.geteuid() != 0 or open_to_all(folder)):
            return folder
    raise SandboxError("no folder for temporary files is open to all", code=Code.X004, hint="chmod 1777 /tmp")


def open_to_all(folder: Path) -> bool:
    """Whether any account may walk through a folder and all the folders above it."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents) if place.exists())
