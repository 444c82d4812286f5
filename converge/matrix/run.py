"""All cells of a matrix, one after the other: so their times can be compared, and a stop ends all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from converge import sandbox
from converge.errors import ConvergeError
from converge.mapping.read import load
from converge.matrix.compare import compared
from converge.matrix.request import MAINTENANCE, Request
from converge.matrix.result import Cell, Matrix, State, Step
from converge.matrix.steps import Steps, Untried
from converge.model.endpoint import parse
from converge.model.event import Said, Sink
from converge.model.finding import Finding
from converge.model.words import utc_now
from converge.mysql.connect import WatchedConnection
from converge.mysql.connect import connect as connect_source
from converge.mysql.privileges import missing_select, read_privileges
from converge.mysql.snapshot import table_names
from converge.planner.inputs import require_matches
from converge.run.connections import explained, result_or_error

_Started = tuple[float, ConvergeError | None]
"""How long the start of a server took, and why there is none."""


def run_matrix(request: Request, cells: Sequence[Cell]) -> Matrix:
    """Does every step on every version. What is red is in the result, and nothing is raised for it.

    Raises UsageError for maps and tables that are not there, SourceError when the source cannot be reached.
    """
    load(request.options.maps)
    began, at = time.monotonic(), utc_now()
    with explained(request.source, None), connect_source(request.source) as source:
        version = str(vars(source)["server_version"])
        _require_tables(source, request)
    with _servers(cells, request.emit) as started:
        for cell, (seconds, error) in zip(cells, started, strict=True):
            _run(request, cell, seconds, error)
    return compared(Matrix(str(request.source), version, at, time.monotonic() - began, tuple(cells)))


def _require_tables(source: WatchedConnection, request: Request) -> None:
    """Raises UsageError for --include and --exclude of no table; what may not be seen is a step's to say."""
    selection, own = request.options.selection, read_privileges(source, request.source.database)
    names = table_names(source, request.source.database)
    if not missing_select(own, names, selection.names):
        require_matches(selection, names)


def _run(request: Request, cell: Cell, seconds: float, refusal: ConvergeError | None) -> None:
    """One version's steps, up to the first that is red; its database is dropped in the end.

    `seconds` are those that its server has taken to start, `refusal` is why it did not.
    """

    def tried(action: Callable[[], str | None]) -> tuple[str | None, ConvergeError | None]:
        def told() -> str | None:
            with explained(request.source, cell.endpoint):
                return action()

        return result_or_error(told)

    green = True
    with ExitStack() as stack:
        for do in Steps(request, cell, stack, refusal).all():
            name, began = do.__name__, time.monotonic()
            if not green:
                cell.steps.append(Step(name, "not run"))
                continue
            words, error = tried(do)
            seconds += time.monotonic() - began
            reason = _reason(name, error) if error else None
            state: State = "red" if reason else "green"
            cell.steps.append(Step(name, state, seconds, words or "", reason, isinstance(words, Untried)))
            said = f"{reason.code} {reason.message}" if reason else words
            request.emit(Said(f"{cell.name} {name} {cell.steps[-1].state} {seconds:.1f} s: {said}"))
            green, seconds = reason is None, 0.0
        # A server that is gone has said so in a step already.
        _, error = tried(stack.close)
        if green and error is not None:
            cell.steps.append(Step("drop", "red", 0.0, "", _reason("drop", error)))


def _reason(step: str, error: ConvergeError) -> Finding:
    return Finding(
        error.code, "block", step, error.message, error.hint or "", evidence="\n".join(error.details)
    )


@contextmanager
def _servers(cells: Sequence[Cell], emit: Sink) -> Iterator[tuple[_Started, ...]]:
    """All that are wanted, in their order; one that cannot be had does not keep the others away."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(max_workers=len(cells)) as pool:
            started = tuple(pool.map(lambda cell: _start(cell, stack, emit), cells))
        yield started


def _start(cell: Cell, stack: ExitStack, emit: Sink) -> _Started:
    if cell.endpoint is not None:
        return 0.0, None
    started = time.monotonic()
    start = sandbox.start(f"postgres:{cell.name}", on_progress=lambda text: emit(Said(text)))
    found, error = result_or_error(lambda: stack.enter_context(start))
    cell.provider = ""
    if found:
        (server,) = found
        cell.endpoint, cell.provider = parse(server.database_url(MAINTENANCE)), server.provider
    return time.monotonic() - started, error
