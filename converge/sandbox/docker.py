"""Servers in Docker containers, through testcontainers, when an engine answers."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from converge.codes import Code
from converge.sandbox.engines import ENGINES, native_password, options
from converge.sandbox.process import free_port
from converge.sandbox.server import Progress, SandboxError, Spec, connect_mysql, connect_postgres

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_STARTING = threading.Lock()
"""The first start makes testcontainers' reaper, which several threads would make several times."""
_PING_SECONDS = 2
_START_SECONDS = 120.0
_PORTS = {"mysql": 3306, "postgres": 5432}
_PASSWORDS = {"mysql": "MYSQL_ROOT_PASSWORD", "postgres": "POSTGRES_PASSWORD"}
_OPEN = {"mysql": ("MYSQL_ALLOW_EMPTY_PASSWORD", "yes"), "postgres": ("POSTGRES_HOST_AUTH_METHOD", "trust")}
# As servers from packages are made.
_MAKE = {
    "mysql": ("MYSQL_INITDB_SKIP_TZINFO", "1"),
    "postgres": ("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale=C.UTF-8"),
}
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def available(spec: Spec, progress: Progress) -> bool:
    """Whether an engine answers and has the image of the same name, or can pull it."""
    if not engine_answers():
        return False
    docker = _docker()
    images = docker.from_env().images
    try:
        images.get(str(spec))
    except docker.errors.ImageNotFound:
        progress(f"pulling the Docker image {spec}")
        try:
            images.pull(spec.kind, tag=spec.version)
        except docker.errors.APIError as error:
            progress(f"Docker can't pull {spec} ({error}); looking elsewhere")
            return False
    return True


@contextmanager
def container(spec: Spec, settings: Mapping[str, str]) -> Iterator[str]:
    """A server in a container, which testcontainers removes even when the caller is killed.

    Raises SandboxError.
    """
    from testcontainers.core.container import DockerContainer

    docker = _docker()
    program = ["postgres"] if spec.kind == "postgres" else native_password(spec.version)
    command = " ".join([*program, *options(spec.kind, settings)])
    made = DockerContainer(str(spec)).with_command(command).with_env(*_MAKE[spec.kind])
    port, password = _publish(made, spec)
    try:
        try:
            with _STARTING:
                made.start()
        except (docker.errors.DockerException, OSError) as error:
            raise SandboxError(
                f"{spec} in Docker: {error}",
                code=Code.X004,
                hint="TESTCONTAINERS_RYUK_DISABLED=true where Docker cannot have testcontainers/ryuk",
            ) from error
        host = made.get_container_host_ip().replace("localhost", "127.0.0.1")
        login = ENGINES[spec.kind].login + (f":{password}" if password else "")
        url = f"{login}@{host}:{port}"
        _wait(made, spec, url)
        yield url
    finally:
        made.stop()


def _publish(made: DockerContainer, spec: Spec) -> tuple[int, str]:
    """The port and the password of a server that only its caller is to reach.

    An engine of this machine serves only this machine, as our own servers do, and without a password.
    Another one serves on all its interfaces, so that server gets a password. So it does where we are in
    a container ourselves, and ours is met at a gateway or, with its own port, on a network of both.
    """
    inside = _PORTS[spec.kind]
    client = made.get_docker_client()
    way = client.get_connection_mode().name
    if way == "docker_host" and client.host() in _THIS_MACHINE:
        port, published = free_port(), cast(dict[Any, Any], made.ports)
        published[f"{inside}/tcp"] = ("127.0.0.1", port)
        made.with_env(*_OPEN[spec.kind])
        return port, ""
    password = secrets.token_hex(16)
    made.with_env(_PASSWORDS[spec.kind], password)
    if way == "bridge_ip":
        return inside, password
    port = free_port()
    made.with_bind_ports(inside, port)
    return port, password


def _wait(made: DockerContainer, spec: Spec, url: str) -> None:
    """The image's first start makes the data and serves no TCP meanwhile, so an answer is enough."""
    import psycopg
    import pymysql

    connect = connect_mysql if spec.kind == "mysql" else connect_postgres
    give_up = time.monotonic() + _START_SECONDS
    while True:
        try:
            connect(url).close()
            return
        except (pymysql.MySQLError, psycopg.Error) as error:
            wrapped = made.get_wrapped_container()
            wrapped.reload()
            if wrapped.status == "exited" or time.monotonic() > give_up:
                said = b"".join(made.get_logs()).decode(errors="replace").splitlines()
                raise SandboxError(
                    f"{spec} in Docker: {error}", code=Code.X004, details=said[-20:]
                ) from error
        time.sleep(0.2)


@functools.cache
def engine_answers() -> bool:
    if not all(importlib.util.find_spec(name) for name in ("docker", "testcontainers")):
        return False
    docker = _docker()
    try:
        return bool(docker.from_env(timeout=_PING_SECONDS).ping())
    except (docker.errors.DockerException, OSError):  # requests' errors are OSErrors
        return False


def _docker() -> Any:
    """The Docker client: an optional dependency without type hints, which testcontainers brings."""
    return importlib.import_module("docker")
