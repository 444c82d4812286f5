"""Variables: of the environment, else of `.env` in the working folder; and addresses that name them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from dotenv import dotenv_values

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint, parse

ENV_FILE = ".env"
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_LOGIN = re.compile(r"\w[\w+.-]*://([^/?#]*)@")


def dotenv() -> Mapping[str, str | None]:
    """The variables of `.env`; none when there is no such file."""
    return dotenv_values(ENV_FILE) if Path(ENV_FILE).is_file() else {}


def variable(name: str, place: str) -> str:
    """A variable's value. Raises UsageError when it is set nowhere, or empty."""
    if value := os.environ.get(name) or dotenv().get(name):
        return value
    raise UsageError(
        f"{place}: the variable {name} is not set",
        code=Code.U030,
        hint=f"{name}=… in the environment, or in {ENV_FILE} in the working folder",
    )


def address(text: str, place: str) -> Endpoint:
    """The address that a text with ``${VARIABLE}``s stands for.

    A variable that is the whole text is an URL. In the place of user and password it is percent-encoded, so
    that a password is written in `.env` as it is; elsewhere it is pasted. Raises UsageError.
    """
    if whole := _VARIABLE.fullmatch(text):
        return parse(variable(whole[1], place), origin=f"{whole[1]} in {place}")
    login = _LOGIN.match(text)
    start, end = login.span(1) if login else (0, 0)

    def value(found: re.Match[str]) -> str:
        plain = variable(found[1], place)
        return quote(plain, safe="") if start <= found.start() < end else plain

    return parse(_VARIABLE.sub(value, text), origin=place)


def of_kind(endpoint: Endpoint, kind: str) -> Endpoint:
    """The address itself. Raises UsageError for one of the other kind of server."""
    if endpoint.kind != kind:
        raise UsageError(
            f"{endpoint} from {endpoint.origin} is a {endpoint.kind} address where a {kind} one is needed",
            code=Code.U002,
            hint="converge reads MySQL (--source) and writes PostgreSQL (--target)",
        )
    return endpoint


def forget(text: str, endpoint: Endpoint) -> None:
    """Takes the variables that gave this address its password out of the environment."""
    for name in _VARIABLE.findall(text):
        value = unquote(os.environ.get(name, ""))
        if value and endpoint.password and (value in endpoint.password or endpoint.password in value):
            del os.environ[name]
