"""Child processes that don't outlive their parent."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from converge.codes import Code
from converge.sandbox.errors import StartFailed

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_END_SECONDS = 20.0


def spawn(
    command: Sequence[str],
    *,
    folder: Path,
    log: Path,
    account: pwd.struct_passwd | None,
    library_path: Sequence[Path],
    death_signal: signal.Signals,
) -> subprocess.Popen[bytes]:
    """Starts a program in `folder` with its output appended to `log`.

    On Linux it gets `death_signal` when this process dies, however that happens: so a process with
    only one thread must call this. Raises StartFailed when the program can't be executed.
    """
    with log.open("ab") as output:
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=_environment(library_path),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_tie_to_parent(death_signal),
            )
        except PermissionError as error:
            who = account.pw_name if account else "this user"
            raise StartFailed(
                f"{who} may not run {command[0]}",
                code=Code.X004,
                hint="set CONVERGE_CACHE to a folder that all may read, such as /var/cache/converge",
            ) from error
        except OSError as error:
            raise StartFailed(f"{command[0]} doesn't run: {error}", code=Code.X004) from error


def end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Ends a process that `spawn` started, and waits for it; one that takes too long is killed."""
    if process.poll() is not None:
        return  # its id may be another process's by now
    process.send_signal(how)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def last_lines(log: Path, count: int = 20) -> list[str]:
    """The end of a log, for an error's details."""
    return log.read_text(errors="replace").splitlines()[-count:] if log.exists() else []


def _environment(library_path: Sequence[Path]) -> dict[str, str]:
    # Nothing of the caller's: PGPORT, PGOPTIONS or LC_ALL would change what the server does.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C"}
    if library_path:
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, library_path))
    if "TZ" in os.environ:
        environment["TZ"] = os.environ["TZ"]
    return environment


def _tie_to_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        # Runs in the child after it took the account, since that would clear the signal (prctl(2)).
        prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # the parent died before the child was tied to it
            os._exit(1)

    return tie
