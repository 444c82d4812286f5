"""The service or build behind an address, by what the server says of itself, and what to do about it.

`providers.toml` has them, with the sources of each fact. No name of a host is looked at: proxies, tunnels and
private names hide it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from converge.resources import toml

if TYPE_CHECKING:
    import psycopg
    from pymysql.connections import Connection

Side = Literal["source", "target"]
Support = Literal["works", "limits", "refused", "unknown"]
_OWN = {
    "source": re.compile(r"version_comment=(MySQL|Source distribution|Homebrew|\(?(Debian|Ubuntu))"),
    "target": re.compile(r"version=PostgreSQL [\w.]+( \((Debian|Ubuntu|Homebrew)[^)]*\))? on "),
}
"""What servers say that MySQL and PostgreSQL themselves, or the packages of systems, have built."""
_UNKNOWN = "no test and no page covers this build: rehearse on a copy, and trust what the proof says"


@dataclass(frozen=True, slots=True)
class Provider:
    """A service or build, and what is known of it."""

    name: str
    page: str
    """Of docs/providers; empty for a build that nobody knows."""
    side: Side
    signs: tuple[str, ...]
    """Regular expressions; all match the beginning of a line of the server."""
    support: Support
    recipe: Mapping[str, str]
    """What to do, by subject."""
    sources: tuple[str, ...] = ()
    """Where the facts are from."""
    why: str = ""
    """Why it is refused, or works with limits."""
    refuses_flush: bool = False
    """FLUSH TABLES WITH READ LOCK is refused whatever is granted."""
    locks_nothing: bool = False
    """Rows arrive by its storage, which no lock holds off and no log of this server shows."""

    @property
    def hint(self) -> str:
        """The recipe as lines, and the page that has more."""
        lines = [f"{subject}: {text}" for subject, text in self.recipe.items()]
        return "\n".join([*lines, f"docs/providers/{self.page}.md"] if self.page else lines)


@cache
def providers() -> tuple[Provider, ...]:
    """All that are known, in the order in which they are asked."""
    return tuple(
        Provider(**entry | {"signs": tuple(entry["signs"]), "sources": tuple(entry["sources"])})
        for entry in toml("converge", "providers")["provider"]
    )


def pages() -> dict[str, str]:
    """The title of each page."""
    return dict(toml("converge", "providers")["pages"])


def recognize(side: Side, lines: Iterable[str], *, support: Support | None = None) -> Provider | None:
    """Who answers so, of all or of those with this support; None where no one of them does."""
    said = tuple(lines)
    for one in providers():
        if one.side != side or support not in (None, one.support):
            continue
        if all(any(re.match(sign, line) for line in said) for sign in one.signs):
            return one
    return None


def source_provider(connection: Connection[Any]) -> Provider | None:
    """Who runs this MySQL, by one query; None for a build of MySQL's own or of a system's packages."""
    names = sorted({*_names("source"), "version_comment"})
    query = f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(names))})"
    with connection.cursor() as cursor:
        cursor.execute(query, names)
        return _known_or_not("source", [f"{name}={value}" for name, value in cursor.fetchall()])


def _names(side: Side) -> set[str]:
    """What the signs begin with."""
    return {sign.partition("=")[0] for one in providers() if one.side == side for sign in one.signs}


_TARGET = """
SELECT 'version=' || version()
UNION ALL SELECT 'setting=' || s FROM unnest(%(setting)s::text[]) s WHERE current_setting(s, true) IS NOT NULL
UNION ALL SELECT 'role=' || rolname FROM pg_roles WHERE rolname = ANY (%(role)s)
UNION ALL SELECT 'function=' || proname FROM pg_proc WHERE proname = ANY (%(function)s)
UNION ALL SELECT 'extension=' || extname FROM pg_extension WHERE extname = ANY (%(extension)s)
"""


def target_provider(connection: psycopg.Connection[Any]) -> Provider | None:
    """Who runs this PostgreSQL, by one query; None as with MySQL."""
    signs = [sign.replace("\\", "").partition("=") for one in providers() for sign in one.signs]
    kinds = ("setting", "role", "function", "extension")
    names = {kind: [value for name, _, value in signs if name == kind] for kind in kinds}
    return _known_or_not("target", [line for (line,) in connection.execute(_TARGET, names).fetchall()])


def _known_or_not(side: Side, lines: list[str]) -> Provider | None:
    known = recognize(side, lines)
    if known is None and not any(_OWN[side].match(line) for line in lines):
        build = next((line.partition("=")[2] for line in lines if line.startswith("version")), "no version")
        return Provider(f"an unknown build ({build})", "", side, (), "unknown", {"unknown": _UNKNOWN})
    return known
