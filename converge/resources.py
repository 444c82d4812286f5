"""TOML and SQL files of the package, `schema_maps/` and `migrations/` in the wheel or beside it; zstd."""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import converge


def folder(name: str) -> Path:
    """The shipped folder of this name. Raises FileNotFoundError in a broken installation."""
    package = Path(converge.__file__).parent
    for path in (package / name, package.parent / name):
        if path.is_dir():
            return path
    raise FileNotFoundError(f"the installation lacks its folder {name}")


def sql(package: str, name: str) -> str:
    """The query of this name in the package's folder `queries`."""
    return files(package).joinpath("queries", f"{name}.sql").read_text("utf-8")


@cache
def toml(package: str, name: str) -> dict[str, Any]:
    """The document of this name beside the package's modules, for all callers the same one."""
    return tomllib.loads(files(package).joinpath(f"{name}.toml").read_text("utf-8"))


@cache
def schema_map(name: str) -> dict[str, Any]:
    """The document of this name in `schema_maps/`, for all callers the same one."""
    return tomllib.loads((folder("schema_maps") / f"{name}.toml").read_text("utf-8"))


def zstd() -> Any:
    """Python's own module, which 3.14 brought, or the package for earlier ones; None without either."""
    for module in ("compression.zstd", "backports.zstd"):
        if find_spec(module.partition(".")[0]) and find_spec(module):
            return importlib.import_module(module)
    return None
