"""What can stop a run before anything is written, and what --recreate and --truncate remove first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError, first_of
from converge.model.finding import OCCUPIED, Finding
from converge.model.plan import Plan, made_names
from converge.model.quote import pg_name
from converge.model.recovery import Approve, Removal
from converge.model.words import counted
from converge.planner.inputs import Inputs
from converge.planner.plan import cleared_tables, own_names
from converge.planner.rehearsal import changes
from converge.postgres.following import cut_over_at, require_not_cut_over
from converge.postgres.lock import require_free
from converge.postgres.privileges import require_locks, require_owned
from converge.postgres.query import rows
from converge.postgres.target import Target

_SHOWN = 50
_PLACE = ", in a file for --map"
"""Where an entry of a map goes; other hints are statements or words."""
MOST_CHANGES = 20
"""Lines of an error about what has changed in a plan."""


def check_plan(plan: Plan, *, expected: Plan | None = None) -> None:
    """What the plan says must be settled first. Raises BlockedError, also for another than expected."""
    if plan.blocks:
        raise blocked(plan.blocks)
    if expected is not None and expected.digest != plan.digest:
        options = {"mode": (expected.mode, plan.mode), "schema": (expected.schema, plan.schema)}
        other = [f"{name}: {was} → {now}" for name, (was, now) in options.items() if was != now]
        raise BlockedError(
            "the source, the maps, the options or the target have changed since the plan was written",
            code=Code.P005,
            details=first_of([*other, *changes(expected, plan)], MOST_CHANGES),
            hint="converge plan -o plan.json, with the options of this run, and review it again",
        )


def check_target(
    target: psycopg.Connection[Any],
    facts: Target,
    inputs: Inputs,
    *,
    clears: bool,
    resumed: int | None,
    approve: Approve | None,
) -> None:
    """What can be said before the data is looked at: privileges, and what exists. Raises BlockedError.

    `approve` may refuse what `clears` removes; `resumed` is the run that goes on.
    """
    if any(finding.code == OCCUPIED for finding in inputs.lacking):
        require_free(target)  # the tables may be those of a run that is at work
    require_privileges(inputs.lacking)
    there = [name for name in own_names(inputs) if name in facts.names]
    if not clears:
        require_not_cut_over(target, inputs.schema, there, resumed)
    loading = inputs.evidence.existing is not None
    if loading and clears:
        require_locks(target, inputs.schema, cleared_tables(inputs))
    if not loading and inputs.may_hold_rows:
        require_owned(facts, own_names(inputs))
    if clears:
        require_free(target)  # what another run makes is not for us to remove
    if clears and approve is not None and (held := rows_held(target, facts, cleared_tables(inputs))):
        since = cut_over_at(target, inputs.schema, there) or ""
        approve(Removal("empty" if loading else "drop", str(inputs.target), held, since))


def check_source(_target: psycopg.Connection[Any], _facts: Target, inputs: Inputs) -> None:
    """What a comparison needs of the source. Raises BlockedError."""
    require_privileges([finding for finding in inputs.lacking if finding.code == Code.S004])


def require_privileges(lacking: Sequence[Finding]) -> None:
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
        f"{counted(len(findings), 'finding')} must be resolved before anything is written",
        code=Code.P000,
        details=[
            f"{one.code} {one.object}: {one.message}" + (f" ({one.evidence})" if one.evidence else "")
            for one in findings[:_SHOWN]
        ],
        hint=f"for the first of them{_PLACE * first.hint.startswith('[[')}:\n{first.hint}"
        if first.hint
        else "converge plan",
    )


_DEPENDED = "has objects that depend on what --recreate drops, which it never does with CASCADE"
_MAKE_AGAIN = (
    "drop them first and make them again afterwards (a hook does so), or --schema NAME loads beside all of it"
)
_DROPPED = ("VIEW", "TABLE", "SEQUENCE", "TYPE", "FUNCTION")


def rows_held(
    target: psycopg.Connection[Any], facts: Target, tables: Sequence[str]
) -> tuple[tuple[str, int], ...]:
    """Those of the tables that exist, with their rows."""
    existing = [pg_name(facts.schema, table) for table in tables if table in facts.names]
    counts = (target.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in existing)
    return tuple((name, row[0]) for name, row in zip(existing, counts, strict=True) if row)


def empty(target: psycopg.Connection[Any], plan: Plan) -> None:
    """--truncate in load mode: removes the rows of all loaded tables at once, but for those that are merged.

    Their foreign keys, and those to them, go first, and triggers are switched off, as the plan says.
    """
    names = [pg_name(plan.schema, table.target) for table in plan.tables if table.rows != "merge"]
    with target.transaction():
        for statement in plan.statements:
            if statement.phase == "shared":
                target.execute(statement.sql.encode())
        if names:
            target.execute(f"TRUNCATE {', '.join(names)}".encode())


def drop(target: psycopg.Connection[Any], plan: Plan) -> None:
    """--recreate: removes what the plan makes, and nothing that depends on it.

    All or nothing, unless the server has not as many locks as that takes: then one by one, and after an
    error the same command goes on with what is left. Raises BlockedError for what depends on it.
    """
    drops = _drops(target, plan)
    with _dependents_named():
        try:
            with target.transaction():
                for kind, names in drops.items():
                    _drop(target, kind, names)
        except psycopg.errors.OutOfMemory:
            _drop_foreign_keys(target, drops["TABLE"])
            for kind, names in drops.items():
                for name in names:
                    _drop(target, kind, [name])


def drop_left_over(
    target: psycopg.Connection[Any], plan: Plan, left_over: Sequence[tuple[str, str, str]]
) -> None:
    """Drops what is left of an earlier run whose tables were dropped by hand, where its name is needed."""
    made = made_names(plan.statements)
    with target.transaction():
        for kind, name, _ in left_over:
            if name in made:
                _drop(target, kind, [name])


def dependents(target: psycopg.Connection[Any], plan: Plan) -> Iterator[Finding]:
    """What `drop` would be refused for: objects that no plan makes, and that depend on what it drops."""
    drops = _drops(target, plan)
    relations = [*drops["TABLE"], *drops["VIEW"], *drops["SEQUENCE"]]
    found = rows(target, "dependents", relations=relations, types=drops["TYPE"], functions=drops["FUNCTION"])
    if found:
        listed = "; ".join(first_of([f"{other} depends on {on}" for other, on in found], _SHOWN))
        yield Finding(Code.T028, "block", "target", _DEPENDED, _MAKE_AGAIN, evidence=listed)


def _drops(target: psycopg.Connection[Any], plan: Plan) -> dict[str, list[str]]:
    """What the plan makes, by its kind, in the order in which it can go.

    A table's index or sequence that has the name of something new goes with its table.
    """
    made = [statement.makes.partition(" ") for statement in reversed(plan.statements) if statement.makes]
    query = (
        "SELECT name FROM unnest(%s::text[]) name JOIN pg_class c ON c.oid = to_regclass(name) "
        "JOIN pg_depend d ON (d.classid, d.objid) = ('pg_class'::regclass, c.oid) "
        "WHERE c.relkind IN ('i', 'I', 'S') AND d.deptype IN ('a', 'i')"
    )
    relations = [name for word, _, name in made if word in ("VIEW", "TABLE", "SEQUENCE")]
    parts = {name for (name,) in target.execute(query, (relations,))}
    return {kind: [name for word, _, name in made if word == kind and name not in parts] for kind in _DROPPED}


@contextmanager
def _dependents_named() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.DependentObjectsStillExist as error:
        raise BlockedError(
            f"the target {_DEPENDED}",
            code=Code.T028,
            details=(error.diag.message_detail or "").splitlines(),
            hint=_MAKE_AGAIN,
        ) from error


def _drop(target: psycopg.Connection[Any], kind: str, names: Sequence[str]) -> None:
    if names:
        target.execute(f"DROP {kind} IF EXISTS {', '.join(names)}".encode())


def _drop_foreign_keys(target: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    """Drop the foreign keys of these tables first, so that the tables can be dropped in any order."""
    keys = target.execute(
        "SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', c.conrelid::regclass, c.conname) "
        "FROM unnest(%s::text[]) name JOIN pg_constraint c ON c.conrelid = to_regclass(name) "
        "WHERE c.contype = 'f'",
        (list(tables),),
    ).fetchall()
    for (statement,) in keys:
        target.execute(statement.encode())
