"""Shipped files: queries in the package; `schema_maps/` and `migrations/` in the wheel, or beside it."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

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
