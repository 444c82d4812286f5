"""What was validated, kept beside the revisions: which text, in which direction, on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from converge.codes import Code
from converge.errors import UsageError
from converge.model.revision import Direction, Revision
from converge.model.words import utc_now
from converge.revisions.folder import Folder, writing


@dataclass(frozen=True, slots=True)
class Record:
    """One revision's text that has passed."""

    revision: str
    digest: str
    """SHA-256 of the revision's file."""
    tables: Mapping[Direction, Mapping[str, int]]
    """For each direction that was proven: all tables of the database in its trial with their rows before,
    and the used sequences of no column with 1. `down` is without tables that the upgrade gives room for
    values that the trial could not have."""
    at: str
    """UTC, ISO 8601."""
    database: str
    """Its address, without a password."""
    server_version: str


def digest(revision: Revision) -> str:
    """SHA-256 of the revision's text as its file has it."""
    return hashlib.sha256(revision.text.encode()).hexdigest()


def record(
    folder: Folder,
    revision: Revision,
    proven: Mapping[Direction, Mapping[str, int]],
    database: str,
    server_version: str,
) -> None:
    """Keeps what has passed just now; for each direction the trial of this text that had rows in more tables.
    `proven` has those of this one.

    Trials are not added up: what kept the rows of each table while the other was empty may lose both. A
    direction that has failed now is no longer proven. Raises ConvergeError.
    """
    before = _read(folder, revision.id)
    known = before.tables if before is not None and before.digest == digest(revision) else {}
    shown: dict[Direction, Mapping[str, int]] = {}
    for way, tables in proven.items():
        # An earlier trial that shows more of the others shows nothing of those with room either.
        earlier = {
            name: rows
            for name, rows in known.get(way, {}).items()
            if name in tables or name not in proven["up"]
        }
        shown[way] = tables if all(tables.get(name) for name, rows in earlier.items() if rows) else earlier
    passed = Record(revision.id, digest(revision), shown, utc_now(), database, server_version)
    path = _path(folder, revision.id)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(passed), indent=2, ensure_ascii=False) + "\n", "utf-8")


def validated(folder: Folder, revision: Revision, direction: Direction) -> Record | None:
    """The record of exactly this text in this direction; None when there is none. Raises UsageError."""
    found = _read(folder, revision.id)
    if found is None or found.digest != digest(revision) or direction not in found.tables:
        return None
    return found


def covers(record: Record, direction: Direction, tables: Iterable[str]) -> bool:
    """Whether all that is at stake now was so there, too: a table that is empty or missing shows nothing."""
    return all(record.tables[direction].get(table) for table in tables)


def untested_values(record: Record, direction: Direction, tables: Iterable[str]) -> list[str]:
    """Which of these had rows in the trial, though it shows nothing of those that they have got since."""
    there, shown = record.tables.get("up", {}), record.tables[direction]
    return [table for table in tables if there.get(table) and table not in shown]


def _path(folder: Folder, revision: str) -> Path:
    return folder.location / "validated" / f"{quote(revision, safe='')}.json"


def _read(folder: Folder, revision: str) -> Record | None:
    path = _path(folder, revision)
    if not path.is_file():
        return None
    try:
        found = Record(**json.loads(path.read_text("utf-8")))
        return found if set(found.tables) <= {"up", "down"} else None
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is not a record of a validation: {error}",
            code=Code.A016,
            hint=f"remove it; converge migrations validate {revision} writes it again",
        ) from error
