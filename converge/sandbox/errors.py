"""What can go wrong with temporary servers. Codes: X001 … X012."""

from __future__ import annotations

from typing import ClassVar

from converge.errors import ConvergeError


class SandboxError(ConvergeError):
    """A temporary server could not be found, fetched, started or used."""

    exit_code: ClassVar[int] = 1


class UnknownServer(SandboxError):
    """X001: no provider has that server."""


class BadName(UnknownServer):
    """X001: the name isn't like mysql:8.0 or postgres:17.5, which is a word of the command line."""

    exit_code: ClassVar[int] = 2


class MissingTool(SandboxError):
    """X002: a program that fetches or unpacks a package isn't installed."""


class FetchFailed(SandboxError):
    """X003: a package couldn't be downloaded or holds something unexpected."""


class StartFailed(SandboxError):
    """X004: the server ended or stayed silent; `details` has the last lines of its log."""


class NotOurs(SandboxError):
    """X005: the server was given by URL, so that converge neither stops it nor sees its files.

    X009: it has a database of the name that a dump is about. X011: it would run a dump's events.
    """


class DumpError(SandboxError):
    """The dump that was to be the source cannot be loaded.

    X006: a file is cut short, or rows are missing. X007: MySQL refused one of its statements. X008: so it
    did, because the line is of another dialect; the hint has the fix. X010: the dump has no tables.
    """

    exit_code: ClassVar[int] = 4
