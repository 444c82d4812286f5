"""The folder that keeps what was fetched, shared by any number of runs at once."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from converge.codes import Code
from converge.sandbox.errors import FetchFailed
from converge.sandbox.spec import Progress


def folder() -> Path:
    """$CONVERGE_CACHE, else /var/cache/converge for root, else $XDG_CACHE_HOME or ~/.cache.

    Root's own home is closed to the account that root's servers run under.
    """
    chosen = os.environ.get("CONVERGE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/converge")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "converge"


def get(name: str, make: Callable[[Path], Path], progress: Progress) -> Path:
    """The cache's entry `name`. If missing, `make` fetches it: it gets an empty folder for its work,
    and returns the folder in there that becomes the entry.

    An entry is complete as soon as it is there, since it gets its name last. Runs that want the same
    entry wait for the first of them. Raises what `make` raises, and FetchFailed for a closed cache.
    """
    entry = folder() / name
    if entry.is_dir():
        return entry
    try:
        entry.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (entry.parent / f".{name}.lock").open("w")
    except OSError as error:
        raise FetchFailed(
            f"the cache can't be written: {error}",
            code=Code.X003,
            hint="set CONVERGE_CACHE to another folder",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(f"waiting for another run that fetches {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if entry.is_dir():
            return entry
        for left_by_a_killed_run in entry.parent.glob(f".{name}-*"):
            shutil.rmtree(left_by_a_killed_run)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=entry.parent))
        try:
            made = make(work)
            _let_all_read(made)
            made.rename(entry)
        finally:
            shutil.rmtree(work)
    return entry


def _let_all_read(tree: Path) -> None:
    """Whatever the caller's umask is: root's servers run under another account."""
    for place in (tree, *tree.rglob("*")):
        if not place.is_symlink():
            place.chmod(place.stat().st_mode | (0o555 if place.is_dir() else 0o444))
