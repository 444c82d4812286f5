"""What a matrix is asked to do."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.matrix.result import Cell
from converge.model.endpoint import Endpoint, parse
from converge.model.event import Sink, silent
from converge.postgres.script import split
from converge.run.options import Options
from converge.sandbox.dump_text import Joined, decompressed
from converge.sandbox.server import BadName, Spec

# A comma before a version or a URL; a URL may hold others itself.
_COMMA = re.compile(r",(?=\s*(?:\d+(?:\.\d+)*\s*(?:,|\Z)|\w+://|,|\Z))")
_HINT = "--postgres 14,15,16,17.5"
MAINTENANCE = "postgres"


@dataclass(frozen=True, slots=True)
class Request:
    """The same for all cells."""

    source: Endpoint
    options: Options
    scripts: tuple[Path, ...] = ()
    """What makes the application's own schema, in load mode."""
    alembic: str | None = None
    """The folder of the user's own revisions."""
    emit: Sink = silent


def wanted(given: tuple[str, ...]) -> tuple[Cell, ...]:
    """Versions and URLs as the command line lists them, separated by commas.

    Raises UsageError for what is neither, and for one that is named twice.
    """
    found: dict[str, Cell] = {}
    for word in filter(None, (part.strip() for text in given for part in _COMMA.split(text))):
        one = _cell(word)
        if one.name in found:
            raise UsageError(f"--postgres names {one.name} twice", code=Code.X020, hint=_HINT)
        found[one.name] = one
    if not found:
        raise UsageError("--postgres names no version", code=Code.X020, hint=_HINT)
    return tuple(found.values())


def _cell(word: str) -> Cell:
    if "://" not in word:
        try:
            Spec.parse(f"postgres:{word}")
        except BadName:
            message = f"--postgres {word} is neither a version nor a URL"
            raise UsageError(message, code=Code.X020, hint=_HINT) from None
        return Cell(word)
    endpoint = parse(word, origin="--postgres")
    if endpoint.kind != "postgres":
        raise UsageError(f"--postgres {endpoint} is not a PostgreSQL server", code=Code.X020, hint=_HINT)
    endpoint = endpoint if endpoint.database else replace(endpoint, database=MAINTENANCE)
    return Cell(str(endpoint), endpoint)


def require_scripts(options: Options, scripts: tuple[Path, ...]) -> None:
    """Reads the scripts once. Raises UsageError for one that no version could take."""
    if bool(scripts) != (options.mode == "load"):
        raise UsageError(
            "load mode fills the tables that --target-sql makes, and only load mode does",
            code=Code.X022,
            hint="--mode load --target-sql schema.sql, or neither",
        )
    for script in scripts:
        try:
            with decompressed(script.name, Joined((script,)), of_mysql=False) as lines:
                for statement in split(lines, script.name):
                    for _ in statement.rows or ():
                        pass
        except OSError as error:
            raise UsageError(
                f"--target-sql {script} cannot be read: {error.strerror}",
                code=Code.X023,
                hint="a file of SQL",
            ) from error
