"""All cells of a matrix, one after the other: so their times can be compared, and a stop ends all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from converge.errors import ConvergeError
from converge.mapping.read import load
from converge.model.event import Said
from converge.model.matrix import Cell, Content, Matrix, Step
from converge.model.plan import Finding
from converge.mysql.connect import connect as connect_source
from converge.mysql.facts import table_names
from converge.mysql.rights import missing_select, read_rights
from converge.mysql.watched import WatchedConnection
from converge.pipeline.matrix.compare import compared, decisions
from converge.pipeline.matrix.servers import Server, servers
from converge.pipeline.matrix.steps import steps
from converge.pipeline.matrix.wish import Site, Wanted, Wish
from converge.planner.inputs import require_matches
from converge.postgres.connect import connect
from converge.postgres.shadow import shadow
from converge.run.connections import attempt, explained

T = TypeVar("T")

_START, _END = "start", "drop"


def run_matrix(wish: Wish, wanted: Sequence[Wanted]) -> Matrix:
    """Does every step on every version. What is red is in the result, and nothing is raised for it.

    Raises UsageError for maps and tables that are not there, SourceError when the source cannot be reached.
    """
    load(wish.options.maps)
    began, now = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    with explained(wish.source, None), connect_source(wish.source) as source:
        version = str(vars(source)["server_version"])
        _require_tables(source, wish)
    with servers(wanted, wish.emit) as there:
        cells = [_Run(wish, server).cell() for server in there]
    return compared(Matrix(str(wish.source), version, now, time.monotonic() - began, tuple(cells)))


def _require_tables(source: WatchedConnection, wish: Wish) -> None:
    """Raises UsageError for --include and --exclude of no table; what may not be seen is a step's to say."""
    selection, rights = wish.options.selection, read_rights(source, wish.source.database)
    names = table_names(source, wish.source.database)
    if not missing_select(rights, names, selection.names):
        require_matches(selection, names)


class _Run:
    """One version's steps, up to the first that is red."""

    def __init__(self, wish: Wish, server: Server) -> None:
        self._wish = wish
        self._server = server
        self._steps: list[Step] = []
        self._version = ""
        self._site: Site | None = None

    def cell(self) -> Cell:
        """Does them; the database is dropped in the end."""
        with ExitStack() as stack:
            green = self._do(_START, lambda: self._open(stack), self._server.seconds)
            for work in steps(self._wish):
                if not green:
                    self._steps.append(Step(work.name, "not run"))
                    continue
                assert self._site is not None
                green = self._do(work.name, partial(work.do, self._site))
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
        self._site = Site(self._wish, target)
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
        self._wish.emit(Said(f"{self._server.name} {name} {step.state} {took:.1f} s: {said}"))
        return reason is None

    def _explained(self, action: Callable[[], T]) -> T:
        with explained(self._wish.source, self._server.endpoint):
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
