"""Where servers come from, in the order in which the providers are asked.

A finder looks for a server and gives what launches it, or None where the next one is to be asked. A launcher
returns at once; the server is ready when its `wait` returns.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from converge.codes import Code
from converge.sandbox import docker, packages
from converge.sandbox.engines import ENGINES, Job
from converge.sandbox.errors import NotOurs, UnknownServer
from converge.sandbox.kept import Kept
from converge.sandbox.server import Options, Progress, Running, Spec, numbers

Launcher = Callable[[Options], Running]
Finder = Callable[[Spec, Progress], Launcher | None]

_SCHEMES = {"mysql": ("mysql",), "postgres": ("postgresql", "postgres")}
# Where distributions put what they keep out of PATH: Debian, Red Hat, Homebrew, MySQL's own packages.
_FOLDERS = {
    "mysql": ("/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/opt/homebrew/opt/mysql*/bin"),
    "postgres": ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"),
}


class Given:
    """A server that the user runs already: it is used as it is, and never stopped."""

    def __init__(self, url: str, variable: str) -> None:
        self.url = url
        self._variable = variable

    @property
    def files(self) -> Path:
        self._refuse()

    def wait(self) -> None:
        """It runs."""

    def close(self) -> None:
        """It goes on running."""

    def obey(self, command: str) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotOurs(
            f"the server in {self._variable} is yours: converge doesn't stop it or see its files",
            code=Code.X005,
            hint=f"unset {self._variable}",
        )


def find_given(spec: Spec, progress: Progress) -> Launcher | None:
    """The server whose URL is in CONVERGE_SANDBOX_MYSQL_8_0_15 or the like.

    Raises UnknownServer for another kind of URL.
    """
    url = os.environ.get(spec.variable)
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES[spec.kind]:
        raise UnknownServer(
            f"{spec.variable} holds a URL that begins with {parts.scheme}://, not {_SCHEMES[spec.kind][0]}://",
            code=Code.X001,
        )
    given = Given(parts._replace(path="").geturl(), spec.variable)
    return lambda options: given


def find_in_docker(spec: Spec, progress: Progress) -> Launcher | None:
    """The image of the same name."""
    return (lambda options: docker.Container(spec, options)) if docker.available(spec, progress) else None


def find_installed(spec: Spec, progress: Progress) -> Launcher | None:
    """The first installed program whose --version fits."""
    name = ENGINES[spec.kind].program
    in_path = shutil.which(name)
    candidates = [Path(in_path)] if in_path else []
    for pattern in _FOLDERS[spec.kind]:
        candidates += sorted(Path("/").glob(f"{pattern.lstrip('/')}/{name}"), reverse=True)
    for program in candidates:
        release = release_of(program)
        if release is not None and spec.fits(release):
            folder = program.resolve().parent
            if spec.kind == "mysql" or (folder / "initdb").exists():
                return _kept(spec, folder.parent, release, folder)
    return None


def release_of(program: Path) -> str | None:
    """8.0.33 or 15.18; None for MariaDB, a beta or something that doesn't run."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(?:Ver|\(PostgreSQL\)) (\d+(?:\.\d+)+)", answer.stdout)
    return match[1] if match and "MariaDB" not in answer.stdout else None


def find_packaged(spec: Spec, progress: Progress) -> Launcher | None:
    """The newest packaged release that fits, fetched unless the cache has it. Raises SandboxError."""
    fitting = [release for release in packages.releases(spec.kind) if spec.fits(release)]
    if not fitting:
        return None
    release = max(fitting, key=numbers)
    home = packages.server(spec.kind, release, progress)
    missing = [name for name in packages.LIBRARIES if spec.kind == "mysql" and not _loads(name)]
    return _kept(spec, home, release, home / "bin", *(packages.library(name, progress) for name in missing))


def _loads(library: str) -> bool:
    """Whether the system has a shared library; where it is not Linux, MySQL's package brings its own."""
    try:
        return sys.platform != "linux" or bool(ctypes.CDLL(library))
    except OSError:
        return False


def _kept(spec: Spec, home: Path, release: str, programs: Path, *libraries: Path) -> Launcher:
    """Launches some programs under a keeper."""

    def launch(options: Options) -> Running:
        settings = {**ENGINES[spec.kind].defaults(options.durable), **options.settings}
        library_path = tuple(map(str, libraries))
        return Kept(Job(spec.kind, str(home), str(programs), release, library_path, settings))

    return launch


FINDERS: dict[str, Finder] = {
    "url": find_given,
    "docker": find_in_docker,
    "installed": find_installed,
    "package": find_packaged,
}


def find(spec: Spec, progress: Progress) -> tuple[str, Launcher]:
    """The first provider that has the server, and how to launch it. Raises SandboxError."""
    for provider, finder in FINDERS.items():
        launcher = finder(spec, progress)
        if launcher is not None:
            return provider, launcher
    have = ", ".join(f"{spec.kind}:{release}" for release in packages.releases(spec.kind)) or "nothing"
    raise UnknownServer(
        f"no provider has {spec}: no Docker engine answers, it isn't installed, no package has it",
        code=Code.X001,
        hint=f"start Docker, or set {spec.variable} to the URL of such a server\n"
        f"packages have {have} for {packages.this_platform()}; they are kept in {packages.cache_folder()}",
    )
