"""What a comparison must come to in a matrix."""

from __future__ import annotations

from converge.codes import Code
from converge.errors import TargetError
from converge.model.result import Result

_SHOWN = 20


def require_equal(result: Result) -> None:
    """Raises TargetError for tables that are not as in the source; the checks have a step of their own."""
    wrong = [one.source for one in result.tables if not one.verified]
    if wrong:
        raise TargetError(
            f"{len(wrong):,} of {len(result.tables):,} tables differ from the source: {', '.join(wrong)}",
            code=Code.X026,
            details=[str(one) for one in result.differences[:_SHOWN]],
        )
