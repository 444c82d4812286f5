"""Where `schema_maps/` and `migrations/` are: inside the wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

import converge


def folder(name: str) -> Path:
    """The shipped folder of this name. Raises FileNotFoundError in a broken installation."""
    package = Path(converge.__file__).parent
    for path in (package / name, package.parent / name):
        if path.is_dir():
            return path
    raise FileNotFoundError(f"the installation lacks its folder {name}")
