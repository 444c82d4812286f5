"""Packages of registries, which applications publish their schemas in; no copy of them is kept here."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from converge.sandbox.packages import cached

ARTIFACTS = (
    "org.quartz-scheduler:quartz:2.5.0",
    "org.springframework.batch:spring-batch-core:5.2.2",
    "org.camunda.bpm:camunda-engine:7.23.0",
    "org.flowable:flowable-engine:7.1.0",
    "org.flowable:flowable-engine-common:7.1.0",
)
"""Fetched together: Maven takes as long for one as for all."""
_POM = """<project><modelVersion>4.0.0</modelVersion>
<groupId>tests</groupId><artifactId>schemas</artifactId><version>1</version><packaging>pom</packaging>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
<version>3.6.1</version><configuration><outputDirectory>.</outputDirectory><artifactItems>{items}</artifactItems>
</configuration></plugin></plugins></build></project>"""
_ITEM = "<artifactItem><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></artifactItem>"
_SECONDS = 600


def file(artifact: str, path: str) -> Path:
    """A file of one of the artifacts, kept in the cache; skips the test where Maven cannot bring them."""
    entry = hashlib.sha256(" ".join(ARTIFACTS).encode()).hexdigest()[:12]
    _, name, version = artifact.split(":")
    return cached(f"artifacts-{entry}", _fetch, print) / f"{name}-{version}" / path


def _fetch(work: Path) -> Path:
    items = "".join(_ITEM.format(*artifact.split(":")) for artifact in ARTIFACTS)
    (work / "pom.xml").write_text(_POM.format(items=items), "utf-8")
    _run(["mvn", "-q", "-B", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"], work)
    for jar in work.glob("*.jar"):
        with zipfile.ZipFile(jar) as archive:
            scripts = [name for name in archive.namelist() if name.endswith(".sql")]
            archive.extractall(work / "made" / jar.stem, scripts)
    return work / "made"


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
