"""The steps of one command, as Alembic asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alembic.runtime.migration import MigrationContext, RevisionStep, StampStep

from converge.model.event import Said, Sink, silent
from converge.postgres.held import Relation
from converge.revisions.gate.again import require_empty

Steps = Callable[[tuple[str, ...], MigrationContext], Iterator[RevisionStep | StampStep]]
Spared = Mapping[str, Sequence[Relation]]
"""By revision: what it would lose, if it had rows."""


@dataclass
class Way:
    """The steps of one command: said as they are done, and where they have led."""

    steps: Steps
    emit: Sink = silent
    spared: Spared = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    at: str = ""
    led_to: tuple[str, ...] | None = None
    version: str = ""
    """The server's, once a step begins."""

    def __call__(
        self, heads: tuple[str, ...], context: MigrationContext
    ) -> Iterator[RevisionStep | StampStep]:
        self.version = ".".join(map(str, getattr(context.dialect, "server_version_info", None) or ()))
        for step in self.steps(heads, context):
            one = step.to_revisions[0] if step.is_upgrade else step.from_revisions[0]
            self.at = f"{'upgrade' if step.is_upgrade else 'downgrade'} {one}"
            self.emit(Said(self.at))
            self._guard(step, one, context)
            yield step
            self.done.append(one)
        self.at = ""
        self.led_to = tuple(sorted(context.get_current_heads()))

    def _guard(self, step: RevisionStep | StampStep, revision: str, context: MigrationContext) -> None:
        """Lets the step look again, in its own transaction and before anything else."""
        relations = self.spared.get(revision)
        if not relations:
            return
        own = step.migration_fn

        def guarded(**how: Any) -> None:
            assert context.connection is not None
            require_empty(context.connection, revision, relations)
            own(**how)

        step.migration_fn = guarded
