"""Arguments of the public API: what is not of the kind that its annotation names is refused, as text and as
numbers that would be taken for something else."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache, wraps
from inspect import signature
from math import inf
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from converge.codes import Code
from converge.errors import UsageError

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Within:
    """In an annotation: the least and the largest number."""

    least: float
    most: float = inf


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which raises UsageError for an argument of another kind than its annotation names."""

    @wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature(function).bind(*args, **kwargs)
        given.arguments |= {name: _plain(value) for name, value in given.arguments.items()}
        _require(function, given.arguments)
        return function(*given.args, **given.kwargs)

    return checking


class Checked:
    """A dataclass whose fields are checked in the same way when it is made."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises UsageError."""
        values = {one.name: _plain(getattr(self, one.name)) for one in fields(self)}  # type: ignore[arg-type]
        _require(type(self), values)
        for name, value in values.items():
            object.__setattr__(self, name, value)


def _plain(value: Any) -> Any:
    """A member of an enum of texts or numbers, say, as the text or number: worker processes do not have the
    program's own classes."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if type(value) in (tuple, list, frozenset):
        return type(value)(map(_plain, value))
    return value


_hints = cache(get_type_hints)


def _require(what: Callable[..., Any], values: Mapping[str, Any]) -> None:
    hints = _hints(what, include_extras=True)
    for name, value in values.items():
        if not _fits(value, hint := hints[name]):
            # Of a text that may be an address, with its password, only the type is told.
            told = value is None or get_origin(hint) in (Annotated, Literal)
            raise UsageError(
                f"{what.__name__}({name}=…): expected {_words(hint)}, "
                f"not {repr(value) if told else type(value).__name__}",
                code=Code.U000,
            )


def _fits(value: Any, hint: Any) -> bool:
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        base, within = arguments
        return _fits(value, base) and within.least <= value <= within.most
    if kind is Literal:
        return value in arguments
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in arguments)
    if kind is collections.abc.Callable:
        return callable(value)
    if kind is tuple and ... not in arguments:
        same = isinstance(value, tuple) and len(value) == len(arguments)
        return same and all(map(_fits, value, arguments))
    if kind in (tuple, frozenset, collections.abc.Sequence):
        # A text is a sequence, too: of its letters.
        return (
            isinstance(value, kind)
            and type(value) is not str
            and all(_fits(one, arguments[0]) for one in value)
        )
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return hint is Any or isinstance(value, kind or hint)


def _words(hint: Any) -> str:
    kind, arguments = get_origin(hint), get_args(hint)
    if kind is Annotated:
        base, within = arguments
        most = f" to {within.most:g}" if within.most < inf else " up"
        return f"{_words(base)} from {within.least:g}{most}"
    if kind is Literal:
        return " or ".join(map(repr, arguments))
    if kind in (Union, UnionType):
        return " or ".join(map(_words, arguments))
    if kind is collections.abc.Callable:
        return "a function"
    if kind is None:
        return "None" if hint is NoneType else hint.__name__
    words = ", ".join("…" if one is ... else _words(one) for one in arguments)
    return f"{kind.__name__}[{words}]"
