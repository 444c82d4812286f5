"""What can stop a run before anything is written, and what --truncate removes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.errors import BlockedError
from converge.model.plan import Finding, Plan
from converge.planner.inputs import Inputs, own_names, target_tables
from converge.postgres.ledger import last_run
from converge.postgres.rights import require_owned
from converge.postgres.target import Target, require_empty

_SHOWN = 50


def check_plan(plan: Plan, *, expected_digest: str) -> None:
    """What the plan says must be settled first. Raises BlockedError."""
    if plan.blocks:
        raise _blocked(plan.blocks)
    if expected_digest and expected_digest != plan.digest:
        raise BlockedError(
            "the source, the maps, the options or the target have changed since the plan was written",
            code="P005",
            hint="converge plan -o plan.json, and review it again",
        )


def check_target(target: psycopg.Connection[Any], facts: Target, inputs: Inputs, *, may_exist: bool) -> None:
    """What can be said before the data is looked at: rights, and what is there. Raises BlockedError."""
    if inputs.lacking:
        raise _lacking(inputs.lacking)
    if may_exist:
        require_owned(facts, own_names(inputs))
        return
    try:
        require_empty(target, facts, target_tables(inputs))
    except BlockedError as error:
        run = last_run(target)
        if run and run["source"] == inputs.source and run["state"] not in ("finished", "running"):
            error.hint = f"--resume goes on with the interrupted run {run['id']}; {error.hint}"
        raise


def check_source(_target: psycopg.Connection[Any], _facts: Target, inputs: Inputs) -> None:
    """What a comparison needs of the source. Raises BlockedError."""
    if unread := [finding for finding in inputs.lacking if finding.code == "S004"]:
        raise _lacking(unread)


def _lacking(findings: Sequence[Finding]) -> BlockedError:
    """All that either side lacks, with every statement that gives it."""
    codes = {one.code for one in findings}
    hints = dict.fromkeys(one.hint for one in findings)
    if len(findings) == 1:
        return BlockedError(_said(findings[0]), code=findings[0].code, hint=findings[0].hint)
    return BlockedError(
        f"{len(findings)} things are missing for a run; nothing was written",
        code=codes.pop() if len(codes) == 1 else "P000",
        details=[f"{one.code} {_said(one)}" for one in findings],
        hint="\n".join(hints),
    )


def _said(finding: Finding) -> str:
    where = "" if finding.object in ("source", "target") else f"{finding.object}: "
    return f"{where}{finding.message}" + (f" ({finding.evidence})" if finding.evidence else "")


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
