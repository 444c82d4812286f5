"""The one error of a translation."""

from __future__ import annotations


class Untranslatable(Exception):
    """Why an expression has no translation that is surely the same."""


def unlisted(name: str) -> Untranslatable:
    """The error for what is not on the allow-list."""
    return Untranslatable(f"{name.lower()} is not on the list of what is surely the same")
