"""What is done on each version, one small function a step. A step returns what came of it in words.

A step that raises a ConvergeError is red, and those after it are not run. A new step is a function here and
its entry in `steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from converge.codes import Code
from converge.errors import ConvergeError, TargetError
from converge.matrix.request import Request, Site
from converge.matrix.result import Content
from converge.model.check import CheckResult
from converge.model.definitions import Differs
from converge.model.event import silent
from converge.model.plan import count_losses
from converge.model.result import Result
from converge.model.revision import Revision
from converge.planner.difference import compared
from converge.postgres.affected import digests, read_images
from converge.postgres.catalog import shape_now
from converge.postgres.connect import connect
from converge.postgres.script import run_script
from converge.revisions import commands
from converge.revisions import drift as drifting
from converge.revisions.drift import definitions
from converge.revisions.environment import applied
from converge.revisions.folder import Folder
from converge.run.attempt import Job, MigrateOptions
from converge.run.blockers import blocked
from converge.run.doctor import diagnose
from converge.run.migrate import migrate as run_migrate
from converge.run.migrate import planned
from converge.run.verify import verify as run_verify
from converge.sandbox.dump_text import Joined, decompressed

_AS_PSQL = '"$user", public'
_BASE = "base"
_SHOWN = 20


Do = Callable[[Site], str]


def steps(request: Request) -> tuple[Do, ...]:
    """What there is to do on each version, in its order; a step is named by its function."""
    return (
        *((schema,) if request.scripts else ()),
        *(compatibility, plan, migrate, verify, checks),
        *((upgrade, drift, downgrade) if request.alembic else ()),
    )


def schema(site: Site) -> str:
    """The application's own tables, as its scripts make them."""
    count, passed_over = 0, list[str]()
    with closing(connect(site.target, search_path=_AS_PSQL)) as connection:
        for script in site.request.scripts:
            with decompressed(script.name, Joined((script,)), of_mysql=False) as lines:
                done, over = run_script(connection, lines, script.name)
            count += done
            passed_over += over
    words = f"{count:,} statements"
    return f"{words}; not known to this version: {', '.join(passed_over)}" if passed_over else words


def compatibility(site: Site) -> str:
    """What `doctor` says of this server: what its version lacks, settings that hurt, room, extensions."""
    findings = diagnose(site.request.source, site.target, site.request.options).findings
    if blocks := [one for one in findings if one.severity == "block"]:
        raise blocked(blocks)
    return ", ".join(sorted({f"{one.severity} {one.code}" for one in findings})) or "nothing in the way"


def plan(site: Site) -> str:
    """What would become of everything; the run must then come to the same digest."""
    result = Result("migrate", str(site.request.source), str(site.target))
    job = Job(site.request.source, site.target, MigrateOptions(site.request.options), silent, result)
    with planned(job) as prepared:
        site.plan, site.known = prepared.plan, prepared.inputs.evidence
    plan = site.plan
    missing = f"{len(plan.not_migrated):,} not migrated, {count_losses(plan.findings):,} losses"
    return f"{len(plan.tables):,} tables, {missing}"


def migrate(site: Site) -> str:
    """The whole run, with its own comparison."""
    assert site.plan is not None
    options = MigrateOptions(
        site.request.options, expected_digest=site.plan.digest, known=site.known, thrown_away=True
    )
    result = Result("migrate", str(site.request.source), str(site.target))
    run_migrate(site.request.source, site.target, options, silent, result)
    with closing(connect(site.target)) as connection:
        site.catalog = shape_now(connection, site.request.options.schema)
    _require_equal(result)
    return f"{sum(one.rows_written or 0 for one in result.tables):,} rows, snapshot {result.snapshot}"


def verify(site: Site) -> str:
    """Every row and every column of both sides once more."""
    result = run_verify(site.request.source, site.target, site.request.options, "full", silent)
    _require_equal(result)
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


def _require_equal(result: Result) -> None:
    """Raises TargetError for tables that are not as in the source; the checks have a step of their own."""
    wrong = [one.source for one in result.tables if not one.verified]
    if wrong:
        raise TargetError(
            f"{len(wrong):,} of {len(result.tables):,} tables differ from the source: {', '.join(wrong)}",
            code=Code.X026,
            details=[str(one) for one in result.differences[:_SHOWN]],
        )


def upgrade(site: Site) -> str:
    """All that is pending. What may lose rows may do so here: the database is thrown away."""
    folder = _folder(site)
    everything = [one.id for one in folder.revisions]
    site.version_table = applied(folder, site.target).table
    site.before = definitions(site.target, site.request.options.schema, site.version_table[1])
    done = commands.run(folder, site.target, "head", everything, silent)
    site.stamped, site.ran = done.stamped, done.ran
    site.revised = _contents(site)
    words = [f"baseline {one} is here" for one in done.stamped]
    return ", ".join([*words, f"{', '.join(done.ran) or 'nothing'} run"])


def drift(site: Site) -> str:
    """Whether the load and the revisions together made what the revisions alone make."""
    differs = drifting.drift(_folder(site), site.target, site.request.options.schema, silent)
    _require_none(differs, Code.X028, "are not what the revisions make of an empty database")
    return "the schema is what the revisions make"


def downgrade(site: Site) -> str:
    """Back to what the load made: the catalog, and where the revisions promise it the rows."""
    folder = _folder(site)
    ran = [folder.revision(one) for one in site.ran]
    if none := _promising(ran, "nothing"):
        return f"not tried: {none[0].id} promises to restore nothing"
    if not ran:
        return "nothing was run"
    everything = [one.id for one in folder.revisions]
    back_to = next(iter(site.stamped), _BASE)
    commands.revert(folder, site.target, back_to, everything, silent)
    after = definitions(site.target, site.request.options.schema, site.version_table[1])
    assert site.before is not None
    _require_none(compared(site.before, after), Code.X029, "are not what they were before the upgrade")
    if _promising(ran, "catalog"):
        return "the catalog is as it was before"
    _require_equal(run_verify(site.request.source, site.target, site.request.options, "full", silent))
    return "catalog and rows are as they were before"


def _contents(site: Site) -> dict[str, Content]:
    """Of all tables as they are now, by the texts of their values."""
    with closing(connect(site.target)) as connection:
        found = digests(connection, read_images(connection, *site.version_table))
    return {name: Content(rows, f"{digest:x}") for name, (rows, digest) in found.items()}


def _folder(site: Site) -> Folder:
    """A new view of the files for each step, as a command has it."""
    return Folder.open(site.request.alembic)


def _promising(revisions: Sequence[Revision], what: str) -> list[Revision]:
    return [one for one in revisions if one.restores == what]


def _require_none(differs: Sequence[Differs], code: Code, words: str) -> None:
    """Raises TargetError that names the objects, with both definitions."""
    if not differs:
        return
    details = []
    for one in differs[:_SHOWN]:
        details += [one.object, f"  wanted  {one.before or 'nothing'}", f"  found   {one.after or 'nothing'}"]
    names = ", ".join(one.object for one in differs[:_SHOWN])
    raise TargetError(f"{len(differs):,} objects {words}: {names}", code=code, details=details)
