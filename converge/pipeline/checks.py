"""What can stop a run before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.plan import OCCUPIED, Finding, Plan
from converge.model.recovery import Approve, Removal
from converge.pipeline.room import rows_held
from converge.planner.inputs import Inputs, loaded_tables, own_names, target_tables
from converge.postgres.ledger import require_free
from converge.postgres.locks import require_locks
from converge.postgres.rights import require_owned
from converge.postgres.target import Target

_SHOWN = 50


def check_plan(plan: Plan, *, expected_digest: str) -> None:
    """What the plan says must be settled first. Raises BlockedError."""
    if plan.blocks:
        raise blocked(plan.blocks)
    if expected_digest and expected_digest != plan.digest:
        raise BlockedError(
            "the source, the maps, the options or the target have changed since the plan was written",
            code=Code.P005,
            hint="converge plan -o plan.json, and review it again",
        )


def check_target(
    target: psycopg.Connection[Any],
    facts: Target,
    inputs: Inputs,
    *,
    clears: bool,
    approve: Approve | None,
) -> None:
    """What can be said before the data is looked at: privileges, and what exists. Raises BlockedError.

    `approve` may refuse what `clears` removes.
    """
    if any(finding.code == OCCUPIED for finding in inputs.lacking):
        require_free(target)  # the tables may be those of a run that is at work
    require_rights(inputs.lacking)
    loading = inputs.evidence.existing is not None
    if loading and clears:
        require_locks(target, inputs.schema, target_tables(inputs))
    if not loading and inputs.may_hold_rows:
        require_owned(facts, own_names(inputs))
    if clears and approve is not None:
        require_free(target)
        tables = loaded_tables(inputs) if loading else target_tables(inputs)
        if held := rows_held(target, facts, tables):
            approve(Removal("empty" if loading else "drop", str(inputs.target), held))


def check_source(_target: psycopg.Connection[Any], _facts: Target, inputs: Inputs) -> None:
    """What a comparison needs of the source. Raises BlockedError."""
    require_rights([finding for finding in inputs.lacking if finding.code == Code.S004])


def require_rights(lacking: Sequence[Finding]) -> None:
    """Raises BlockedError with all that either side lacks, and every statement that gives it."""
    if not lacking:
        return
    codes = {one.code for one in lacking}
    hints = dict.fromkeys(one.hint for one in lacking)
    if len(lacking) == 1:
        raise BlockedError(_said(lacking[0]), code=lacking[0].code, hint=lacking[0].hint)
    raise BlockedError(
        f"{len(lacking)} things are missing for a run; nothing was written",
        code=codes.pop() if len(codes) == 1 else Code.P000,
        details=[f"{one.code} {_said(one)}" for one in lacking],
        hint="\n".join(hints),
    )


def _said(finding: Finding) -> str:
    where = "" if finding.object in ("source", "target") else f"{finding.object}: "
    return f"{where}{finding.message}" + (f" ({finding.evidence})" if finding.evidence else "")


def blocked(findings: Sequence[Finding]) -> BlockedError:
    """One finding as itself; several as a list with the first one's fix."""
    first = findings[0]
    if len(findings) == 1:
        details = [first.evidence] if first.evidence else []
        return BlockedError(
            f"{first.object}: {first.message}", code=first.code, details=details, hint=first.hint
        )
    return BlockedError(
        f"{len(findings)} findings must be settled before anything is written",
        code=Code.P000,
        details=[
            f"{one.code} {one.object}: {one.message}" + (f" ({one.evidence})" if one.evidence else "")
            for one in findings[:_SHOWN]
        ],
        hint=f"for the first of them, in a file for --map:\n{first.hint}" if first.hint else "converge plan",
    )
