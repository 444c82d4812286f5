"""`schema_maps/functions.toml`: MySQL's functions in PostgreSQL's words, by the kinds of arguments."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import Any

from converge.resources import folder


@dataclass(frozen=True, slots=True)
class Function:
    """One form of a function: these arguments, this template."""

    names: tuple[str, ...]
    args: tuple[str, ...]
    """Kinds of the arguments in order; the last may end in ``...`` and then takes all that are left."""
    to: str
    """{0}, {1} … stand for the arguments and {rest} for those that the last kind takes."""
    gives: str
    """Kind of the result, or ``same``: as the first argument."""
    examples: tuple[str, ...]
    """MySQL expressions that the tests evaluate on both servers."""
    stable: bool = False
    """Depends on the session, so that generated columns and indexes cannot have it."""
    volatile: bool = False
    """Gives another value each time."""
    scale: int = 0
    collation: str = ""
    """Collation of a resulting text that does not come from the arguments."""
    note: str = ""
    """Said in the plan wherever the function is used."""

    def fits(self, count: int) -> bool:
        """Whether a call with this many arguments can be this form."""
        if self.args and self.args[-1].endswith("..."):
            return count >= len(self.args)
        return count == len(self.args)

    def kind(self, position: int) -> str:
        """The kind that the argument at this position must be of."""
        return self.args[min(position, len(self.args) - 1)].removesuffix("...")


@cache
def functions() -> tuple[Function, ...]:
    """All forms, in the order of the file: the first that fits is taken."""
    return tuple(_function(**entry) for entry in _document()["function"])


@cache
def by_name() -> dict[str, tuple[Function, ...]]:
    """The forms of each function, by its name in lower case."""
    found: defaultdict[str, tuple[Function, ...]] = defaultdict(tuple)
    for function in functions():
        for name in function.names:
            found[name] += (function,)
    return dict(found)


@cache
def date_formats() -> dict[str, tuple[str, str]]:
    """DATE_FORMAT's specifiers: to_char's pattern, and an immutable expression with {0} for the time."""
    return {code: (form["to_char"], form["immutable"]) for code, form in _document()["format"].items()}


@cache
def _document() -> dict[str, Any]:
    return tomllib.loads((folder("schema_maps") / "functions.toml").read_text("utf-8"))


def _function(name: list[str], args: list[str], examples: list[str], **others: Any) -> Function:
    return Function(tuple(name), tuple(args), examples=tuple(examples), **others)
