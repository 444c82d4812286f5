"""Where servers come from, in the order in which the places are asked."""

from __future__ import annotations

from converge.codes import Code
from converge.sandbox.errors import UnknownServer
from converge.sandbox.providers import docker, installed, package, url
from converge.sandbox.providers.base import Finder, Launcher
from converge.sandbox.spec import Progress, Spec

FINDERS: dict[str, Finder] = {
    "url": url.find,
    "docker": docker.find,
    "installed": installed.find,
    "package": package.find,
}


def find(spec: Spec, progress: Progress) -> tuple[str, Launcher]:
    """The first provider that has the server, and how to launch it. Raises SandboxError."""
    for provider, finder in FINDERS.items():
        launcher = finder(spec, progress)
        if launcher is not None:
            return provider, launcher
    raise UnknownServer(
        f"nothing here can give {spec}: no Docker engine answers, it isn't installed, no package has it",
        code=Code.X001,
        hint=f"start Docker, or set {spec.variable} to the URL of such a server\n{package.known(spec)}",
    )
