"""All that a plan follows from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.rules import Map
from converge.model.arguments import Checked
from converge.model.catalog import Catalog
from converge.model.evidence import NOTHING_KNOWN, Evidence
from converge.model.finding import Finding
from converge.model.plan import Compression
from converge.postgres.target import Target

NEWEST = "17.5"
"""The version that is planned for when no target is named."""


@dataclass(frozen=True, slots=True)
class Selection(Checked):
    """--include and --exclude: globs over table names; no include means all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...] | None:
        """The tables, where --include names each of them and matches nothing that could be unseen."""
        if not self.include or any(set(glob) & set("*?[") for glob in self.include):
            return None
        return tuple(filter(self.takes, self.include))

    def takes(self, name: str) -> bool:
        included = not self.include or any(fnmatchcase(name, glob) for glob in self.include)
        return included and not any(fnmatchcase(name, glob) for glob in self.exclude)


def require_matches(selection: Selection, names: Sequence[str]) -> None:
    """A pattern that no table matches is a slip that would look like success. Raises UsageError."""
    require_match("include", selection.include, names)
    require_match("exclude", selection.exclude, names)


def require_match(option: str, globs: Sequence[str], names: Sequence[str]) -> None:
    """The same of one option's patterns."""
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise UsageError(
                f"--{option} {glob}: the source has no such table{did_you_mean(glob, names)}",
                code=Code.U010,
                hint="`converge plan --show tables` lists them; names keep their case",
            )


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that a plan follows from."""

    catalog: Catalog
    map: Map
    source: str = ""
    target: str = ""
    schema: str = "public"
    selection: Selection = Selection()
    facts: Target | None = None
    """What the target is and has; None where none is named."""
    own: frozenset[str] = frozenset()
    """What the plan calls its tables and views: what has these names in the target is an earlier run's."""
    refused_checks: Mapping[str, str] = field(default_factory=dict)
    """Why the target cannot understand the queries of checks, by their places."""
    lacking: tuple[Finding, ...] = ()
    """What either side lacks for a run: privileges, mostly."""
    snapshot: str = ""
    """What the source user's privileges allow, in words."""
    evidence: Evidence = NOTHING_KNOWN
    strict: bool = False
    """Whether a rule that matches nothing blocks."""
    compression: Compression = "lz4"
    """By what the target should compress long values, where it can."""
    may_hold_rows: bool = False
    """Whether planned tables may exist, and hold rows: an interrupted run's, or to be removed."""

    def takes(self, table: str) -> bool:
        """Whether the plan is about the table, by the options and the map."""
        return self.selection.takes(table) and not self.map.skips(table)

    @property
    def target_version(self) -> str:
        return self.facts.version if self.facts else NEWEST

    @property
    def left_over(self) -> tuple[tuple[str, str, str], ...]:
        """What an earlier run has made and nothing uses: kind, quoted name, bare name."""
        return self.facts.left_over if self.facts else ()
