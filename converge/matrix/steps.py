"""What is done on each version, a method a step. A step returns what came of it in words.

A step that raises a ConvergeError is red, and those after it are not run. A new step is a method here and
its entry in `all`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing

from converge.codes import Code
from converge.errors import ConvergeError, TargetError
from converge.matrix.request import Request
from converge.matrix.result import Cell, Content, uncompared, uncompared_words
from converge.model.definitions import Definitions, Differs
from converge.model.endpoint import Endpoint
from converge.model.event import silent
from converge.model.evidence import Evidence
from converge.model.finding import count_losses
from converge.model.result import OF_CHECKS, Result
from converge.model.words import counted, said
from converge.planner.difference import compared
from converge.postgres.affected import digests, read_images
from converge.postgres.catalog import shape_now
from converge.postgres.connect import connect
from converge.postgres.script import run_script
from converge.postgres.shadow import shadow
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


class Untried(str):
    """The words of a step that had nothing to try."""


class Steps:
    """The steps of one cell on an empty database, and what they leave to each other."""

    def __init__(self, request: Request, cell: Cell, stack: ExitStack, refusal: ConvergeError | None) -> None:
        """The database is dropped with the stack; `refusal` says why the cell has no server."""
        self._request = request
        self._options = request.options
        self._cell = cell
        self._stack = stack
        self._refusal = refusal
        self._made: Endpoint | None = None
        self._known: Evidence | None = None  # what the plan has seen of the data
        self._before: Definitions | None = None  # the schema as the load left it, before the user's revisions
        self._version_table = ("", "")
        self._stamped: tuple[str, ...] = ()
        self._ran: tuple[str, ...] = ()

    def all(self) -> tuple[Callable[[], str], ...]:
        """What there is to do, in its order; a step is named by its method."""
        return (
            self.start,
            *((self.schema,) if self._request.scripts else ()),
            *(self.compatibility, self.plan, self.migrate, self.verify, self.checks),
            *((self.upgrade, self.drift, self.downgrade) if self._request.alembic else ()),
        )

    def start(self) -> str:
        """An empty database of the server."""
        if self._cell.endpoint is None:
            assert self._refusal is not None
            raise self._refusal
        self._made = self._stack.enter_context(shadow(self._cell.endpoint))
        with closing(connect(self._made)) as connection:
            self._cell.version = (connection.info.parameter_status("server_version") or "").split()[0]
        return f"PostgreSQL {self._cell.version}, {self._cell.provider}"

    def schema(self) -> str:
        """The application's own tables, as its scripts make them."""
        count, passed_over = 0, list[str]()
        with closing(connect(self._target, search_path=_AS_PSQL)) as connection:
            for script in self._request.scripts:
                with decompressed(script.name, Joined((script,)), of_mysql=False) as lines:
                    done, over = run_script(connection, lines, script.name)
                count += done
                passed_over += over
        words = counted(count, "statement")
        return f"{words}; not known to this version: {', '.join(passed_over)}" if passed_over else words

    def compatibility(self) -> str:
        """What `doctor` says of this server: what its version lacks, settings that hurt, room, extensions."""
        findings = diagnose(self._request.source, self._target, self._options).findings
        if blocks := [one for one in findings if one.severity == "block"]:
            raise blocked(blocks)
        return ", ".join(sorted({f"{one.severity} {one.code}" for one in findings})) or "nothing in the way"

    def plan(self) -> str:
        """What would become of everything; the run must then come to the same digest."""
        job = Job(self._request.source, self._target, MigrateOptions(self._options), silent, self._result())
        with planned(job) as prepared:
            plan, self._known = prepared.plan, prepared.inputs.evidence
        self._cell.plan = plan
        losses = counted(count_losses(plan.findings), "loss", "losses")
        missing = f"{len(plan.not_migrated):,} not migrated, {losses}"
        return f"{counted(len(plan.tables), 'table')}, {missing}"

    def migrate(self) -> str:
        """The whole run, with its own comparison."""
        assert self._cell.plan is not None
        plan = self._cell.plan
        options = MigrateOptions(self._options, expected=plan, known=self._known, thrown_away=True)
        result = self._result()
        run_migrate(self._request.source, self._target, options, silent, result)
        with closing(connect(self._target)) as connection:
            self._cell.catalog = shape_now(connection, self._options.schema)
        _require_equal(result)
        written = sum(one.rows_written or 0 for one in result.tables)
        skipped = uncompared_words(uncompared(result, plan))
        return ", ".join(filter(None, (counted(written, "row"), f"snapshot {result.snapshot}", skipped)))

    def verify(self) -> str:
        """Every row and every column of both sides once more."""
        self._cell.compared = result = self._compared()
        rows = f"{counted(sum(one.rows_target or 0 for one in result.tables), 'row')} equal"
        return ", ".join(filter(None, (rows, uncompared_words(self._cell.not_compared))))

    def checks(self) -> str:
        """What the maps want to be true; the comparison has asked already."""
        asked = self._cell.checks
        if failed := [one for one in asked if one.failed]:
            raise TargetError(
                str(failed[0]) if len(failed) == 1 else said(len(failed), "do not hold", "check"),
                code=Code.C001 if failed[0].state == "differs" else Code.C002,
                details=[one.place if len(failed) == 1 else f"{one.place}: {one}" for one in failed],
                hint=failed[0].why or None,
            )
        if not asked:
            return Untried("the maps declare none")
        over = sum(one.state == "skipped" for one in asked)
        words = f"{len(asked) - over:,} passed" + (f", {over:,} skipped" if over else "")
        return words if over < len(asked) else Untried(words)

    def upgrade(self) -> str:
        """All that is pending. What may lose rows may do so here: the database is thrown away."""
        folder = self._folder()
        everything = [one.id for one in folder.revisions]
        self._version_table = applied(folder, self._target).table
        self._before = self._definitions()
        done = commands.move(folder, self._target, "head", "up", everything, silent)
        self._stamped, self._ran = done.stamped, done.ran
        with closing(connect(self._target)) as connection:
            found = digests(connection, read_images(connection, *self._version_table))
        self._cell.revised = {name: Content(rows, f"{digest:x}") for name, (rows, digest) in found.items()}
        words = [f"baseline {one} is here" for one in done.stamped]
        return ", ".join([*words, f"{', '.join(done.ran) or 'nothing'} run"])

    def drift(self) -> str:
        """Whether the load and the revisions together made what the revisions alone make."""
        checked = drifting.drift(self._folder(), self._target, self._options.schema, silent)
        _require_none(checked.differs, Code.X028, "are not what the revisions make of an empty database")
        return "the schema is what the revisions make"

    def downgrade(self) -> str:
        """Back to what the load made: the catalog, and where the revisions promise it the rows."""
        folder = self._folder()
        ran = [folder.revision(one) for one in self._ran]
        if none := [one for one in ran if one.restores == "nothing"]:
            return Untried(f"not tried: {none[0].id} promises to restore nothing")
        if not ran:
            return Untried("nothing was run")
        everything = [one.id for one in folder.revisions]
        commands.move(folder, self._target, next(iter(self._stamped), _BASE), "down", everything, silent)
        assert self._before is not None
        differs = compared(self._before, self._definitions())
        _require_none(differs, Code.X029, "are not what they were before the upgrade")
        if any(one.restores == "catalog" for one in ran):
            return "the catalog is as it was before"
        self._compared()
        return "catalog and rows are as they were before"

    @property
    def _target(self) -> Endpoint:
        assert self._made is not None
        return self._made

    def _result(self) -> Result:
        return Result("migrate", str(self._request.source), str(self._target))

    def _compared(self) -> Result:
        result = run_verify(self._request.source, self._target, self._options, "full", silent)
        _require_equal(result)
        return result

    def _folder(self) -> Folder:
        """A new view of the files for each step, as a command has it."""
        return Folder.open(self._request.alembic)

    def _definitions(self) -> Definitions:
        return definitions(self._target, self._options.schema, self._version_table[1])


def _require_equal(result: Result) -> None:
    """Raises TargetError for what is not as in the source, or not as the run has made it.

    The checks have a step of their own.
    """
    wrong = [one.source for one in result.tables if not one.verified]
    if wrong:
        raise TargetError(
            said(
                len(wrong),
                f"differ from the source: {', '.join(wrong)}",
                "table",
                of=f"{len(result.tables):,}",
            ),
            code=Code.X026,
            details=[str(one) for one in result.differences[:_SHOWN]],
        )
    found = [one for one in result.findings if one.severity == "block" and one.code not in OF_CHECKS]
    others = [f"{one.kind} {one.name}" for one in result.views if one.state == "differs"]
    others += [one.object for one in found]
    if result.verdict == "differs" and others:
        details = [*map(str, result.differences), *(f"{one.object}: {one.message}" for one in found)]
        raise TargetError(
            said(
                len(others),
                f"differ from the source or from what the run made: {', '.join(others[:_SHOWN])}",
                "object",
            ),
            code=Code.X026,
            details=details[:_SHOWN],
        )


def _require_none(differs: Sequence[Differs], code: Code, words: str) -> None:
    """Raises TargetError that names the objects, with both definitions."""
    if not differs:
        return
    details = []
    for one in differs[:_SHOWN]:
        details += [one.object, f"  wanted  {one.before or 'nothing'}", f"  found   {one.after or 'nothing'}"]
    names = ", ".join(one.object for one in differs[:_SHOWN])
    raise TargetError(f"{said(len(differs), words, 'object')}: {names}", code=code, details=details)
