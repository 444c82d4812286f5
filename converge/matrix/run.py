"""All cells of a matrix, one after the other: so their times can be compared, and a stop ends all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from converge import sandbox
from converge.errors import ConvergeError
from converge.mapping.read import load
from converge.matrix.compare import compared, decisions
from converge.matrix.request import Request, Site, Wanted
from converge.matrix.result import Cell, Content, Matrix, Step
from converge.matrix.steps import steps
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Said, Sink
from converge.model.plan import Finding
from converge.mysql.connect import WatchedConnection
from converge.mysql.connect import connect as connect_source
from converge.mysql.facts import table_names
from converge.mysql.privileges import missing_select, read_privileges
from converge.planner.inputs import require_matches
from converge.postgres.connect import connect
from converge.postgres.shadow import shadow
from converge.run.connections import attempt, explained

T = TypeVar("T")

_START, _END = "start", "drop"
_MAINTENANCE = "postgres"


def run_matrix(request: Request, wanted: Sequence[Wanted]) -> Matrix:
    """Does every step on every version. What is red is in the result, and nothing is raised for it.

    Raises UsageError for maps and tables that are not there, SourceError when the source cannot be reached.
    """
    load(request.options.maps)
    began, now = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    with explained(request.source, None), connect_source(request.source) as source:
        version = str(vars(source)["server_version"])
        _require_tables(source, request)
    with _servers(wanted, request.emit) as there:
        cells = [_Run(request, server).cell() for server in there]
    return compared(Matrix(str(request.source), version, now, time.monotonic() - began, tuple(cells)))


def _require_tables(source: WatchedConnection, request: Request) -> None:
    """Raises UsageError for --include and --exclude of no table; what may not be seen is a step's to say."""
    selection, own = request.options.selection, read_privileges(source, request.source.database)
    names = table_names(source, request.source.database)
    if not missing_select(own, names, selection.names):
        require_matches(selection, names)


class _Run:
    """One version's steps, up to the first that is red."""

    def __init__(self, request: Request, server: _Server) -> None:
        self._request = request
        self._server = server
        self._steps: list[Step] = []
        self._version = ""
        self._site: Site | None = None

    def cell(self) -> Cell:
        """Does them; the database is dropped in the end."""
        with ExitStack() as stack:
            green = self._do(_START, lambda: self._open(stack), self._server.seconds)
            for step in steps(self._request):
                if not green:
                    self._steps.append(Step(step.__name__, "not run"))
                    continue
                assert self._site is not None
                green = self._do(step.__name__, partial(step, self._site))
            self._close(stack, green)
        return self._found()

    def _open(self, stack: ExitStack) -> str:
        """An empty database of the server."""
        if self._server.endpoint is None:
            assert self._server.error is not None
            raise self._server.error
        target = stack.enter_context(shadow(self._server.endpoint))
        with closing(connect(target)) as connection:
            self._version = (connection.info.parameter_status("server_version") or "").split()[0]
        self._site = Site(self._request, target)
        return f"PostgreSQL {self._version}, {self._server.provider}"

    def _close(self, stack: ExitStack, green: bool) -> None:
        """A server that is gone has said so in a step already."""
        _, error = attempt(lambda: self._explained(stack.close))
        if green and error is not None:
            self._steps.append(Step(_END, "red", 0.0, "", _reason(_END, error)))

    def _do(self, name: str, action: Callable[[], str], before: float = 0.0) -> bool:
        """Whether the step is green. `before` are its seconds until now."""
        started = time.monotonic()
        words, error = attempt(lambda: self._explained(action))
        took = before + time.monotonic() - started
        reason = None if error is None else _reason(name, error)
        step = Step(name, "red" if reason else "green", took, words or "", reason)
        self._steps.append(step)
        said = f"{reason.code} {reason.message}" if reason else step.words
        self._request.emit(Said(f"{self._server.name} {name} {step.state} {took:.1f} s: {said}"))
        return reason is None

    def _explained(self, action: Callable[[], T]) -> T:
        with explained(self._request.source, self._server.endpoint):
            return action()

    def _found(self) -> Cell:
        site = self._site
        compared = site.compared if site else None
        tables = compared.tables if compared else ()
        return Cell(
            self._server.name,
            self._version,
            self._server.provider,
            tuple(self._steps),
            {one.source: Content(one.rows_target or 0, one.digest) for one in tables},
            tuple(compared.checks) if compared else (),
            site.revised if site else {},
            site.catalog if site else {},
            decisions(site.plan) if site and site.plan else {},
        )


def _reason(step: str, error: ConvergeError) -> Finding:
    return Finding(
        error.code, "block", step, error.message, error.hint or "", evidence="\n".join(error.details)
    )


@dataclass(frozen=True, slots=True)
class _Server:
    """One that answers, or why it does not."""

    name: str
    endpoint: Endpoint | None
    """A database from which others can be made."""
    provider: str
    seconds: float
    error: ConvergeError | None = None


@contextmanager
def _servers(wanted: Sequence[Wanted], emit: Sink) -> Iterator[tuple[_Server, ...]]:
    """All that are wanted, in their order; one that cannot be had does not keep the others away."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
            stacks = [stack.enter_context(ExitStack()) for _ in wanted]
            found = tuple(pool.map(lambda one, own: _server(one, own, emit), wanted, stacks))
        yield found


def _server(wanted: Wanted, stack: ExitStack, emit: Sink) -> _Server:
    if wanted.endpoint is not None:
        return _Server(wanted.name, wanted.endpoint, "URL", 0.0)
    started = time.monotonic()

    def say(text: str) -> None:
        emit(Said(text))

    start = sandbox.start(f"postgres:{wanted.name}", on_progress=say)
    found, error = attempt(lambda: stack.enter_context(start))
    took = time.monotonic() - started
    if found is None:
        return _Server(wanted.name, None, "", took, error)
    (server,) = found
    return _Server(wanted.name, parse(server.database_url(_MAINTENANCE)), server.provider, took)
