"""A server that the user runs already: its URL is in CONVERGE_SANDBOX_MYSQL_8_0_15 or the like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from converge.codes import Code
from converge.sandbox.errors import NotOurs, UnknownServer
from converge.sandbox.providers.base import Launcher
from converge.sandbox.spec import Progress, Spec

_SCHEMES = {"mysql": ("mysql",), "postgres": ("postgresql", "postgres")}


class Given:
    """A server that is used as it is, and never stopped."""

    def __init__(self, url: str, variable: str) -> None:
        self._url = url
        self._variable = variable

    @property
    def url(self) -> str:
        return self._url

    @property
    def files(self) -> Path:
        self._refuse()

    def wait(self) -> None:
        """It runs."""

    def close(self) -> None:
        """It goes on running."""

    def stop(self) -> None:
        self._refuse()

    def crash(self) -> None:
        self._refuse()

    def restart(self) -> None:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotOurs(
            f"the server in {self._variable} is yours: converge doesn't stop it or see its files",
            code=Code.X005,
            hint=f"unset {self._variable}",
        )


def find(spec: Spec, progress: Progress) -> Launcher | None:
    """The server whose URL the environment holds. Raises UnknownServer for another kind of URL."""
    url = os.environ.get(spec.variable)
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES[spec.kind]:
        raise UnknownServer(
            f"{spec.variable} holds a URL that begins with {parts.scheme}://, not {_SCHEMES[spec.kind][0]}://",
            code=Code.X001,
        )
    given = Given(parts._replace(path="").geturl(), spec.variable)
    return lambda options: given
