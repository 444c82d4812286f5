"""Map files: a name of a shipped one or a path, what it extends, and the default map last."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.checks import read_application, read_checks
from converge.mapping.grammar import SECTIONS, check
from converge.mapping.rules import Map, Rule
from converge.resources import folder

DEFAULT = "mysql8"


Documents = Sequence[tuple[str, dict[str, Any]]]
"""Maps as they were read: each file's path and content."""


def load(names: Sequence[str] = ()) -> Map:
    """The rules of the named maps or map files in order, then those of ``mysql8``; with all their checks.

    Raises UsageError.
    """
    return load_documents([(str(path), document) for path, document in documents(names)])


def load_documents(files: Documents) -> Map:
    """The rules of maps that were read before."""
    applications = (read_application(Path(path).stem, document) for path, document in files)
    return Map(
        tuple(rule for path, document in files for rule in _rules(Path(path), document)),
        checks=tuple(check for path, document in files for check in read_checks(Path(path).stem, document)),
        applications=tuple(filter(None, applications)),
    )


def documents(names: Sequence[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What the named maps hold, and ``mysql8`` last: each file with its content, checked.

    Raises UsageError for a map that is not there, is no TOML, or has a key that means nothing.
    """
    seen: set[Path] = set()
    for name in [*names, DEFAULT]:
        yield from _read(_find(name, Path()), seen)


def provision(names: Sequence[str]) -> dict[str, Any]:
    """What the named maps want of a new database; the first that says a key decides. Raises UsageError."""
    found: dict[str, Any] = {}
    for _, document in documents(names):
        found = {**document.get("provision", {}), **found}
    return found


def shipped() -> list[str]:
    """Names of the maps that come with converge."""
    files = sorted(folder("schema_maps").glob("*.toml"))
    return [path.stem for path in files if "map" in tomllib.loads(path.read_text("utf-8"))]


def _read(path: Path, seen: set[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A file and its content, and then those of the maps that it extends, each file once."""
    if path in seen:
        return
    seen.add(path)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is no TOML: {error}", code=Code.M002) from error
    check(path.name, document)
    yield path, document
    for name in document.get("map", {}).get("extends", []):
        yield from _read(_find(name, path.parent), seen)


def _rules(path: Path, document: dict[str, Any]) -> Iterator[Rule]:
    shipped = path.parent == folder("schema_maps").resolve()
    for section in SECTIONS:
        for number, entry in enumerate(document.get(section, []), 1):
            yield _rule(path.stem, section, number, entry, shipped=shipped)


def _rule(stem: str, section: str, number: int, entry: dict[str, Any], *, shipped: bool) -> Rule:
    settings = {key: entry[key] for key in SECTIONS[section].settings if key in entry}
    return Rule(
        section,
        f"{stem} [[{section}]] {number}",
        entry.get("match", {}),
        settings,
        entry.get("why", "the map says so"),
        entry.get("note", ""),
        shipped,
    )


def _find(name: str, beside: Path) -> Path:
    for path in (Path(name), beside / name, folder("schema_maps") / f"{name}.toml"):
        if path.is_file():
            return path.resolve()
    known = shipped()
    raise UsageError(
        f"there is no map {name!r}" + did_you_mean(name, known),
        code=Code.M001,
        hint=f"--map FILE.toml, or one of: {', '.join(known)}",
    )
