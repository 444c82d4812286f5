"""The files that a project begins with: converge.toml, a map to fill in, and `.env` for the passwords."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from importlib.resources import files

from dotenv.parser import parse_stream

from converge.model.endpoint import SECRET_OPTION, split_login
from converge.model.quote import toml_text
from converge.settings.file import FILE
from converge.settings.variables import ENV_FILE, dotenv_text

MAP_FILE = "map.toml"
_PROJECT = """# Both databases. ${{NAME}} is a variable of the environment, or of .env in this folder.
source = {source}
target = {target}
map = [{map}]
"""
_OPTION = re.compile(rf"(?<=[?&])({SECRET_OPTION})=([^&#]+)", re.IGNORECASE)


def start(source: str, target: str, passwords: tuple[str, str], database: str) -> dict[str, str]:
    """The text of each file, by its name; `.env` only where there is a password.

    The URLs' own passwords are left out: `passwords` are in their place.
    """
    secrets: dict[str, str] = {}
    here, there = (
        toml_text(_without_secrets(url, password, side, secrets))
        for side, url, password in zip(("SOURCE", "TARGET"), (source, target), passwords, strict=True)
    )
    template = files("converge.settings").joinpath("start.toml").read_text("utf-8")
    texts = {
        FILE: _PROJECT.format(source=here, target=there, map=toml_text(MAP_FILE)),
        MAP_FILE: template.replace("NAME", toml_text(database)),
    }
    return texts | ({ENV_FILE: _dotenv(secrets)} if secrets else {})


def _without_secrets(url: str, password: str, side: str, secrets: dict[str, str]) -> str:
    """The URL with variables in the place of what is secret, which `secrets` gets."""

    def option(found: re.Match[str]) -> str:
        name = f"CONVERGE_{side}_{found[1].upper()}"
        secrets[name] = found[2]  # pasted as it is when the file is read
        return f"{found[1]}=${{{name}}}"

    url = url.replace("${", "%24{")  # no variable of ours
    parts = split_login(url)
    assert parts is not None
    scheme, user, _, rest = parts
    rest = _OPTION.sub(option, rest)
    if password:
        name = f"CONVERGE_{side}_PASSWORD"
        secrets[name] = password
        user += f":${{{name}}}"
    return scheme + (f"{user}@" if user else "") + rest


def _dotenv(secrets: Mapping[str, str]) -> str:
    """`.env` as it is, with these variables."""
    there = dotenv_text()
    kept = "".join(one.original.string for one in parse_stream(io.StringIO(there)) if one.key not in secrets)
    end = "\r\n" if "\r\n" in there else "\n"
    if kept and not kept.endswith("\n"):
        kept += end
    return kept + "".join(f"{name}={_quoted(value)}{end}" for name, value in secrets.items())


def _quoted(value: str) -> str:
    """A value of `.env` that stands for itself: ``${`` would begin a variable there, even within quotes."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "${:-$}{")
    return f"'{escaped}'"
