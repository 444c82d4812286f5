"""Packages of registries, which applications publish their schemas in; no copy of them is kept here."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from converge.sandbox.packages import cached

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_SECONDS = 600


def files(artifact: str, *paths: str) -> list[Path]:
    """Files of ``group:name:version``, kept in the cache; skips the test where Maven cannot bring them."""
    folder = cached(f"artifact-{artifact.replace(':', '-')}", lambda work: _fetch(artifact, work), print)
    return [folder / path for path in paths]


def _fetch(artifact: str, work: Path) -> Path:
    command = ["mvn", "-q", "-B", f"{_PLUGIN}:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={work}"]
    _run(command, work)
    (jar,) = work.glob("*.jar")
    made = work / "made"
    with zipfile.ZipFile(jar) as archive:
        archive.extractall(made, [name for name in archive.namelist() if name.endswith((".sql", ".xml"))])
    return made


def debian_package(name: str) -> Path:
    """The files of a package of Debian's release here; skips the test where apt-get cannot bring them."""

    def make(work: Path) -> Path:
        _run(["apt-get", "download", name], work)
        (package,) = work.glob("*.deb")
        _run(["dpkg-deb", "-x", str(package), "made"], work)
        return work / "made"

    return cached(f"debian-{name}", make, print)


def python_packages(*requirements: str) -> Path:
    """A folder for PYTHONPATH with packages of PyPI; skips the test where pip cannot bring them."""

    def make(work: Path) -> Path:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--target", "made"]
        _run([*command, *requirements], work)
        return work / "made"

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return cached(f"python-{python}-{'-'.join(requirements).replace('==', '-')}", make, print)


def _run(command: Sequence[str], work: Path) -> None:
    try:
        ran = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        pytest.skip(f"{' '.join(command)}: no end after {_SECONDS} s")
    if ran.returncode:
        pytest.skip(f"{' '.join(command)}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
