"""Rules of `schema_maps/*.toml`: ordered, first match wins, a user's before the shipped ones."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from converge.errors import UsageError
from converge.model.catalog import Column, Table
from converge.resources import folder

_MATCH_KEYS = frozenset({"type", "unsigned", "identity", "length", "table", "column"})
_RULE_KEYS = frozenset({"match", "to", "why", "note"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a map, with the place where it stands for messages."""

    place: str
    match: dict[str, Any]
    to: str
    why: str
    note: str = ""

    def matches(self, table: Table, column: Column, *, identity: bool) -> bool:
        return all(self._holds(key, wanted, table, column, identity) for key, wanted in self.match.items())

    def _holds(self, key: str, wanted: Any, table: Table, column: Column, identity: bool) -> bool:
        match key:
            case "type":
                return column.type in ([wanted] if isinstance(wanted, str) else wanted)
            case "unsigned":
                return column.unsigned is wanted
            case "identity":
                return identity is wanted
            case "length":
                return bool((column.precision if column.length is None else column.length) == wanted)
            case "table":
                return fnmatchcase(table.name, wanted)
            case _:
                return fnmatchcase(column.name, wanted)

    def target_type(self, column: Column) -> str:
        """`to` with the column's own length, precision, scale and fractional-second digits."""
        return self.to.format(
            length=column.length, precision=column.precision, scale=column.scale, fsp=column.fsp
        )


def load(names: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules of the named maps or map files in order, then those of ``mysql8``.

    Raises UsageError for a map that is not there, is no TOML, or has a key that means nothing.
    """
    rules: list[Rule] = []
    for name in [*names, "mysql8"]:
        rules.extend(_read(_find(name)))
    return tuple(rules)


def _find(name: str) -> Path:
    shipped = folder("schema_maps")
    for path in (Path(name), shipped / f"{name}.toml"):
        if path.is_file():
            return path
    known = sorted(path.stem for path in shipped.glob("*.toml"))
    raise UsageError(
        f"there is no map {name!r}" + _did_you_mean(name, known),
        code="M001",
        hint=f"--map FILE.toml, or one of: {', '.join(known)}",
    )


def _read(path: Path) -> Iterable[Rule]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is no TOML: {error}", code="M002") from error
    _known(path.name, document, frozenset({"map", "type", "column"}))
    for section in ("column", "type"):
        for number, entry in enumerate(document.get(section, []), 1):
            place = f"{path.stem} [[{section}]] {number}"
            _known(place, entry, _RULE_KEYS)
            match = entry.get("match", {})
            _known(place, match, _MATCH_KEYS)
            if not isinstance(entry.get("to"), str):
                raise UsageError(f"{place}: a rule needs `to`, the PostgreSQL type", code="M002")
            yield Rule(place, match, entry["to"], entry.get("why", "the map says so"), entry.get("note", ""))


def _known(place: str, entry: dict[str, Any], keys: frozenset[str]) -> None:
    for key in entry:
        if key not in keys:
            raise UsageError(f"{place}: {key!r} means nothing here" + _did_you_mean(key, keys), code="M002")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
