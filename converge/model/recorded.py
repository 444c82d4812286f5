"""What the ledger keeps of a run, and how stored documents become values again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from converge.model.evidence import Scan
from converge.model.plan import Mode, Plan

READER = 2
"""The reader of the catalog whose texts this version compares (`postgres/catalog`)."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What decided the run's plan, whatever has become of the files of its maps."""

    mode: Mode
    schema: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    """Paths of the maps, as they were named."""
    documents: tuple[tuple[str, dict[str, Any]], ...] = ()
    """What they held, and the default map: each file's path and content."""


@dataclass(frozen=True, slots=True)
class Made:
    """The target's schema as a run has left it."""

    objects: Mapping[str, str]
    """A text for each object that it has made; in load mode for each of the schema."""
    next_values: Mapping[str, int] = field(default_factory=dict)
    """Next values, by the quoted name of a sequence that gives a column its values."""
    reader: int = 1
    """What has read the catalog: texts of another reader cannot be compared."""
    steps: int = -1
    """How many of the run's statements were done by then; -1 where nobody has counted."""


@dataclass(frozen=True)
class PlanFile(Plan):
    """What `plan -o FILE` writes, for `migrate --plan FILE`."""

    scanned: Scan | None = None
    """None where the source's log does not tell whether rows have changed since."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as later commands find it."""

    id: int
    source: str
    state: str
    started: str
    options: RunOptions
    plan: Plan
    made: Made | None
    """None where the run is not finished."""
    position: str | None = None
    """Where the source's log stood in the run's snapshot, as far as its user might know."""
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Source tables that another finished run has made in the same schema, or made last, with that run."""

    @property
    def own(self) -> set[str]:
        """The source tables of the plan that no later run has made again."""
        return {*self.plan.targets} - self.elsewhere.keys()


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
