"""What a run and the workers that have joined it say to each other: rows of the ledger, and a nudge.

A message is JSON, and has neither addresses nor code: a pickle would let whoever writes the ledger run
anything on every worker.
"""

from __future__ import annotations

import json
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
from pydantic import TypeAdapter

from converge import errors
from converge.codes import Code
from converge.errors import ConvergeError
from converge.model.check import CheckResult
from converge.model.documents import plain
from converge.model.result import Difference, ViewResult
from converge.model.work import (
    CheckTask,
    Copied,
    CopyTask,
    Digest,
    DigestTask,
    Drilled,
    DrillTask,
    ViewTask,
    Written,
    WrittenTask,
)

_KINDS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (
        str, CopyTask, DigestTask, WrittenTask, DrillTask, CheckTask, ViewTask,
        Copied, Digest, Written, Drilled, CheckResult,
    )
} | {"tuple": TypeAdapter(tuple[ViewResult, list[Difference]]), "NoneType": TypeAdapter(None)}  # fmt: skip
"""What may be in a message. Those of an attempt are of one version, and `Returned` is apart.

Made when this is imported: by the server that local workers are forked from, and not by each of them.
"""
RETURNED = "returned"
"""The answer to a task that its worker could not do."""
PRESENCE = 0x636F6E77
"""First key of the advisory lock that a worker's session holds as long as it lives; the second is its id."""
_POLL_SECONDS = 0.5
"""A nudge is lost at times; then this is how long a message waits."""


def encode(value: object) -> str:
    """A task or a result."""
    return json.dumps([type(value).__name__, plain(value)])


def encode_error(error: ConvergeError) -> str:
    """What ends the run."""
    content = {"message": error.message, "code": error.code, "hint": error.hint, "details": error.details}
    return json.dumps(["error", type(error).__name__, content])


def decoded(text: str) -> Any:
    """The value of a message. Raises the error that it holds."""
    kind, content, *more = json.loads(text)
    if kind == "error":
        named = {**more[0], "code": Code(more[0]["code"])}
        raise getattr(errors, content)(named.pop("message"), **named)
    return content if kind == RETURNED else _KINDS[kind].validate_python(content)


@dataclass(frozen=True, slots=True)
class Door:
    """What a worker must know to join: `converge.run.joins`."""

    attempt: str
    """The run's session, which holds the target's lock: its process, and when that began."""
    version: str
    """Of converge."""
    server: str
    """@@server_uuid of the source."""
    database: str
    role: str
    """Of the target."""
    settings: dict[str, str]
    """Of the workers' sessions in the target."""
    open: bool = True
    """False once all workers have begun their snapshot: later workers cannot read the source."""


DOOR = TypeAdapter(Door)
OVER = "over"


class Mailbox:
    """A session of the ledger that hears when there are messages; can be waited for."""

    def __init__(self, connection: psycopg.Connection[Any], channel: str) -> None:
        self.connection = connection
        self.heard, self._next = True, 0.0
        """Whether there may be messages that nobody has looked for."""
        self.over = False
        """Whether the run has said that it is over."""
        connection.add_notify_handler(self._nudge)
        connection.execute(f"LISTEN {channel}".encode())

    def _nudge(self, notify: psycopg.Notify) -> None:
        self.heard = True
        self.over |= notify.payload == OVER

    def fileno(self) -> int:
        return self.connection.fileno()

    def each(self, look: Callable[[], None]) -> None:
        """Calls `look` for as long as there may be messages."""
        now = time.monotonic()
        # One that came together with another answer is not in the socket any more.
        if self.heard or now >= self._next or select.select([self], [], [], 0)[0]:
            self.heard = True
            while self.heard:
                self.heard = False
                look()
            self._next = now + _POLL_SECONDS


def run_channel(attempt: str) -> str:
    """Where the run is told of answers; each attempt has its own."""
    return f"converge_run_{attempt.split()[0]}"


def worker_channel(worker: int) -> str:
    """Where a worker is told of tasks."""
    return f"converge_worker_{worker}"
