"""The SQL of one revision, without a database."""

from __future__ import annotations

import logging
from typing import TextIO, cast

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext

from converge.errors import ConvergeError
from converge.model.revision import Direction, Revision
from converge.revisions.failures import users_own
from converge.revisions.folder import Folder


class Unreadable(ConvergeError):
    """What the revision does is not to be had without running it; the message says why."""


class _Written(list[str]):
    """Takes what Alembic writes, a statement at a time."""

    def write(self, text: str) -> int:
        self.append(text)
        return len(text)

    def flush(self) -> None:
        """There is nothing to be flushed."""


def rendered(folder: Folder, revision: Revision, direction: Direction) -> list[str]:
    """What the revision would execute. Raises Unreadable."""
    written = _Written()
    # It would say that it generates SQL, after an env.py that has asked for its log.
    logging.getLogger(MigrationContext.__module__).addFilter(_nothing)
    try:
        return _rendered(folder, revision, direction, written)
    finally:
        logging.getLogger(MigrationContext.__module__).removeFilter(_nothing)


def _nothing(record: logging.LogRecord) -> bool:
    return False


def _silent() -> None:
    pass


def _rendered(folder: Folder, revision: Revision, direction: Direction, written: _Written) -> list[str]:
    context = MigrationContext.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},
        opts={"as_sql": True, "literal_binds": True, "output_buffer": cast(TextIO, written)},
    )
    # What an autocommit_block writes around its statements, which are all that is judged.
    context.impl.emit_begin = context.impl.emit_commit = _silent  # type: ignore[method-assign]
    module = folder.script.get_revision(revision.id).module
    with (
        users_own(revision.id, lambda _, why: Unreadable(why)),
        Operations.context(context),
    ):
        (module.upgrade if direction == "up" else module.downgrade)()
    return written
