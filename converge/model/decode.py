"""Documents of the ledger: as JSON that PostgreSQL can hold, and dataclasses from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from converge.codes import Code

T = TypeVar("T")


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape of a NUL, and not an escaped backslash before ``u0000``."""


def encoded(document: object) -> str:
    """The document as JSON, with the picture of NUL for each NUL: jsonb holds none (manual, 8.14)."""
    return _NUL.sub(r"\1\\u2400", json.dumps(document))


def decode(kind: type[T], document: Any) -> T:
    """The value of this dataclass, also from a document of a version that knew fewer or more keys."""
    return cast(T, _decode(kind, document))


def _decode(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if kind is Code and value in Code.__members__:  # one of a newer version stays a text
        return Code[value]
    if is_dataclass(kind):
        hints = _hints(cast(Any, kind))
        known = {one.name: value[one.name] for one in fields(kind) if one.init and one.name in value}
        return kind(**{name: _decode(hints[name], part) for name, part in known.items()})  # type: ignore[operator]
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        kinds = [part for part in parts if part is not NoneType]
        return _decode(kinds[0], value) if len(kinds) == 1 else value
    if origin is tuple:
        each = [parts[0]] * len(value) if parts[1:] == (...,) else parts
        return tuple(map(_decode, each, value))
    if origin is list:
        return [_decode(parts[0], part) for part in value]
    if origin is not None and isinstance(value, Mapping):
        return {name: _decode(parts[1], part) for name, part in value.items()}
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
