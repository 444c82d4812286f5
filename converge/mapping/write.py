"""Entries of a map as TOML, for hints and written maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from converge.model.quote import toml_text


def entry(section: str, match: Mapping[str, Any], *lines: str) -> str:
    """``[[section]]`` with its match and these lines."""
    return "\n".join([f"[[{section}]]", f"match = {value(match)}", *lines])


def literally(**names: str) -> dict[str, str]:
    """Names as patterns that match nothing else."""
    return {
        key: "".join(f"[{char}]" if char in "*?[" else char for char in name) for key, name in names.items()
    }


def value(of: Any) -> str:
    """A TOML value: text, number, truth, or an inline table of them."""
    if isinstance(of, bool):
        return str(of).lower()
    if isinstance(of, Mapping):
        return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in of.items()) + " }"
    return str(of) if isinstance(of, int) else toml_text(str(of))
