"""Tries a revision on a copy of the database, and shows what it does to rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from converge import files
from converge.codes import Code
from converge.errors import TargetError, UsageError
from converge.model.definitions import Definitions
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.image import Both, Image, Pair, pairs
from converge.model.revision import Applied, Direction, Revision
from converge.model.validation import Affected, Validation
from converge.planner.difference import compared
from converge.postgres.affected import (
    Digest,
    affected_rows,
    compare,
    digests,
    find,
    keep_rows,
    read_images,
)
from converge.postgres.catalog import read_definitions
from converge.postgres.connect import connect
from converge.postgres.digest import number
from converge.postgres.held import held
from converge.postgres.positions import SEQUENCES, Position, as_pair, read_positions, set_back
from converge.revisions.commands import require_known, standings
from converge.revisions.database_copy import copied
from converge.revisions.drift import another_schema, is_here
from converge.revisions.environment import applied, run_steps
from converge.revisions.folder import Folder, writing
from converge.revisions.validated import record
from converge.run.connections import explained

SUMMARY = "summary.json"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be validated, and against what."""

    schema: str | None = None
    """Whose catalog is compared; None for the baseline's, else `public`."""
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
    positions: Sequence[Position]
    """Of all sequences."""
    large_objects: Digest


def validate(folder: Folder, target: Endpoint, request: Request, emit: Sink, result: Validation) -> None:
    """Upgrades a copy, compares every row with what it was and with the reference, and downgrades it again.

    Writes the affected rows and, when all is well, the record that the gate asks for; `result` says what came
    of it, also when it fails. The database itself is only read. Raises ConvergeError.
    """
    with explained(target, target), ExitStack() as stack:
        result.schema = request.schema or folder.schema or "public"
        with phase(result, emit, "copy"):
            place, result.copied = stack.enter_context(copied(target, result.schema))
        at = _standing(folder, place)
        if not (request.schema or folder.schema) and at.table[0] != result.schema:
            raise UsageError(
                f"the version table is in schema {at.table[0]}, and nothing names the schema to compare",
                code=Code.A050,
                hint=another_schema(target, at) or "pass --schema",
            )
        revision = _chosen(folder, at, request.revision)
        result.revision, result.name = revision.id, revision.name
        with held(place, at.path) as database:
            tables = database.tables(at.table, ledger=revision.names_ledger, named=revision.words)
            result.tables = {str(one): rows for one in tables if (rows := database.rows(one))}
            partitioned = {str(one) for one in tables if one.kind == "p"}
            sequences = dict.fromkeys(database.used_sequences(), 1)
        for parent in revision.down:
            run_steps(folder, place, parent, "up", emit)
        # A policy must not hide rows: with this setting the server fails instead.
        connection = stack.enter_context(closing(connect(place)))
        result.server_version = connection.info.parameter_status("server_version") or ""
        trial = _Trial(connection, at.table, request, result, ledger=revision.names_ledger)
        with phase(result, emit, "keep"):
            before = trial.look()
            keep_rows(connection, before.images)
            result.tables |= {name: rows for name, (rows, _) in before.digests.items()}
        with phase(result, emit, "upgrade"):
            run_steps(folder, place, revision.id, "up", emit)
        with phase(result, emit, "compare"):
            after = trial.look()
            nothing = before.definitions.is_empty and after.definitions.is_empty
            if nothing and (hint := another_schema(target, at, after.images)):
                message = f"schema {result.schema} has no objects before or after revision {revision.id}"
                raise UsageError(message, code=Code.A050, hint=hint)
            untested_values = trial.export(before, after)
            # Of a partition they are those of its table.
            untested_values |= partitioned if untested_values else set()
            result.untested_values = sorted(
                untested_values & {name for name, rows in result.tables.items() if rows}
            )
        with phase(result, emit, "reference"):
            trial.with_reference()
        with phase(result, emit, "downgrade"):
            if revision.restores == "nothing" or len(revision.down) > 1:
                result.downgrade = "no promise"
            else:
                run_steps(folder, place, revision.down[0] if revision.down else "base", "down", emit)
                trial.compare_restored(before, everything=revision.restores == "all")
    if result.downgrade == "differs" or not all(one.equal for one in result.compared):
        result.verdict = "differs"
    else:
        result.verdict = "unreviewed" if result.affected and not result.reference else "validated"
    if result.verdict == "validated":
        proven: dict[Direction, dict[str, int]] = {"up": result.tables | sequences}
        if result.downgrade == "restored":
            proven["down"] = {name: n for name, n in proven["up"].items() if name not in untested_values}
        record(folder, revision, proven, result.target, result.server_version)


def _standing(folder: Folder, place: Endpoint) -> Applied:
    """Where the copy stands; one that is what the baseline makes is noted to be there, as `run` does."""
    at = applied(folder, place)
    if at.heads or not folder.revisions or not is_here(folder, place, folder.revisions[0], at):
        return at
    run_steps(folder, place, folder.revisions[0].id, "stamp")
    return applied(folder, place)


def _chosen(folder: Folder, at: Applied, name: str | None) -> Revision:
    """The revision that is to be tried. Raises UsageError for one that is applied, and when none is left."""
    require_known(folder, at)
    done = {one.id for one in standings(folder, at) if one.state == "applied"}
    pending = [one for one in folder.revisions if one.id not in done]
    if name is not None:
        revision = folder.revision(name)
        if revision in pending:
            return revision
        message = f"revision {revision.id} is applied already: what it did to rows is no longer to be seen"
        raise UsageError(message, code=Code.A050, hint="name a database that is not so far")
    if not pending:
        message = "no revision is pending: there is nothing to validate"
        raise UsageError(message, code=Code.A050, hint="converge migrations show")
    return pending[0]


class _Trial:
    """What is looked at in the copy."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        version_table: tuple[str, str],
        request: Request,
        result: Validation,
        *,
        ledger: bool,
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._version_table = version_table
        self._request = request
        self._result = result
        self._pairs: dict[str, Pair] = {}
        """Of the tables that have affected rows, by their files."""

    def look(self) -> _State:
        """The copy as it is now."""
        connection, (_, version_table) = self._connection, self._version_table
        images = read_images(connection, *self._version_table, ledger=self._ledger)
        return _State(
            images,
            digests(connection, images),
            read_definitions(connection, self._result.schema, without=(version_table,)),
            read_positions(connection),
            self._large_objects(),
        )

    def _large_objects(self) -> Digest:
        content = number("md5(oid::text || ' ' || md5(lo_get(oid)))")
        query = f"SELECT count(*), coalesce(sum({content}), 0)::text FROM pg_largeobject_metadata"
        try:
            ((count, total),) = self._connection.execute(query.encode()).fetchall()
        # The second is said of one that is too long for a bytea.
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue) as error:
            raise self._unseen(f"large objects cannot be read: {error.diag.message_primary}") from error
        return count, int(total)

    def _unseen(self, message: str) -> TargetError:
        revision = self._result.revision
        hint = f"read what it does, then converge migrations run --accept-data-loss {revision}"
        return TargetError(message, code=Code.A058, hint=hint)

    def export(self, before: _State, after: _State) -> set[str]:
        """Writes each table's affected rows into a file of its own, and into one the sequences set back.

        Returns the tables that have room for other values now.
        """
        result, connection = self._result, self._connection
        if before.large_objects != after.large_objects:
            message = f"revision {result.revision} changes large objects, which cannot be shown or compared"
            raise self._unseen(message)
        folder = self._request.artifacts or Path("converge-validation", quote(result.revision, safe=""))
        with writing(folder, "--artifacts"):
            _clear(folder)
            result.artifacts = str(folder)
            tables = list(pairs(before.images, after.images))
            for pair in tables:
                # Digests and columns may say already that no row can be affected.
                same = pair.before and pair.after and all(both.same_name for both in pair.columns)
                if same and before.digests[str(pair.before)] == after.digests[str(pair.after)]:
                    continue
                if affected := find(connection, pair):
                    image = pair.image
                    table = image.name if image.schema == result.schema else str(image)
                    self._write(folder, f"{quote(table, safe=' ')}.csv", pair, affected)
            # That of a column goes with it.
            gone = {
                (pair.before.oid, number)
                for pair in tables
                if pair.before
                for number, column in pair.before.columns.items()
                if Both(column, None) in pair.columns
            }
            lost = [
                (one, now)
                for one, now in set_back(before.positions, after.positions)
                if now is not None or one.column not in gone
            ]
            pair = as_pair(connection, lost)
            if affected := find(connection, pair):
                affected = replace(affected, table=SEQUENCES, was=SEQUENCES)
                self._write(folder, f"{SEQUENCES}.csv", pair, affected)
        return {str(pair.before) for pair in tables if pair.allows_new_values}

    def _write(self, folder: Path, name: str, pair: Pair, affected: Affected) -> None:
        files.write_new(str(folder / name), affected_rows(self._connection, pair, affected))
        self._result.affected.append(replace(affected, file=name))
        self._pairs[name] = pair

    def with_reference(self) -> None:
        """Compares the affected rows with the reference's, or makes them the reference."""
        result, reference = self._result, self._request.reference
        if reference is None:
            return
        result.reference = str(reference)
        ours = {one.file: one for one in result.affected}
        if self._request.accept:
            with writing(reference, "--reference"):
                _accept(Path(result.artifacts), reference, ours)
            result.accepted = True
            return
        theirs = {path.name: path for path in reference.glob("*.csv")}
        for name in sorted(ours.keys() | theirs.keys()):
            table, key = (
                (ours[name].table, ours[name].key) if name in ours else (name.removesuffix(".csv"), ())
            )
            result.compared.append(
                compare(self._connection, table, theirs.get(name), self._pairs.get(name), key)
            )

    def compare_restored(self, before: _State, *, everything: bool) -> None:
        """Compares the copy with what it was. Only the catalog has to be the same unless `everything` has."""
        after = self.look()
        catalog = [one.object for one in compared(before.definitions, after.definitions)]
        names = sorted(before.digests.keys() | after.digests.keys())
        rows = [f"rows of {name}" for name in names if before.digests.get(name) != after.digests.get(name)]
        rows += ["large objects"] if before.large_objects != after.large_objects else []
        rows += [f"position of {one.name}" for one, _ in set_back(before.positions, after.positions)]
        self._result.not_restored = catalog + rows
        if catalog or (everything and rows):
            self._result.downgrade = "differs"
        else:
            self._result.downgrade = "catalog" if rows else "restored"


def _clear(folder: Path) -> None:
    """The folder, without the files of an earlier validation. Raises UsageError for a folder of others."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    summary = folder / SUMMARY
    if summary.is_file():
        # A file that names none is not a summary.
        with suppress(ValueError, TypeError, KeyError):
            affected = json.loads(summary.read_text("utf-8"))["affected"]
            for name in [Path(one["file"]).name for one in affected]:
                (folder / name).unlink(missing_ok=True)
            summary.unlink()
    if others := sorted(path.name for path in (*folder.glob("*.csv"), *folder.glob(SUMMARY))):
        raise UsageError(
            f"{folder} has files of others: {others[0]}",
            code=Code.A053,
            hint="--artifacts DIR names a folder for this validation alone",
        )


def _accept(artifacts: Path, reference: Path, ours: Mapping[str, Affected]) -> None:
    """Raises UsageError where the folder has the rows of another revision, which would never be equal."""
    reference.mkdir(parents=True, exist_ok=True)
    if others := sorted(path.name for path in reference.glob("*.csv") if path.name not in ours):
        raise UsageError(
            f"--reference {reference} has {others[0]}, though this revision affects no row of that table",
            code=Code.A053,
            hint="--reference DIR names a folder for this revision alone",
        )
    for name in ours:
        (reference / name).unlink(missing_ok=True)
        with (artifacts / name).open("rb") as lines:
            files.write_new(str(reference / name), lines)
