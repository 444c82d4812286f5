"""Findings as reports show them: by severity, then by code. What those of a code share is said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from converge.codes import Code, explained
from converge.errors import listed
from converge.model.finding import Finding
from converge.report.words import Tone, short

LEVELS: tuple[tuple[str, str, str, Tone], ...] = (
    ("block", "blocker", "Blockers", "bad"),
    ("lossy", "loss", "Losses", "warn"),
    ("absent", "not migrated", "Not migrated", "warn"),
    ("after", "after the cutover", "After the cutover", "quiet"),
    ("note", "note", "Notes", "quiet"),
)
"""What findings of one level are, singular and plural."""
_MOST_NAMES = 8
"""Of a group of findings, in one line."""


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one code. What all of them share is said once."""

    code: Code
    findings: tuple[Finding, ...]

    @property
    def message(self) -> str:
        """The message, when it is the same for all."""
        return self._shared([finding.message for finding in self.findings])

    @property
    def hint(self) -> str:
        return self._shared([finding.hint for finding in self.findings])

    @property
    def first(self) -> str:
        return short(self.findings[0].message)

    @property
    def title(self) -> str:
        """The message that all share, or what the code means."""
        return short(self.message) or explained(self.code).title

    @property
    def names(self) -> str:
        """Some of the objects."""
        return listed([*dict.fromkeys(finding.object for finding in self.findings)], _MOST_NAMES)

    @property
    def names_only(self) -> bool:
        """Whether the findings say nothing of their own but the object."""
        same = bool(self.message) and len({finding.hint for finding in self.findings}) == 1
        return same and not any(finding.evidence for finding in self.findings)

    def _shared(self, words: Sequence[str]) -> str:
        return words[0] if len(set(words)) == 1 else ""


@dataclass(frozen=True, slots=True)
class Level:
    """The findings of one severity; what is not migrated is apart from losses."""

    name: str
    title: str
    tone: Tone
    groups: tuple[Group, ...]
    more: int = 0
    """Findings that are counted and not shown."""

    @property
    def heading(self) -> str:
        """The title above them: a finding may be about several objects, and some objects have none."""
        return "Why objects are not migrated" if self.name == "absent" else self.title

    @property
    def count(self) -> int:
        return sum(len(group.findings) for group in self.groups) + self.more

    def cut(self, most: int) -> Level:
        """The first findings of it; the others are counted."""
        groups, room = [], most
        for group in self.groups:
            if room > 0:
                groups.append(Group(group.code, group.findings[:room]))
                room -= len(group.findings)
        return replace(self, groups=tuple(groups), more=max(self.count - most, 0))


@dataclass(frozen=True, slots=True)
class Findings:
    """By severity, then by code; only what occurs."""

    levels: tuple[Level, ...]
    clipped: bool = False
    """Whether a narrow terminal has one line for each message and fix, cut at its end."""
    all: str = "--show findings"
    """The option that shows those that are only counted."""

    def cut(self, most: int) -> Findings:
        """The first of each level; the others are counted."""
        return replace(self, levels=tuple(one.cut(most) for one in self.levels))


def findings(found: Iterable[Finding]) -> Findings:
    """Findings by level, then by code."""
    codes: dict[tuple[str, Code], list[Finding]] = {}
    for finding in found:
        codes.setdefault((finding.level, finding.code), []).append(finding)
    levels = []
    for name, _, title, tone in LEVELS:
        groups = (Group(code, tuple(codes[level, code])) for level, code in sorted(codes) if level == name)
        levels.append(Level(name, title, tone, tuple(groups)))
    return Findings(tuple(level for level in levels if level.groups))
