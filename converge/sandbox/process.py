"""Child processes that don't outlive their parent, the account they run under, and their folder.

PostgreSQL refuses to run as root. Both kinds of server get the same account, so that a test's PostgreSQL can
read what MySQL writes with SELECT … INTO OUTFILE (mode 0640 since MySQL 8.0.17).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from converge.codes import Code
from converge.sandbox.server import SandboxError

# A socket's path has 107 bytes on Linux and 103 on macOS; ours adds /cvg-xxxxxxxx/.s.PGSQL.65535.
_LONGEST_BASE = 70
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_END_SECONDS = 20.0


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
        if len(os.fsencode(folder)) <= _LONGEST_BASE and (os.geteuid() != 0 or _open_to_all(folder)):
            return folder
    raise SandboxError("no folder for temporary files is open to all", code=Code.X004, hint="chmod 1777 /tmp")


def _open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents) if parent.exists())


def remove(folder: Path) -> None:
    """Removes a folder, also while the last child of a server still writes to it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def free_port() -> int:
    """A port that was free a moment ago; whoever uses it must be ready to ask for another one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def spawn(
    command: Sequence[str], folder: Path, log: Path, libraries: Sequence[str], death_signal: int
) -> subprocess.Popen[bytes]:
    """Starts a program in `folder`, under the unprivileged account, with its output appended to `log`.

    On Linux it gets `death_signal` when this process dies, however that happens: so a process with
    only one thread must call this. Raises SandboxError when the program can't be executed.
    """
    account = unprivileged()
    # Nothing of the caller's: PGPORT, PGOPTIONS or LC_ALL would change what the server does.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C"}
    if libraries:
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_tie_to_parent(death_signal),
            )
        except OSError as error:
            who = account.pw_name if account else "this user"
            raise SandboxError(
                f"{command[0]} doesn't run as {who}: {error.strerror}",
                code=Code.X004,
                hint="set CONVERGE_CACHE to a folder that all may read, such as /var/cache/converge",
            ) from error


def end(process: subprocess.Popen[bytes], how: int) -> None:
    """Ends a process that `spawn` started, and waits for it; one that takes too long is killed."""
    if process.poll() is not None:
        return  # its id may be another process's by now
    process.send_signal(how)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tie_to_parent(death_signal: int) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        # Runs in the child after it took the account, since that would clear the signal (prctl(2)).
        prctl(_PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # the parent died before the child was tied to it
            os._exit(1)

    return tie
