"""Files of Maven artifacts, which applications publish their schemas in; no copy of them is kept here."""

from __future__ import annotations

import subprocess
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


def _run(command: Sequence[str], work: Path) -> None:
    try:
        ran = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError:
        pytest.skip("mvn is not installed: apt-get install maven")
    if ran.returncode:
        pytest.skip(f"{' '.join(command)}: {ran.stdout[-500:]}{ran.stderr[-500:]}")
