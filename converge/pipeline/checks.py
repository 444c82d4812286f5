"""What can stop a run before anything is written, and what --truncate removes."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.errors import BlockedError
from converge.model.plan import Plan
from converge.pipeline.prepare import Prepared
from converge.postgres.target import require_empty, require_rights


def check(prepared: Prepared, *, expected_digest: str, may_exist: bool) -> None:
    """Raises BlockedError or TargetError for all that can be known now."""
    plan, facts, target = prepared.plan, prepared.facts, prepared.target
    assert facts is not None and target is not None
    if plan.blocks:
        raise BlockedError(
            f"{len(plan.blocks)} findings must be settled before anything is written",
            code="P000",
            details=[f"{finding.object}: {finding.message}" for finding in plan.blocks[:50]],
            hint=plan.blocks[0].hint,
        )
    if expected_digest and expected_digest != plan.digest:
        raise BlockedError(
            "the source, the maps, the options or the target have changed since the plan was written",
            code="P002",
            hint="converge plan -o plan.json, and review it again",
        )
    require_rights(facts)
    if not may_exist:
        require_empty(target, facts, [table.target for table in plan.tables])


def drop(target: psycopg.Connection[Any], plan: Plan) -> None:
    """--truncate: removes what the plan makes, all or nothing, and nothing that depends on it."""
    made = [statement.makes.partition(" ") for statement in plan.statements if statement.makes]
    with target.transaction():
        for kind in ("VIEW", "TABLE", "TYPE", "FUNCTION"):
            names = ", ".join(name for word, _, name in reversed(made) if word == kind)
            if names:
                target.execute(f"DROP {kind} IF EXISTS {names}".encode())
