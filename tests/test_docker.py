"""Servers in containers: what an engine is asked for through testcontainers, and what comes of its answers.

The engine is tests/engine.py, because the tests must not depend on a real one; its container's port leads
to a real server.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from engine import Engine, engine
from test_sandbox import ask

from converge import sandbox
from converge.model.endpoint import parse
from converge.sandbox import Server, docker, providers
from converge.sandbox.server import SandboxError, Spec

Begin = Callable[..., Engine]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """`begin(server, *images)` makes an engine the only place from which servers come."""
    config = pytest.importorskip("testcontainers.core.config")
    monkeypatch.setattr(config.testcontainers_config, "ryuk_disabled", True)
    # The tests themselves may run in a container.
    mode = config.ConnectionMode.docker_host
    monkeypatch.setattr(config.testcontainers_config, "connection_mode_override", mode)
    with ExitStack() as stack:

        def run(server: Server, *images: str) -> Engine:
            made = stack.enter_context(engine(parse(server.url).port or 0, *images))
            monkeypatch.setenv("DOCKER_HOST", made.url)
            monkeypatch.setattr(providers, "FINDERS", {"docker": providers.find_in_docker})
            docker.engine_answers.cache_clear()
            return made

        yield run
    docker.engine_answers.cache_clear()


@pytest.mark.parametrize("name", ["mysql:8.0.33", "postgres:17.5"])
def test_a_server_comes_from_docker_and_is_removed(
    name: str, begin: Begin, request: pytest.FixtureRequest
) -> None:
    kind = name.partition(":")[0]
    real = request.getfixturevalue("mysql_8033" if kind == "mysql" else "postgres_175")
    made = begin(real, name)
    with sandbox.start(name, settings={"mysql": {"max_allowed_packet": "1073741824"}}) as (server,):
        assert server.provider == "docker"
        port = parse(server.url).port
        assert server.url == real.url.replace(str(parse(real.url).port), str(port))
        place = server.url if kind == "mysql" else server.database_url("postgres")
        assert ask(place, "SELECT 42") == (42,)
    assert made.asked == ["start", "DELETE"]
    inside = "3306" if kind == "mysql" else "5432"
    assert made.created["Image"] == name
    # Nobody else on the network sees a server without a password.
    assert made.created["HostConfig"]["PortBindings"] == {
        f"{inside}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
    }
    if kind == "mysql":
        assert {"MYSQL_ALLOW_EMPTY_PASSWORD=yes", "MYSQL_INITDB_SKIP_TZINFO=1"} <= {*made.created["Env"]}
        assert {
            "--max-allowed-packet=1073741824", "--default-authentication-plugin=mysql_native_password",
            "--local-infile=ON",
        } <= {*made.created["Cmd"]}  # fmt: skip
    else:
        assert "POSTGRES_HOST_AUTH_METHOD=trust" in made.created["Env"]
        assert made.created["Cmd"][:3] == ["postgres", "--shared-buffers=128MB", "--fsync=off"]


def test_an_engine_elsewhere_gets_a_server_with_a_password(
    begin: Begin, mysql_8033: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begin(mysql_8033, "mysql:8.0.33")
    config = pytest.importorskip("testcontainers.core.config").testcontainers_config
    monkeypatch.setattr(config, "tc_host_override", "docker.example")
    monkeypatch.setattr(docker, "connect_mysql", lambda url: socket.socket())  # there is no such host
    running = providers.find_in_docker(Spec.parse("mysql:8.0.33"), {}, lambda message: None)
    assert running is not None
    with running as url:
        at = parse(url)
    password = f"MYSQL_ROOT_PASSWORD={at.password}" in made.created["Env"]
    assert (at.host, password, len(at.password)) == ("docker.example", True, 32)
    assert made.asked[-1] == "DELETE"


def test_what_docker_cannot_give(begin: Begin, mysql_8033: Server) -> None:
    begin(mysql_8033)
    said: list[str] = []
    with pytest.raises(SandboxError) as raised, sandbox.start("mysql:8.0.33", on_progress=said.append):
        pass
    assert raised.value.code == "X001"
    assert said[0] == "pulling the Docker image mysql:8.0.33"
    assert "looking elsewhere" in said[1]


def test_a_container_that_ends_at_once_says_so(begin: Begin, mysql_8033: Server) -> None:
    made = begin(mysql_8033, "mysql:8.0.33")
    made.behind = 1
    real, made.answer = made.answer, lambda *what: made_exited(made, real(*what))  # type: ignore[method-assign]
    with pytest.raises(SandboxError, match="in Docker"), sandbox.start("mysql:8.0.33"):
        pass
    assert made.asked[-1] == "DELETE"


def made_exited(made: Engine, answer: tuple[int, object]) -> tuple[int, object]:
    """Its container is over as soon as it has begun."""
    made.status = "exited"
    return answer
