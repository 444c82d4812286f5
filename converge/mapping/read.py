"""Map files: a name of a shipped one or a path, what it extends, and the default map last."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.mapping.grammar import HOOK_PHASES, SECTIONS, MapFile, check
from converge.mapping.rules import Map, Rule
from converge.mapping.sql import COLUMN, default, expression, one_query, one_transaction
from converge.model.check import Application, Check, Hook
from converge.resources import folder
from converge.toml import read_toml

DEFAULT = "mysql8"


Documents = Sequence[tuple[str, dict[str, Any]]]
"""Maps as they were read: each file's path and content."""


def load(names: Sequence[str] = ()) -> Map:
    """The rules of the named maps or map files in order, then those of ``mysql8``; with all their checks.

    Raises UsageError.
    """
    return load_documents(documents(names))


def load_documents(files: Documents) -> Map:
    """The rules of maps that were read before."""
    maps = [
        (name, path, document, check(path.name, document))
        for (path, name), (_, document) in zip(_named([Path(one) for one, _ in files]), files, strict=True)
    ]
    return Map(
        tuple(rule for name, path, document, _ in maps for rule in _rules(name, path, document)),
        checks=tuple(one for name, _, _, map_ in maps for one in _checks(name, map_)),
        hooks=tuple(one for name, _, _, map_ in maps for one in _hooks(name, map_)),
        applications=tuple(
            Application(map_.map.name or path.stem, map_.application.tables, map_.application.migrate)
            for _, path, _, map_ in maps
            if map_.application is not None
        ),
        shipped=_applications(),
    )


def _named(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each file with the name by which its entries are told: its own, after its folders where another file is
    called so, as a shipped map may be that it extends. A shipped one keeps its own."""
    found = []
    for path in paths:
        names = _longer_names(path)
        taken = {name for other in paths if other != path for name in _longer_names(other)}
        own = _is_shipped(path)
        found.append((path, names[0] if own else next((one for one in names if one not in taken), str(path))))
    return found


def _longer_names(path: Path) -> list[str]:
    """maps/shop.toml: shop, then maps/shop."""
    parts = path.with_suffix("").parts
    return ["/".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def _is_shipped(path: Path) -> bool:
    return path.parent == folder("schema_maps").resolve()


def documents(names: Sequence[str]) -> Documents:
    """What the named maps hold, each file before those that it extends, and ``mysql8`` last.

    Raises UsageError for a map that is not there, is not valid TOML, or has an unknown key.
    """
    found: dict[str, dict[str, Any]] = {}

    def read(path: Path) -> None:
        if str(path) in found:
            return
        found[str(path)] = document = read_toml(path, Code.M002)
        check(path.name, document)
        for name in document.get("map", {}).get("extends", []):
            read(_find(name, path.parent))

    for name in [*names, DEFAULT]:
        read(_find(name, Path()))
    return list(found.items())


@cache
def _applications() -> tuple[Application, ...]:
    """What the shipped maps know of applications; they are not checked here."""
    maps = [(file.stem, tomllib.loads(file.read_text("utf-8"))) for file in _shipped()]
    known = ((name, map_["application"]) for name, map_ in maps if "application" in map_)
    return tuple(Application(name, tuple(of["tables"]), of.get("migrate", "")) for name, of in known)


def _shipped() -> list[Path]:
    return sorted(folder("schema_maps").glob("*.toml"))


def provision(names: Sequence[str]) -> dict[str, Any]:
    """What the named maps want of a new database; the first that says a key decides. Raises UsageError."""
    found: dict[str, Any] = {}
    for _, document in documents(names):
        found = {**document.get("provision", {}), **found}
    return found


def _rules(name: str, path: Path, document: dict[str, Any]) -> Iterator[Rule]:
    shipped = _is_shipped(path)
    for section, kind in SECTIONS.items():
        for number, entry in enumerate(document.get(section, []), 1):
            rule = Rule(
                section,
                f"{name} [[{section}]] #{number}",
                entry.get("match", {}),
                {key: entry[key] for key in kind.settings() if key in entry},
                entry.get("why", "the map says so"),
                entry.get("note", ""),
                shipped,
            )
            _require_expressions(rule)
            yield rule


def _require_expressions(rule: Rule) -> None:
    """Raises UsageError where the rule's SQL is not what a map may hold, before any server is asked."""
    try:
        if using := rule.settings.get("using"):
            expression(using, COLUMN)
        if given := rule.settings.get("default"):
            default(given)
    except UsageError as error:
        raise UsageError(f"{rule.place}: {error}", code=error.code, hint=error.hint) from error


def _hooks(name: str, map_: MapFile) -> Iterator[Hook]:
    for number, hook in enumerate(map_.hook, 1):
        place = f"{name} [[hook]] #{number}"
        yield Hook(place, HOOK_PHASES[hook.phase], one_transaction(hook.sql, place), hook.why)


def _checks(name: str, map_: MapFile) -> Iterator[Check]:
    for number, entry in enumerate(map_.check, 1):
        place = f"{name} [[check]] #{number}"
        queries = {"target": one_query(entry.target, "postgres", f"{place} target =")}
        if entry.source is not None:
            queries["source"] = one_query(entry.source, "mysql", f"{place} source =")
        yield Check(**entry.model_dump(exclude={"source"}) | queries, place=place)


def _find(name: str, beside: Path) -> Path:
    for path in (Path(name), beside / name, folder("schema_maps") / f"{name}.toml"):
        if path.is_file():
            return path.resolve()
    known = [file.stem for file in _shipped() if "map" in tomllib.loads(file.read_text("utf-8"))]
    raise UsageError(
        f"there is no map {name!r}" + did_you_mean(name, known),
        code=Code.M001,
        hint=f"a file, for --map or for `map` in converge.toml, or one of: {', '.join(known)}",
    )
