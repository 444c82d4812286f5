"""What can stop a run before anything is written, and what --truncate removes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.errors import BlockedError
from converge.model.plan import Finding, Plan
from converge.pipeline.prepare import Prepared
from converge.postgres.target import require_empty, require_rights

_SHOWN = 50


def check(prepared: Prepared, *, expected_digest: str, may_exist: bool) -> None:
    """Raises BlockedError or TargetError for all that can be known now."""
    plan, facts, target = prepared.plan, prepared.facts, prepared.target
    assert facts is not None and target is not None
    if plan.blocks:
        raise _blocked(plan.blocks)
    if expected_digest and expected_digest != plan.digest:
        raise BlockedError(
            "the source, the maps, the options or the target have changed since the plan was written",
            code="P005",
            hint="converge plan -o plan.json, and review it again",
        )
    require_rights(facts)
    if not may_exist:
        require_empty(target, facts, [table.target for table in plan.tables])


def _blocked(findings: Sequence[Finding]) -> BlockedError:
    """One finding as itself; several as a list with the first one's fix."""
    first = findings[0]
    if len(findings) == 1:
        details = [first.evidence] if first.evidence else []
        return BlockedError(
            f"{first.object}: {first.message}", code=first.code, details=details, hint=first.hint
        )
    return BlockedError(
        f"{len(findings)} findings must be settled before anything is written",
        code="P000",
        details=[
            f"{one.code} {one.object}: {one.message}" + (f" ({one.evidence})" if one.evidence else "")
            for one in findings[:_SHOWN]
        ],
        hint=f"for the first of them, in a file for --map:\n{first.hint}" if first.hint else "converge plan",
    )


def drop(target: psycopg.Connection[Any], plan: Plan) -> None:
    """--truncate: removes what the plan makes, all or nothing, and nothing that depends on it."""
    made = [statement.makes.partition(" ") for statement in plan.statements if statement.makes]
    with target.transaction():
        for kind in ("VIEW", "TABLE", "TYPE", "FUNCTION", "COLLATION"):
            names = ", ".join(name for word, _, name in reversed(made) if word == kind)
            if names:
                target.execute(f"DROP {kind} IF EXISTS {names}".encode())
