"""Where servers come from, in the order in which the providers are asked.

A finder looks for a server and gives a context in which it runs, as its URL, or None where the next one is to
be asked.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from converge.codes import Code
from converge.model.endpoint import parse
from converge.sandbox import docker, packages
from converge.sandbox.engines import ENGINES, job
from converge.sandbox.kept import kept
from converge.sandbox.server import Progress, SandboxError, Spec, numbers

Running = AbstractContextManager[str]
Finder = Callable[[Spec, Mapping[str, str], Progress], Running | None]

# Where distributions put what they keep out of PATH: Debian, Red Hat, Homebrew, MySQL's own packages.
_FOLDERS = {
    "mysql": ("/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/opt/homebrew/opt/mysql*/bin"),
    "postgres": ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"),
}


def find_given(spec: Spec, settings: Mapping[str, str], progress: Progress) -> Running | None:
    """The server whose URL is in CONVERGE_SANDBOX_MYSQL_8_0_15 or the like: used as it is, and left running.

    Raises SandboxError for a URL of another kind, UsageError for what is none.
    """
    url = os.environ.get(spec.variable)
    if not url:
        return None
    if parse(url, origin=spec.variable).kind != spec.kind:
        scheme = url.partition(":")[0]
        raise SandboxError(f"{spec.variable} holds a URL that begins with {scheme}://", code=Code.X001)
    return nullcontext(urlsplit(url)._replace(path="").geturl())


def find_in_docker(spec: Spec, settings: Mapping[str, str], progress: Progress) -> Running | None:
    """The image of the same name."""
    return docker.container(spec, settings) if docker.available(spec, progress) else None


def find_installed(spec: Spec, settings: Mapping[str, str], progress: Progress) -> Running | None:
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
                return _kept(spec, folder, release, settings)
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


def find_packaged(spec: Spec, settings: Mapping[str, str], progress: Progress) -> Running | None:
    """The newest packaged release that fits, fetched unless the cache has it. Raises SandboxError."""
    fitting = [release for release in packages.releases(spec.kind) if spec.fits(release)]
    if not fitting:
        return None
    release = max(fitting, key=numbers)
    home = packages.server(spec.kind, release, progress)
    missing = [name for name in packages.LIBRARIES if spec.kind == "mysql" and not _loads(name)]
    return _kept(
        spec, home / "bin", release, settings, *(packages.library(name, progress) for name in missing)
    )


def _loads(library: str) -> bool:
    """Whether the system has a shared library; where it is not Linux, MySQL's package brings its own."""
    try:
        return sys.platform != "linux" or bool(ctypes.CDLL(library))
    except OSError:
        return False


@contextmanager
def _kept(
    spec: Spec, programs: Path, release: str, settings: Mapping[str, str], *libraries: Path
) -> Iterator[str]:
    with kept(job(spec.kind, programs, release, settings, libraries)) as port:
        yield f"{ENGINES[spec.kind].login}@127.0.0.1:{port}"


FINDERS: dict[str, Finder] = {
    "url": find_given,
    "docker": find_in_docker,
    "installed": find_installed,
    "package": find_packaged,
}


def find(spec: Spec, settings: Mapping[str, str], progress: Progress) -> tuple[str, Running]:
    """The first provider that has the server, and the context in which it runs. Raises SandboxError."""
    for provider, finder in FINDERS.items():
        if (running := finder(spec, settings, progress)) is not None:
            return provider, running
    have = ", ".join(f"{spec.kind}:{release}" for release in packages.releases(spec.kind)) or "nothing"
    raise SandboxError(
        f"no provider has {spec}: no Docker engine answers, it isn't installed, no package has it",
        code=Code.X001,
        hint=f"start Docker, or set {spec.variable} to the URL of such a server\n"
        f"packages have {have} for {packages.this_platform()}; they are kept in {packages.cache_folder()}",
    )
