"""What was validated, kept beside the revisions: which text, in which direction, on what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from converge.errors import UsageError
from converge.model.revision import Danger, Direction, Revision
from converge.revisions.folder import Folder, writing


@dataclass(frozen=True, slots=True)
class Record:
    """One revision's text that has passed."""

    revision: str
    digest: str
    """SHA-256 of the revision's file."""
    directions: tuple[Direction, ...]
    """Those that were proven."""
    tables: Mapping[str, int]
    """All tables of the database, with their rows before."""
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
    return Record(
        revision.id, digest(revision), tuple(directions), dict(tables), at, database, server_version
    )


def record(folder: Folder, passed: Record) -> Path:
    """Writes the record; what the same text has passed before stays. Raises ConvergeError."""
    before = _read(folder, passed.revision)
    if before is not None and before.digest == passed.digest:
        both = dict.fromkeys((*before.directions, *passed.directions))
        most = {**before.tables, **passed.tables}
        tables = {name: max(rows, before.tables.get(name, 0)) for name, rows in most.items()}
        passed = replace(passed, directions=tuple(both), tables=tables)
    path = _path(folder, passed.revision)
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(asdict(passed), indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def validated(folder: Folder, revision: Revision, direction: Direction) -> Record | None:
    """The record of exactly this text in this direction; None when there is none. Raises UsageError."""
    found = _read(folder, revision.id)
    if found is None or found.digest != digest(revision) or direction not in found.directions:
        return None
    return found


def covers(record: Record, danger: Danger) -> bool:
    """Whether all that is at stake now was so there, too: a table that is empty or missing shows nothing."""
    return all(record.tables.get(table) for table in danger.tables)


def _path(folder: Folder, revision: str) -> Path:
    return folder.location / "validated" / f"{quote(revision, safe='')}.json"


def _read(folder: Folder, revision: str) -> Record | None:
    path = _path(folder, revision)
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        return Record(**{**found, "directions": tuple(found["directions"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path} is no record of a validation: {error}",
            code="A016",
            hint=f"remove it; converge migrations validate {revision} writes it again",
        ) from error
