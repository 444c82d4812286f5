"""What was validated, kept beside the revisions: which text, in which direction, on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from converge.codes import Code
from converge.errors import UsageError
from converge.model.revision import Direction, Revision
from converge.revisions.folder import Folder, writing


@dataclass(frozen=True, slots=True)
class Record:
    """One revision's text that has passed."""

    revision: str
    digest: str
    """SHA-256 of the revision's file."""
    tables: Mapping[Direction, Mapping[str, int]]
    """For each direction that was proven: all tables of the database in its trial, with their rows before."""
    at: str
    """UTC, ISO 8601."""
    database: str
    """Its address, without a password."""
    server_version: str


def digest(revision: Revision) -> str:
    """SHA-256 of the revision's text as its file has it."""
    return hashlib.sha256(revision.text.encode()).hexdigest()


def made(
    revision: Revision,
    directions: Iterable[Direction],
    tables: Mapping[str, int],
    database: str,
    server_version: str,
) -> Record:
    """A record of what has passed just now."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    shown = {way: dict(tables) for way in directions}
    return Record(revision.id, digest(revision), shown, at, database, server_version)


def record(folder: Folder, passed: Record) -> Path:
    """Writes the record; for each direction it is the trial of this text that had rows in more tables.

    Trials are not added up: what kept the rows of each table while the other was empty may lose both. A
    direction that has failed now is no longer proven. Raises ConvergeError.
    """
    before = _read(folder, passed.revision)
    if before is not None and before.digest == passed.digest:
        both = passed.tables.keys() & before.tables.keys()
        more = {way: _richer(passed.tables[way], before.tables[way]) for way in both}
        passed = replace(passed, tables={**passed.tables, **more})
    path = _path(folder, passed.revision)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(passed), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def validated(folder: Folder, revision: Revision, direction: Direction) -> Record | None:
    """The record of exactly this text in this direction; None when there is none. Raises UsageError."""
    found = _read(folder, revision.id)
    if found is None or found.digest != digest(revision) or direction not in found.tables:
        return None
    return found


def covers(record: Record, direction: Direction, tables: Iterable[str]) -> bool:
    """Whether all that is at stake now was so there, too: a table that is empty or missing shows nothing."""
    return all(record.tables[direction].get(table) for table in tables)


def _richer(new: Mapping[str, int], old: Mapping[str, int]) -> Mapping[str, int]:
    filled = {name for name, rows in new.items() if rows}
    return new if filled >= {name for name, rows in old.items() if rows} else old


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
