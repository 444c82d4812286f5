"""Documents of the ledger: as JSON that PostgreSQL can hold, and dataclasses from it."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape of a NUL, and not an escaped backslash before ``u0000``."""


def encoded(document: object) -> str:
    """The document as JSON, with the picture of NUL for each NUL: jsonb holds none (manual, 8.14)."""
    return _NUL.sub(r"\1\\u2400", json.dumps(document))


def decode(kind: type[T], document: Any) -> T:
    """The value of this dataclass, also from a document of a version that knew fewer or more keys.

    Raises ValueError for a document of another kind.
    """
    return cast(T, _adapter(cast(Any, kind)).validate_python(document))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # worker processes decode nothing and need not wait for it

    return TypeAdapter(kind)
