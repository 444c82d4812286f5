"""What is installed: the wheel's and the sdist's files, and the command away from this repository."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from support import ENVIRONMENT, mysql, postgres

from converge import __version__
from converge.cli import _group
from converge.errors import BlockedError, SourceError, UsageError

ROOT = Path(__file__).parents[1]


def ran(*words: str | Path, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | environment,
        cwd=ENVIRONMENT["TMPDIR"],
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel that was made from it."""
    folder = tmp_path_factory.mktemp("dist")
    build = (
        "import sys, os; os.chdir(sys.argv[1]); from hatchling.build import build_sdist as b; b(sys.argv[2])"
    )
    ran(sys.executable, "-c", build, ROOT, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    ran(sys.executable, "-c", build.replace("sdist", "wheel"), unpacked, folder)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel was installed into."""
    folder = tmp_path_factory.mktemp("installed")
    (wheel,) = built.glob("*.whl")
    ran(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        folder,
        wheel,
    )
    return folder


def files(*folders: str) -> set[str]:
    """The repository's files, without what is ignored."""
    if not (ROOT / ".git").exists():
        pytest.skip("no repository says which files there are")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_has_the_package_with_maps_and_migrations_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (archive.read(one).decode() for one in archive.namelist() if one.endswith("/METADATA"))
    beside = {f"converge/{name}" for name in files("schema_maps", "migrations")}
    assert names == files("converge") | beside
    assert wheel.name == f"converge_pg-{__version__}-py3-none-any.whl"
    assert f"Version: {__version__}\n" in metadata


def test_the_sdist_is_the_repository(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert files() <= names | {".gitignore"}
    assert not [name for name in names if name.startswith((".venv", ".git/"))]


def test_the_installed_command_works_away_from_the_repository(
    installed: Path, databases: tuple[str, str]
) -> None:
    source, target = databases
    mysql(
        source, "CREATE TABLE film (id INT PRIMARY KEY, title VARCHAR(9)); INSERT INTO film VALUES (1, 'a')"
    )
    where = "import converge, converge.resources as r; print(converge.__file__, r.folder('migrations'))"
    command, path = installed / "bin" / "converge", {"PYTHONPATH": str(installed)}
    places = ran(sys.executable, "-c", where, **path).split()
    assert places == [f"{installed}/converge/__init__.py", f"{installed}/converge/migrations"]
    sides = ("--source", source, "--target", target)
    for program in ([command], [sys.executable, "-m", "converge"]):
        assert ran(*program, "--version", **path) == f"converge, version {__version__}\n"
    assert "--map" in ran(command, "plan", "--help", **path)
    assert "ready to migrate" in ran(command, "plan", "--map", "friendly", *sides, **path)
    assert "verified" in ran(command, "migrate", *sides, **path)
    assert postgres(target, "SELECT title FROM film") == [("a",)]


def documents(path: str) -> list[dict[Any, Any]]:
    return [*yaml.safe_load_all((ROOT / path).read_text("utf-8"))]


def require_command(words: list[str]) -> None:
    """Click raises for what it does not know; nothing is run."""
    command = _group.get_command(click.Context(_group), words[0])
    assert command is not None, words
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("name", ["deploy/compose.yaml", "deploy/workers.compose.yaml"])
def test_the_compose_file_runs_the_command_with_addresses_from_the_environment(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    (service,) = documents(name)[0]["services"].values()
    assert (ROOT / "deploy" / service["build"] / "Dockerfile").is_file()
    require_command(service["command"])
    for variable, value in service["environment"].items():
        assert value.startswith(f"${{{variable}:?"), variable
    examples = re.findall(r"^# +docker compose .* converge (.*)$", text, re.M)
    for example in (one for one in examples if not one.startswith("cp")):
        require_command(shlex.split(example))


def test_the_job_runs_the_command_with_addresses_from_its_secret() -> None:
    secret, job = documents("deploy/job.yaml")
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    require_command(container["args"])
    assert container["envFrom"] == [{"secretRef": {"name": secret["metadata"]["name"]}}]
    assert secret["stringData"].keys() == {"CONVERGE_SOURCE_URL", "CONVERGE_TARGET_URL"}
    assert container["image"].endswith(f":{__version__}")
    mounts = {one["name"] for one in container["volumeMounts"]}
    assert mounts == {one["name"] for one in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"] and job["spec"]["backoffLimit"] == 0


def test_the_job_of_workers_knows_the_exit_codes() -> None:
    """Its command line is run by test_workers."""
    (job,) = documents("deploy/workers.yaml")
    spec, (container,) = job["spec"], job["spec"]["template"]["spec"]["containers"]
    require_command(container["args"])
    assert container["image"].endswith(f":{__version__}")
    assert (spec["completionMode"], spec["completions"]) == ("Indexed", spec["parallelism"])
    codes = {
        rule["action"]: rule["onExitCodes"]["values"]
        for rule in spec["podFailurePolicy"]["rules"]
        if "onExitCodes" in rule
    }
    fatal = {kind.exit_code for kind in (UsageError, BlockedError, SourceError)} | {70}
    assert codes == {"FailJob": sorted(fatal)}


def test_the_image_copies_what_the_build_needs_and_is_not_root() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    steps = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        word
        for step, words in steps
        if step == "COPY" and "--from" not in words
        for word in words.split()[:-1]
    ]
    assert sorted(copied) == sorted(sent)
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]}
    assert {*needed, project["project"]["readme"], "pyproject.toml"} == {*copied}
    users = [words for step, words in steps if step == "USER"]
    assert [user.partition(":")[0].isdigit() and not user.startswith("0") for user in users] == [True]
    assert ["ENTRYPOINT", '["converge"]'] in steps


def test_a_release_publishes_what_was_built_and_tried() -> None:
    (workflow,) = documents(".github/workflows/release.yml")
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # "on", as YAML 1.1 reads it
    jobs = workflow["jobs"]
    assert (jobs["install"]["needs"], jobs["publish"]["needs"]) == ("build", "install")
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    with (ROOT / "pyproject.toml").open("rb") as file:
        classifiers = tomllib.load(file)["project"]["classifiers"]
    versions = [one.rpartition(" ")[2] for one in classifiers if "Python :: 3." in one]
    assert jobs["install"]["strategy"]["matrix"]["python"] == versions
