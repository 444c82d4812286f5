"""Servers that are installed on this machine."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from converge.sandbox.engines import ENGINES, Programs
from converge.sandbox.job import Job
from converge.sandbox.providers.base import Launcher
from converge.sandbox.running import Kept
from converge.sandbox.spec import Options, Progress, Spec

# Where distributions put what they keep out of PATH: Debian, Red Hat, Homebrew, MySQL's own packages.
_PLACES = {
    "mysql": ("/usr/sbin", "/usr/libexec", "/usr/local/mysql/bin", "/opt/homebrew/opt/mysql*/bin"),
    "postgres": ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"),
}


def find(spec: Spec, progress: Progress) -> Launcher | None:
    """The first installed program whose --version fits."""
    for program in _candidates(spec):
        release = release_of(program)
        if release is not None and spec.fits(release):
            folder = program.resolve().parent
            if spec.kind == "postgres" and not (folder / "initdb").exists():
                continue
            return launcher(spec, Programs(home=folder.parent, bin=folder, release=release))
    return None


def launcher(spec: Spec, programs: Programs) -> Launcher:
    """Launches some programs under a keeper."""

    def launch(options: Options) -> Kept:
        settings = {**ENGINES[spec.kind].defaults(options.durable), **options.settings}
        return Kept(Job(spec.kind, programs, settings))

    return launch


def _candidates(spec: Spec) -> Iterator[Path]:
    program = ENGINES[spec.kind].PROGRAM
    in_path = shutil.which(program)
    if in_path:
        yield Path(in_path)
    for place in _PLACES[spec.kind]:
        yield from sorted(Path("/").glob(f"{place.lstrip('/')}/{program}"), reverse=True)


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
