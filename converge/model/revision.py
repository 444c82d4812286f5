"""Alembic revisions of the user's own folder, as values, and what the commands that move them came to."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Literal

from converge.model.definitions import Differs
from converge.model.documents import document

_WORD = re.compile(r"\w+")
Direction = Literal["up", "down"]
State = Literal["applied", "pending", "unknown"]
Restores = Literal["all", "catalog", "nothing"]
Action = Literal["run", "revert", "show"]


@dataclass(frozen=True, slots=True)
class Revision:
    """One file of the folder."""

    id: str
    name: str
    """The first line of its docstring."""
    down: tuple[str, ...]
    """What it follows; empty for the first."""
    path: str
    text: str
    baseline: str = ""
    """The digest of the definitions that it was made from, when those of a database; else empty."""
    restores: Restores = "all"
    """What its downgrade promises to bring back: rows and catalog, the catalog alone, or nothing."""
    schema: str = ""
    """That the baseline describes; empty where it is none."""

    @property
    def names_ledger(self) -> bool:
        """Whether any of its texts has the name of converge's schema.

        Else the ledger, which each database has of its own, would be at stake with every `UPDATE`.
        """
        return "converge" in self._constants

    @property
    def words(self) -> frozenset[str]:
        """The words of its texts, in lower case: it names nothing else."""
        return frozenset(_WORD.findall(self._constants))

    @property
    def _constants(self) -> str:
        nodes = (node for node in ast.walk(ast.parse(self.text)) if isinstance(node, ast.Constant))
        return "\n".join(str(node.value).lower() for node in nodes)


@dataclass(frozen=True, slots=True)
class Applied:
    """What a database says of the folder's revisions, as env.py looks at it."""

    heads: tuple[str, ...]
    """The version table's rows."""
    table: tuple[str, str]
    """Schema and name of the version table."""
    path: tuple[str, ...]
    """The schemas in which env.py's connection looks for names, in their order."""
    standard_strings: bool = False
    """Whether a backslash in a text is known to be just that there."""
    path_setting: tuple[str, str] = ("", "")
    """The setting `search_path` and the role, from which the server has made `path`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A revision with its state in one database."""

    id: str
    name: str
    state: State
    head: bool = False
    """Nothing of the folder follows it."""
    validated: tuple[Direction, ...] = ()
    """The directions in which exactly this text was validated."""


@dataclass(frozen=True, slots=True)
class Danger:
    """A statement of a revision of which nobody can say that it keeps every row."""

    revision: str
    statement: str
    reason: str


MOST = 1_000_000
"""Rows are counted up to here."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """Revisions that were run, reverted, or looked at."""

    action: Action
    target: str
    folder: str
    version_table: str
    revisions: tuple[Standing, ...]
    """All of them, as they stand now."""
    ran: tuple[str, ...] = ()
    """Run, or reverted, in this order."""
    stamped: tuple[str, ...] = ()
    """Noted as applied: the database was so already."""

    @property
    def verdict(self) -> str:
        if self.action != "show":
            done = "migrated" if self.action == "run" else "reverted"
            return done if self.ran or self.stamped else "nothing to do"
        states = {one.state for one in self.revisions}
        return next((state for state in ("unknown", "pending") if state in states), "current")

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        return document("migrations", self, findings=[])


@dataclass(frozen=True, slots=True)
class Generated:
    """A revision that was written, or why none was."""

    target: str
    folder: str
    revision: Revision | None
    """None where there is no difference."""
    origin: str
    """What it was made from, in words."""
    objects: tuple[str, ...]
    """What it makes, changes or removes, in its order."""
    left_out: tuple[str, ...] = ()
    """What no DDL is written for, and what is not the source's."""

    @property
    def verdict(self) -> str:
        return "nothing to do" if self.revision is None else "generated"

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        keys = ("id", "name", "down", "path")
        made = {key: getattr(self.revision, key) for key in keys} if self.revision else None
        return document("migrations", self, action="generate", revision=made, findings=[])


@dataclass(frozen=True, slots=True)
class Checked:
    """A database beside what its revisions make."""

    target: str
    folder: str
    schema: str
    differs: tuple[Differs, ...]
    """Before: as the revisions make it; after: as it is."""

    @property
    def verdict(self) -> str:
        return "differs" if self.differs else "current"

    @property
    def exit_code(self) -> int:
        return 1 if self.differs else 0

    def to_json(self) -> dict[str, Any]:
        """The document that --json prints."""
        differs = [{"object": one.object, "words": one.words} for one in self.differs]
        return document("migrations", self, action="check", differs=differs, findings=[])
