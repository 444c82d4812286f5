"""What is done on each version, one small function a step. A step returns what came of it in words.

A step that raises a ConvergeError is red, and those after it are not run. A new step is a function here and
its entry in `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from converge.codes import Code
from converge.errors import ConvergeError, TargetError
from converge.model.check import CheckResult
from converge.model.event import silent
from converge.model.plan import count_losses
from converge.model.result import Result
from converge.pipeline.doctor import diagnose
from converge.pipeline.matrix import revisions
from converge.pipeline.matrix.equal import require_equal
from converge.pipeline.matrix.wish import Site, Wish
from converge.postgres.connect import connect
from converge.postgres.existing import shape_now
from converge.postgres.script import run_script
from converge.run.attempt import Job, MigrateOptions
from converge.run.blockers import blocked
from converge.run.migrate import migrate as run_migrate
from converge.run.migrate import planned
from converge.run.verify import verify as run_verify
from converge.sandbox.dump_text import Joined, decompressed

_AS_PSQL = '"$user", public'


@dataclass(frozen=True, slots=True)
class Work:
    """A step before it is done."""

    name: str
    do: Callable[[Site], str]


_OF_REVISIONS = (
    Work("upgrade", revisions.upgrade),
    Work("drift", revisions.drift),
    Work("downgrade", revisions.downgrade),
)


def steps(wish: Wish) -> tuple[Work, ...]:
    """What there is to do on each version, in its order."""
    return (
        *([Work("schema", schema)] if wish.scripts else ()),
        Work("compatibility", compatibility),
        Work("plan", plan),
        Work("migrate", migrate),
        Work("verify", verify),
        Work("checks", checks),
        *(_OF_REVISIONS if wish.alembic else ()),
    )


def schema(site: Site) -> str:
    """The application's own tables, as its scripts make them."""
    count, passed_over = 0, list[str]()
    with closing(connect(site.target, search_path=_AS_PSQL)) as connection:
        for script in site.wish.scripts:
            with decompressed(script.name, Joined((script,)), of_mysql=False) as lines:
                done, over = run_script(connection, lines, script.name)
            count += done
            passed_over += over
    words = f"{count:,} statements"
    return f"{words}; not known to this version: {', '.join(passed_over)}" if passed_over else words


def compatibility(site: Site) -> str:
    """What `doctor` says of this server: what its version lacks, settings that hurt, room, extensions."""
    findings = diagnose(site.wish.source, site.target, site.wish.options).findings
    if blocks := [one for one in findings if one.severity == "block"]:
        raise blocked(blocks)
    return ", ".join(sorted({f"{one.severity} {one.code}" for one in findings})) or "nothing in the way"


def plan(site: Site) -> str:
    """What would become of everything; the run must then come to the same digest."""
    result = Result("migrate", str(site.wish.source), str(site.target))
    job = Job(site.wish.source, site.target, MigrateOptions(site.wish.options), silent, result)
    with planned(job) as prepared:
        site.plan, site.known = prepared.plan, prepared.inputs.evidence
    plan = site.plan
    missing = f"{len(plan.not_migrated):,} not migrated, {count_losses(plan.findings):,} losses"
    return f"{len(plan.tables):,} tables, {missing}"


def migrate(site: Site) -> str:
    """The whole run, with its own comparison."""
    assert site.plan is not None
    options = MigrateOptions(
        site.wish.options, expected_digest=site.plan.digest, known=site.known, thrown_away=True
    )
    result = Result("migrate", str(site.wish.source), str(site.target))
    run_migrate(site.wish.source, site.target, options, silent, result)
    with closing(connect(site.target)) as connection:
        site.catalog = shape_now(connection, site.wish.options.schema)
    require_equal(result)
    return f"{sum(one.rows_written or 0 for one in result.tables):,} rows, snapshot {result.snapshot}"


def verify(site: Site) -> str:
    """Every row and every column of both sides once more."""
    result = run_verify(site.wish.source, site.target, site.wish.options, "full", silent)
    require_equal(result)
    site.compared = result
    return f"{sum(one.rows_target or 0 for one in result.tables):,} rows equal"


def checks(site: Site) -> str:
    """What the maps want to be true; the comparison has asked already."""
    assert site.compared is not None
    asked = site.compared.checks
    if failed := [one for one in asked if one.failed]:
        raise _failed(failed)
    if not asked:
        return "the maps declare none"
    over = sum(one.state == "passed over" for one in asked)
    return f"{len(asked) - over:,} hold" + (f", {over:,} passed over" if over else "")


def _failed(failed: Sequence[CheckResult]) -> ConvergeError:
    return TargetError(
        str(failed[0]) if len(failed) == 1 else f"{len(failed):,} checks do not hold",
        code=Code.C001 if failed[0].state == "differs" else Code.C002,
        details=[one.place if len(failed) == 1 else f"{one.place}: {one}" for one in failed],
        hint=failed[0].why or None,
    )
