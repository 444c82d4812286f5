"""What the plan asks of a server that its version does not have: found before anything is written."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

from converge.codes import Code
from converge.model.check import Check
from converge.model.plan import Finding, Statement, TablePlan
from converge.postgres.capabilities import Capability, lacking_for


def lacking_features(
    version: str,
    functions: Container[str],
    tables: Iterable[TablePlan],
    statements: Iterable[Statement],
) -> Iterator[Finding]:
    """Each feature once an object: a column's, else the statement's.

    What is optional is left to the trial on the target. `functions` are known ones that the target has.
    """
    found: set[tuple[str, str]] = set()
    for table in tables:
        for column in table.columns:
            sql = f"{column.default or ''} {column.generated or ''} {column.target_type}"
            for what, one in lacking_for(sql, version, functions):
                found.add((table.source, what))
                yield _finding(what, one, version, f"{table.source}.{column.source}")
    for statement in statements:
        for what, one in () if statement.optional else lacking_for(statement.sql, version, functions):
            if (statement.object, what) not in found:
                found.add((statement.object, what))
                yield _finding(what, one, version, statement.object)


def refused_checks(
    version: str, functions: Container[str], checks: Iterable[Check], refused: Mapping[str, str]
) -> Iterator[Finding]:
    """Features that the queries of maps ask for, and queries that the target refuses for another reason."""
    for check in checks:
        newer = list(lacking_for(check.target, version, functions))
        for what, one in newer:
            yield _finding(f"the check {check.name!r} asks for {what}", one, version, check.place)
        if not newer and check.place in refused:
            message = f"the target, PostgreSQL {version}, refuses the query of {check.name!r}"
            why = refused[check.place]
            hint = "a query that every version of the target understands, in the map's target = …"
            yield Finding(Code.T044, "block", check.place, f"{message}: {why}", hint)


def _finding(what: str, one: Capability, version: str, object_: str) -> Finding:
    return Finding(
        Code.T040,
        "block",
        object_,
        f"{what}, which PostgreSQL has from {one.since} on; the target runs {version}",
        f"{one.instead}; or a target of PostgreSQL {one.since} or newer",
    )
