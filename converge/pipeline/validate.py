"""Tries a revision on a copy of the database, and shows what it does to rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from converge import files
from converge.errors import UsageError
from converge.model.definitions import Definitions
from converge.model.endpoint import Endpoint
from converge.model.event import Sink
from converge.model.image import Image, Pair, pairs
from converge.model.revision import Applied, Revision
from converge.model.validation import Affected, Validation
from converge.pipeline.copied import copied
from converge.pipeline.timing import phase
from converge.planner.difference import compared
from converge.postgres.affected import find
from converge.postgres.affected_csv import affected_rows
from converge.postgres.connect import connect
from converge.postgres.definitions import read_definitions
from converge.postgres.images import Digest, digests, keep_rows, read_images
from converge.postgres.reference import compare
from converge.revisions.environment import applied, downgrade, upgrade
from converge.revisions.folder import Folder
from converge.revisions.validated import made, record

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be validated, and against what."""

    schema: str = "public"
    revision: str | None = None
    """None for the first that is pending."""
    reference: Path | None = None
    """The folder of the CSVs to compare with."""
    accept: bool = False
    """Write the reference, and compare with nothing."""
    artifacts: Path | None = None
    """None for `converge-validation/<revision>`."""


@dataclass(frozen=True, slots=True)
class _State:
    """The copy at one moment."""

    images: tuple[Image, ...]
    digests: Mapping[str, Digest]
    definitions: Definitions


def validate(folder: Folder, target: Endpoint, wish: Wish, emit: Sink, result: Validation) -> None:
    """Upgrades a copy, compares every row with what it was and with the reference, and downgrades it again.

    Writes the affected rows and, when all is well, the record that the gate asks for; `result` says what came
    of it, also when it fails. The database itself is only read. Raises ConvergeError.
    """
    step: Callable[[str], AbstractContextManager[None]] = partial(phase, result, emit)
    with ExitStack() as stack:
        with step("copy"):
            place, result.copied = stack.enter_context(copied(target, wish.schema))
        at = applied(folder, place)
        revision = _chosen(folder, at, wish.revision)
        result.revision, result.name = revision.id, revision.name
        for parent in revision.down:
            upgrade(folder, place, parent, emit)
        connection = stack.enter_context(closing(connect(place)))
        result.server_version = connection.info.parameter_status("server_version") or ""
        with step("look"):
            before = _look(connection, wish.schema, at)
            keep_rows(connection, before.images)
        result.tables = {name: rows for name, (rows, _) in before.digests.items()}
        with step("upgrade"):
            upgrade(folder, place, revision.id, emit)
        with step("compare"):
            after = _look(connection, wish.schema, at)
            found = _affected(connection, before, after)
            _export(connection, found, wish, result)
        with step("reference"):
            _with_reference(connection, found, wish, result)
        with step("downgrade"):
            _go_back(folder, place, revision, connection, before, at, wish.schema, emit, result)
    result.verdict = _verdict(result)
    if result.verdict == "validated":
        directions = ("up", "down") if result.downgrade == "restored" else ("up",)
        record(folder, made(revision, directions, result.tables, result.target, result.server_version))


def _chosen(folder: Folder, at: Applied, name: str | None) -> Revision:
    """The revision that is to be tried. Raises UsageError for one that is applied, or when none is pending."""
    done = {one.revision for head in at.heads for one in folder.script.iterate_revisions(head, "base")}
    if name is not None:
        revision = folder.revision(name)
        if revision.id in done:
            raise UsageError(
                f"revision {revision.id} is applied already: what it did to rows is no longer to be seen",
                code="A050",
                hint="name a database that is not so far",
            )
        return revision
    for revision in folder.revisions:
        if revision.id not in done:
            return revision
    raise UsageError(
        "no revision is pending: there is nothing to validate", code="A050", hint="converge migrations show"
    )


def _look(connection: psycopg.Connection[Any], schema: str, at: Applied) -> _State:
    images = read_images(connection, *at.table)
    definitions = read_definitions(connection, schema, without=(at.table[1],))
    return _State(images, digests(connection, images), definitions)


def _affected(
    connection: psycopg.Connection[Any], before: _State, after: _State
) -> dict[str, tuple[Pair, Affected]]:
    """The tables with rows that are not as they were, by their names."""
    found = {}
    for pair in pairs(before.images, after.images):
        same = pair.before and before.digests[str(pair.before)] == after.digests.get(str(pair.after))
        if same and all(both.before == both.after for both in pair.columns):
            continue
        affected = find(connection, pair)
        if affected is not None:
            found[affected.table] = (pair, affected)
    return found


def _export(
    connection: psycopg.Connection[Any],
    found: Mapping[str, tuple[Pair, Affected]],
    wish: Wish,
    result: Validation,
) -> None:
    """Writes the affected rows of each table into a file of its own."""
    folder = wish.artifacts or Path("converge-validation", quote(result.revision, safe=""))
    result.artifacts = str(folder)
    _clear(folder)
    for pair, affected in found.values():
        name = _file_name(pair.image, wish.schema)
        files.write_new(str(folder / name), affected_rows(connection, pair, affected))
        result.affected.append(replace(affected, file=name))


def _clear(folder: Path) -> None:
    """The folder, without the files of an earlier validation. Raises UsageError for a folder of others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    summary = folder / SUMMARY
    there = [path for path in folder.iterdir() if path.suffix == ".csv"]
    if there and not summary.is_file():
        raise UsageError(
            f"{folder} has files of others: {there[0].name}",
            code="A053",
            hint="--artifacts DIR names a folder for this validation alone",
        )
    if summary.is_file():
        for one in json.loads(summary.read_text("utf-8")).get("affected", ()):
            (folder / one["file"]).unlink(missing_ok=True)


def _file_name(image: Image, schema: str) -> str:
    name = image.name if image.schema == schema else str(image)
    return f"{quote(name, safe=' ')}.csv"


def _with_reference(
    connection: psycopg.Connection[Any],
    found: Mapping[str, tuple[Pair, Affected]],
    wish: Wish,
    result: Validation,
) -> None:
    """Compares the affected rows with the reference's, or makes them the reference."""
    if wish.reference is None:
        return
    result.reference = str(wish.reference)
    ours = {one.file: one for one in result.affected}
    if wish.accept:
        _accept(Path(result.artifacts), wish.reference, ours)
        result.accepted = True
        return
    theirs = {path.name for path in wish.reference.glob("*.csv")}
    for name in sorted(ours.keys() | theirs):
        affected = ours.get(name)
        pair = found[affected.table][0] if affected else None
        file = wish.reference / name if name in theirs else None
        table = affected.table if affected else name.removesuffix(".csv")
        result.compared.append(compare(connection, table, file, pair, affected.key if affected else ()))


def _accept(artifacts: Path, reference: Path, ours: Mapping[str, Affected]) -> None:
    """Raises UsageError where the folder has the rows of another revision, which would never be equal."""
    reference.mkdir(parents=True, exist_ok=True)
    if others := sorted(path.name for path in reference.glob("*.csv") if path.name not in ours):
        raise UsageError(
            f"the reference {reference} has {others[0]}, though this revision affects no row of that table",
            code="A053",
            hint="--reference DIR names a folder for this revision alone",
        )
    for name in ours:
        (reference / name).unlink(missing_ok=True)
        files.write_new(str(reference / name), _blocks(artifacts / name))


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _go_back(
    folder: Folder,
    place: Endpoint,
    revision: Revision,
    connection: psycopg.Connection[Any],
    before: _State,
    at: Applied,
    schema: str,
    emit: Sink,
    result: Validation,
) -> None:
    """Downgrades the copy, and compares it with what it was as far as the revision promises that."""
    if revision.restores == "nothing" or len(revision.down) > 1:
        result.downgrade = "no promise"
        return
    downgrade(folder, place, revision.down[0] if revision.down else "base", emit)
    now = _look(connection, schema, at)
    for differs in compared(before.definitions, now.definitions):
        result.not_restored.append(differs.object)
    if revision.restores == "all":
        names = sorted(before.digests.keys() | now.digests.keys())
        result.not_restored += [
            f"rows of {name}" for name in names if before.digests.get(name) != now.digests.get(name)
        ]
    result.downgrade = "differs" if result.not_restored else "restored"


def _verdict(result: Validation) -> Any:
    if result.downgrade == "differs" or not all(one.equal for one in result.compared):
        return "differs"
    if result.affected and not result.reference:
        return "unreviewed"
    return "validated"
