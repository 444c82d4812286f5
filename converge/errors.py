"""Every error that converge raises on purpose.

    ConvergeError
    ├── UsageError       2   the command line, a map or a configuration file is wrong
    ├── BlockedError     3   found before anything was written
    ├── SourceError      4   MySQL said no, or went away
    ├── TargetError      5   PostgreSQL said no, or went away
    └── Interrupted    130   the user stopped it; its state is kept

The number is the exit code. An error says what, where and why in `message`, names rows or
privileges in `details`, and gives a fix that can be pasted in `hint`. Those with `lost` say that a server
or a worker has gone and may come back; a run meets them with a bounded number of new attempts. Else
only the command line catches errors; the library never logs and goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from converge.codes import Code


class ConvergeError(Exception):
    """Base of all errors that a user can act on."""

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        code: Code = Code.E000,
        hint: str | None = None,
        details: Sequence[str] = (),
        lost: bool = False,
    ) -> None:
        super().__init__(message)
        # Workers send their errors to the coordinator: pickling keeps the message and these attributes.
        self.message = message
        self.code = code
        self.hint = hint
        self.details = tuple(details)
        self.lost = lost
        self.source = self.target = ""
        """The addresses of both sides, without passwords, where the command knew them."""


class UsageError(ConvergeError):
    """The command line, an argument, a map or a configuration file is wrong."""

    exit_code = 2


class BlockedError(ConvergeError):
    """Found before anything was written."""

    exit_code = 3


class SourceError(ConvergeError):
    """MySQL said no, or went away."""

    exit_code = 4


class TargetError(ConvergeError):
    """PostgreSQL said no, or went away."""

    exit_code = 5


class Interrupted(ConvergeError):
    """The user stopped it; its state is kept."""

    exit_code = 130


_STOPPED = {
    "cutover": "converge status says whether the cutover happened; run converge cutover again to continue",
    "rollback": "the rollback is all or nothing: run converge rollback again",
    "sync": "sync is all or nothing: run converge sync again",
    "verify": "converge verify; with --repair all rows are replaced, or none",
}
"""The next step after a stop."""


def stopped(command: str | None = None) -> Interrupted:
    """What KeyboardInterrupt is of a command that has no more to say of it."""
    words = "stopped; both servers roll back what was open"
    return Interrupted(words, code=Code.R130, hint=_STOPPED.get(command or ""))


class Known(NamedTuple):
    """A driver's error that has a fix."""

    pattern: str
    """Of the error's number and text."""
    code: Code
    message: str
    """With names in braces, as the fix has them."""
    hint: str = ""
    lost: bool = False
    kind: type[ConvergeError] | None = None
    """What it is raised as, where not as its side's error."""


def known_error(
    kind: type[ConvergeError], rows: Iterable[Known], told: str, names: Mapping[str, str]
) -> ConvergeError | None:
    """The first of them that was told of."""
    for row in rows:
        if re.match(row.pattern, told, re.DOTALL):
            message, hint = row.message.format_map(names), row.hint.format_map(names)
            return (row.kind or kind)(message, code=row.code, hint=hint or None, lost=row.lost)
    return None


def verdict_of(error: ConvergeError) -> Literal["blocked", "interrupted", "failed"]:
    """The verdict of a command that ends in this error."""
    if isinstance(error, BlockedError):
        return "blocked"
    return "interrupted" if isinstance(error, Interrupted) else "failed"


def of_interrupt(error: BaseException | None) -> bool:
    """Whether KeyboardInterrupt led to the error: it meets a connection within an answer, and what is sent
    there on the way out fails."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def after(hint: str | None, command: str) -> str:
    """The hint, and the command that goes on; statements stay whole, so that they can be pasted."""
    if not hint:
        return command
    return f"{hint}\nthen {command}" if hint.endswith(";") else f"{hint}; then {command}"


START_AGAIN = "converge migrate --recreate (in load mode: --truncate)"
"""How a run begins anew where what an earlier one has loaded cannot be kept."""


def first_of(lines: Sequence[str], most: int) -> list[str]:
    """Details of which there may be many: the first of them, and how many more there are."""
    return [*lines[:most], *([f"and {len(lines) - most:,} more"] if len(lines) > most else [])]


def listed(names: Sequence[str], most: int) -> str:
    """``a, b, and 3 more``: the same as one line."""
    return ", ".join(first_of(names, most))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    from difflib import get_close_matches  # --help need not wait for it

    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
