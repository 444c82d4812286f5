"""A target whose disk is small, and can be made larger."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support import postgres

from converge.sandbox import Server, process


@contextmanager
def small_disk(server: Server, database: str, megabytes: int) -> Iterator[tuple[str, Callable[[int], None]]]:
    """A database in a tablespace of so many megabytes: its URL, and what gives it another size.

    Needs root, and a server that runs here. The log of the server (WAL) is on another disk, so that the
    server lives on.
    """
    admin = server.database_url("postgres")
    owner = process.unprivileged()
    assert owner is not None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=process.base_folder())))
        folder.chmod(0o711)
        disk = folder / "disk"
        disk.mkdir()
        _run(
            "mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700,uid={owner.pw_uid}", "tmpfs", str(disk)
        )
        stack.callback(_run, "umount", "--lazy", str(disk))
        place = disk / "space"
        place.mkdir(mode=0o700)
        os.chown(place, owner.pw_uid, owner.pw_gid)
        postgres(admin, f"CREATE TABLESPACE {database} LOCATION '{place}'")
        stack.callback(postgres, admin, f"DROP TABLESPACE {database}")
        postgres(
            admin, f"CREATE DATABASE {database} TABLESPACE {database} ENCODING 'UTF8' TEMPLATE template0"
        )
        stack.callback(postgres, admin, f"DROP DATABASE {database} WITH (FORCE)")

        def resize(size: int) -> None:
            _run("mount", "-o", f"remount,size={size}m", str(disk))

        yield server.database_url(database), resize


def why_not(server: Server) -> str | None:
    """Why this server cannot have a small disk here; None where it can."""
    if os.geteuid() != 0:
        return "only root can mount a small disk"
    if server.provider not in ("installed", "package"):
        return f"the server is not on this machine: {server.provider}"
    probe = tempfile.mkdtemp()
    try:
        _run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", probe)
        _run("umount", probe)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"this machine mounts nothing: {error}"
    finally:
        Path(probe).rmdir()
    return None


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
