"""What a PostgreSQL server can do, by name and version (`capabilities.toml`), and what SQL asks of it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from converge.resources import toml

_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*|/\*.*?\*/)
      | (?P<text>[eEbBxXnN]?'(?:[^'\\]|''|\\.)*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<name>"(?:[^"]|"")*")
      | (?P<word>[^\W\d]\w*)
      | (?P<number>\d[\w.]*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that SQL may ask for, and the first major version that has it."""

    since: int
    instead: str
    """What does the same on an older server."""
    example: str
    """A statement that only servers with it carry out."""
    name: str = ""
    pattern: str = ""
    """What SQL with it looks like, as `_words` writes it."""
    functions: tuple[str, ...] = ()
    """Its functions, which somebody may have made in an older server."""

    def used_in(self, words: str, functions: Container[str]) -> str:
        """What of it SQL, as `_words` writes it, asks for beyond these functions; empty for nothing."""
        if not self.functions:
            return self.name if re.search(self.pattern, words) else ""
        names = "|".join(self.functions).upper()
        found = re.findall(rf"(?<!\. )\b({names}) \(|\bPG_CATALOG \. ({names}) \(", words)
        asked = dict.fromkeys((one or other).lower() for one, other in found)
        return _calls(name for name in asked if name not in functions)


def _calls(functions: Iterable[str]) -> str:
    return ", ".join(f"{name}()" for name in functions)


def _capability(functions: Sequence[str] = (), name: str = "", **entry: Any) -> Capability:
    return Capability(name=name or _calls(functions), functions=tuple(functions), **entry)


_DOCUMENT = toml("converge.postgres", "capabilities")
CAPABILITIES = tuple(_capability(**entry) for entry in _DOCUMENT["capability"])
FUNCTIONS = tuple(name for one in CAPABILITIES for name in one.functions)
"""Names that an older server may have from an extension, or from its users."""


def major(version: str) -> int:
    """``14`` of ``14.23``."""
    return int(version.partition(".")[0])


def lacking_for(sql: str, version: str, functions: Container[str] = ()) -> Iterator[tuple[str, Capability]]:
    """What this SQL asks for and a server of this version does not have, in words and as what it belongs to.

    `functions` are those of `FUNCTIONS` that are there all the same.
    """
    if _newer_than(version):
        words, asked = _asked(_alike(sql), version)
        yield from ((what, one) for one in asked if (what := one.used_in(words, functions)))


@cache
def _newer_than(version: str) -> list[Capability]:
    return [one for one in CAPABILITIES if one.since > major(version)]


@lru_cache(1024)
def _asked(sql: str, version: str) -> tuple[str, Sequence[Capability]]:
    """The words of such statements, and what they ask for whatever functions are there."""
    words = _words(sql)
    return words, [one for one in _newer_than(version) if one.used_in(words, ())]


_QUOTED = re.compile(r"""(")(?:[^"]|"")*"|(')(?:[^']|'')*'""")


def _alike(sql: str) -> str:
    """The statement with empty names and texts: thousands of tables have statements that differ in no more.

    Where a quote may be a comment's or have a backslash before it, the statement as it is.
    """
    odd = any(mark in sql for mark in ("\\", "--", "/*", "$"))
    return sql if odd else _QUOTED.sub(r"\1\1\2\2", sql)


def older(sql: str, version: str) -> tuple[list[str], str]:
    """Of a statement that a server refused: what its version lacks, in words, and what does the same."""
    newer = list(lacking_for(sql, version))
    told = [f"PostgreSQL has {what} from {one.since} on, and this is {version}" for what, one in newer]
    return told, "\n".join(one.instead for _, one in newer)


def _words(sql: str) -> str:
    """The words in capitals with a space between; texts and quoted names are one mark each."""
    made = []
    for token in _TOKEN.finditer(sql):
        kind = token.lastgroup if token.lastgroup != "tag" else "text"
        if kind in ("text", "name"):
            made.append("'" if kind == "text" else '"')
        elif kind != "skip":
            made.append(token[0].upper())
    return " ".join(made)
