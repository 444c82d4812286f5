"""What can stop a run before anything is written, and what --truncate removes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg

from converge.errors import BlockedError
from converge.model.plan import Finding, Plan
from converge.planner.inputs import Inputs, own_names, target_tables
from converge.postgres.history import last_run
from converge.postgres.rights import require_owned
from converge.postgres.target import Target, require_empty

_SHOWN = 50
_DROPPED = ("VIEW", "TABLE", "TYPE", "FUNCTION", "COLLATION")


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
        raise lacking(inputs.lacking)
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
        raise lacking(unread)


def lacking(findings: Sequence[Finding]) -> BlockedError:
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
    """--truncate: removes what the plan makes, and nothing that depends on it.

    All or nothing, unless the server has not as many locks as that takes: then in parts, and after an error
    the same command goes on with what is left.
    """
    made = [statement.makes.partition(" ") for statement in reversed(plan.statements) if statement.makes]
    drops = [(kind, [name for word, _, name in made if word == kind]) for kind in _DROPPED]
    try:
        with target.transaction():
            for kind, names in drops:
                _drop(target, kind, names)
    except psycopg.errors.OutOfMemory:
        _drop_foreign_keys(target, dict(drops)["TABLE"])
        for kind, names in drops:
            _drop_in_parts(target, kind, names)


def _drop(target: psycopg.Connection[Any], kind: str, names: Sequence[str]) -> None:
    if names:
        target.execute(f"DROP {kind} IF EXISTS {', '.join(names)}".encode())


def _drop_in_parts(target: psycopg.Connection[Any], kind: str, names: Sequence[str]) -> None:
    """As many at once as the server has locks for: a table takes several, of which it has some thousands."""
    try:
        _drop(target, kind, names)
    except psycopg.errors.OutOfMemory:
        if len(names) == 1:
            raise
        half = len(names) // 2
        _drop_in_parts(target, kind, names[:half])
        _drop_in_parts(target, kind, names[half:])


def _drop_foreign_keys(target: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    """Or a table could not go before those that refer to it."""
    keys = target.execute(
        "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', c.conrelid::regclass, c.conname) "
        "FROM unnest(%s::text[]) name JOIN pg_constraint c ON c.conrelid = to_regclass(name) "
        "WHERE c.contype = 'f'",
        (list(tables),),
    ).fetchall()
    for (statement,) in keys:
        target.execute(statement.encode())
