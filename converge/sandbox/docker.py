"""Servers in Docker containers, through testcontainers, when an engine answers."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pymysql

from converge.codes import Code
from converge.sandbox.engines import ENGINES, mysql_options, native_password
from converge.sandbox.errors import NotOurs, StartFailed
from converge.sandbox.process import free_port
from converge.sandbox.server import Options, Progress, Spec, connect_mysql, connect_postgres

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

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
_METHODS = {"stop": "stop", "crash": "kill", "restart": "restart"}


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


class Container:
    """A server in a container. testcontainers removes it even when the caller is killed."""

    def __init__(self, spec: Spec, options: Options) -> None:
        from testcontainers.core.container import DockerContainer

        docker = _docker()
        self._spec = spec
        self._container: DockerContainer = DockerContainer(str(spec)).with_command(_command(spec, options))
        self._publish()
        self._container.with_env(*_MAKE[spec.kind])
        try:
            self._container.start()
        except (docker.errors.DockerException, OSError) as error:
            raise StartFailed(
                f"{spec} in Docker: {error}",
                code=Code.X004,
                hint="TESTCONTAINERS_RYUK_DISABLED=true where Docker cannot have testcontainers/ryuk",
            ) from error

    def _publish(self) -> None:
        """An engine of this machine serves only this machine, as our own servers do, and without a password.

        Another one serves on all its interfaces, so that server gets a password. So it does where we are in
        a container ourselves, and ours is met at a gateway or, with its own port, on a network of both.
        """
        kind, port = self._spec.kind, _PORTS[self._spec.kind]
        client = self._container.get_docker_client()
        way = client.get_connection_mode().name
        # The port is chosen here, since Docker would choose another one after a restart.
        self._port = port if way == "bridge_ip" else free_port()
        self._password = ""
        if way == "docker_host" and client.host() in _THIS_MACHINE:
            published: dict[Any, Any] = self._container.ports
            published[f"{port}/tcp"] = ("127.0.0.1", self._port)
            self._container.with_env(*_OPEN[kind])
        else:
            self._password = secrets.token_hex(16)
            if way != "bridge_ip":
                self._container.with_bind_ports(port, self._port)
            self._container.with_env(_PASSWORDS[kind], self._password)

    @property
    def url(self) -> str:
        host = self._container.get_container_host_ip().replace("localhost", "127.0.0.1")
        login = ENGINES[self._spec.kind].login + (f":{self._password}" if self._password else "")
        return f"{login}@{host}:{self._port}"

    @property
    def files(self) -> Path:
        raise NotOurs("a server in Docker shares no folder with this machine", code=Code.X005)

    def wait(self) -> None:
        """The image's first start makes the data and serves no TCP meanwhile, so an answer is enough."""
        connect = connect_mysql if self._spec.kind == "mysql" else connect_postgres
        give_up = time.monotonic() + _START_SECONDS
        while True:
            try:
                connect(self.url).close()
                return
            except (pymysql.MySQLError, psycopg.Error) as error:
                container = self._container.get_wrapped_container()
                container.reload()
                if container.status == "exited" or time.monotonic() > give_up:
                    said = b"".join(self._container.get_logs()).decode(errors="replace").splitlines()
                    raise StartFailed(
                        f"{self._spec} in Docker: {error}", code=Code.X004, details=said[-20:]
                    ) from error
            time.sleep(0.2)

    def obey(self, command: str) -> None:
        getattr(self._container.get_wrapped_container(), _METHODS[command])()
        if command == "restart":
            self.wait()

    def close(self) -> None:
        self._container.stop()


def _command(spec: Spec, options: Options) -> str:
    settings = {**ENGINES[spec.kind].defaults(options.durable), **options.settings}
    if spec.kind == "postgres":
        return "postgres " + " ".join(f"-c {name}={value}" for name, value in settings.items())
    return " ".join(mysql_options(settings | native_password(spec.version)))


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
