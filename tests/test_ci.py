"""The workflow in the docs and the compose file: they parse, and name what is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from converge.cli import COMMANDS, _group
from converge.matrix.request import wanted
from converge.sandbox import packages
from converge.sandbox.providers import find_given
from converge.sandbox.server import Spec

FOLDER = Path(__file__).parents[1]
TARGETS = ("14", "15", "16", "17.5")


def workflow() -> dict[Any, Any]:
    (text,) = re.findall(
        r"^```yaml\n(.*?)^```", (FOLDER / "docs/ci.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    document: dict[Any, Any] = yaml.safe_load(text)
    return document


def commands() -> list[list[str]]:
    """What the workflow's steps run of converge, as words."""
    steps = workflow()["jobs"]["matrix"]["steps"]
    lines = "\n".join(step.get("run", "") for step in steps).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("converge ")]


def test_the_workflow_has_the_parts_that_a_service_needs() -> None:
    document = workflow()
    assert True in document  # "on", as YAML 1.1 reads it
    job = document["jobs"]["matrix"]
    assert {"runs-on", "services", "env", "steps"} <= job.keys()
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    assert all("--health-cmd" in service["options"] for service in job["services"].values())


@pytest.mark.parametrize("words", commands(), ids=lambda words: words[0])
def test_each_command_of_the_workflow_takes_its_options(words: list[str]) -> None:
    name, *arguments = words
    assert name in COMMANDS
    command = _group.get_command(click.Context(_group), name)
    assert command is not None
    # Click raises for what it doesn't know; nothing is run.
    command.make_context(name, arguments)


def places(services: dict[str, Any]) -> dict[str, int]:
    """The port of this machine at which each image answers."""
    return {one["image"]: int(port.split(":")[-2]) for one in services.values() for port in one["ports"]}


def require_served(services: dict[str, Any], variables: dict[str, str], names: list[str]) -> None:
    """Each server that is asked for has a variable that leads to its own container."""
    ports = places(services)
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in variables.items():
            patch.setenv(variable, value)
        for name in names:
            spec = Spec.parse(name)
            assert find_given(spec, {}, lambda message: None) is not None, name
            assert variables[spec.variable].endswith(f"@127.0.0.1:{ports[name]}")


def test_the_workflow_has_a_server_for_each_version_that_it_asks_for() -> None:
    job = workflow()["jobs"]["matrix"]
    (matrix,) = [words for words in commands() if words[0] == "matrix"]
    asked = [one.name for one in wanted((matrix[matrix.index("--postgres") + 1],))]
    assert asked == list(TARGETS)
    source = f"mysql:{matrix[matrix.index('--mysql') + 1]}"
    require_served(job["services"], job["env"], [source, *(f"postgres:{version}" for version in asked)])


def test_the_compose_file_has_all_servers_of_the_tests() -> None:
    text = (FOLDER / "docker-compose.test.yml").read_text("utf-8")
    services = yaml.safe_load(text)["services"]
    variables = dict(re.findall(r"^#\s+export (\w+)=(\S+)$", text, re.MULTILINE))
    named = set(re.findall(r'_serve\("([^"]+)"\)', (FOLDER / "tests/conftest.py").read_text("utf-8")))
    assert named == {*(f"mysql:{one}" for one in packages.MYSQL), *(f"postgres:{one}" for one in TARGETS)}
    require_served(services, variables, sorted(named))
    assert all("healthcheck" in service for service in services.values())
