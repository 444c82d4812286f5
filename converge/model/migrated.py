"""What the commands of `converge migrations` came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from converge.model.definitions import Differs
from converge.model.revision import Revision, Standing

Action = Literal["generate", "run", "revert", "show", "check"]


@dataclass(frozen=True, slots=True)
class Migrated:
    """Revisions that were run, taken back, or looked at."""

    action: Action
    target: str
    folder: str
    version_table: str
    revisions: tuple[Standing, ...]
    """All of them, as they stand now."""
    ran: tuple[str, ...] = ()
    """Run, or taken back, in this order."""
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
        document = asdict(self) | {"target": {"url": self.target}}
        return head(self.action, self.verdict) | document | {"findings": []}


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
        made: Mapping[str, Any] = asdict(self.revision) if self.revision else {}
        return head("generate", self.verdict) | asdict(self) | {
            "target": {"url": self.target},
            "revision": {name: made[name] for name in ("id", "name", "down", "path")} if made else None,
            "findings": [],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """A database beside what its revisions make."""

    target: str
    folder: str
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
        document = {"exit_code": self.exit_code, "target": {"url": self.target}, "folder": self.folder}
        return head("check", self.verdict) | document | {"differs": differs, "findings": []}


def head(action: Action, verdict: str) -> dict[str, Any]:
    """How each document of these commands begins."""
    return {"converge": 1, "command": "migrations", "action": action, "verdict": verdict, "exit_code": 0}
