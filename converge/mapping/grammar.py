"""What may stand in a map file: sections, what they match, what they set; and the same as a JSON Schema.

python -m converge.mapping.grammar > schema_maps/map.schema.json
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converge.codes import Code
from converge.errors import UsageError, did_you_mean
from converge.types.traps import KINDS

_TEXT: dict[str, Any] = {"type": "string"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_GLOB = {"type": "string", "description": "a name, or a pattern with * and ?"}
_TYPES = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}], "description": "MySQL DATA_TYPE, or a list"}


def _policies() -> dict[str, Any]:
    traps = {}
    for name, kind in KINDS.items():
        words = {"enum": ["stop", *(policy for policy in kind.policies if policy != "replace")]}
        other = {"type": "object", "properties": {"replace": _TEXT}, "required": ["replace"]}
        traps[name] = {
            "description": f"rows that {kind.words}",
            **({"oneOf": [words, other]} if "replace" in kind.policies else words),
        }
    return {"type": "object", "additionalProperties": False, "properties": traps}


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of entry: the keys that it matches by and the settings that it makes, as JSON Schema."""

    match: Mapping[str, dict[str, Any]]
    settings: Mapping[str, dict[str, Any]]
    needs: tuple[str, ...] = ()
    """Settings without which an entry means nothing."""
    match_needs: tuple[str, ...] = ()


_COLUMN = Section(
    match={
        "table": _GLOB,
        "column": _GLOB,
        "type": _TYPES,
        "unsigned": _FLAG,
        "nullable": _FLAG,
        "identity": {**_FLAG, "description": "AUTO_INCREMENT, or joined to such a column by foreign keys"},
        "length": {"type": "integer", "description": "characters, bytes or bits that the column declares"},
        "width": {"type": "integer", "description": "display width: tinyint(1) has 1"},
        "charset": _GLOB,
        "collation": _GLOB,
        "fits": {"const": True, "description": "only when the scan shows that every value fits `to`"},
    },
    settings={
        "to": {**_TEXT, "description": "PostgreSQL type, {length} {precision} {scale} {fsp} from the column"},
        "using": {**_TEXT, "description": "MySQL expression of the value, {} being the column"},
        "default": {"oneOf": [_TEXT, {"const": False}], "description": "PostgreSQL expression; false: none"},
        "rename": _TEXT,
        "skip": _FLAG,
        "collation": {**_TEXT, "description": 'a collation of the target, or "source" for one like MySQL\'s'},
        "policy": {**_policies(), "description": "what becomes of values that the target type cannot hold"},
    },
)  # fmt: skip
SECTIONS: Mapping[str, Section] = {
    "column": _COLUMN,
    "type": _COLUMN,
    "table": Section(
        {"table": _GLOB},
        {
            "rename": _TEXT,
            "skip": _FLAG,
            "rows": {
                "enum": ["source", "target", "merge"],
                "description": "whose rows stay where the target's table has some; merge keeps both, by key",
            },
        },
    ),
    "target": Section(
        {"table": _GLOB, "column": _GLOB},
        {"keep": {"const": True, "description": "what only the target has stays as it is"}},
    ),
    "index": Section(
        {"table": _GLOB, "index": _GLOB, "kind": {"enum": ["BTREE", "HASH", "FULLTEXT", "SPATIAL"]}},
        {"skip": _FLAG, "method": {"enum": ["btree", "hash", "gin"]}},
    ),
    "foreign_key": Section(
        {"table": _GLOB, "foreign_key": _GLOB},
        {"skip": _FLAG, "validate": {**_FLAG, "description": "false: rows that are there are not checked"}},
    ),
}
"""Rules, in the order in which a file's sections are asked."""
BACKFILL = Section(
    match={
        "target": {**_TEXT, "description": "a column of the table"},
        "source": {**_TEXT, "description": "the query's column with the same text"},
        "ignore_case": _FLAG,
    },
    settings={
        "name": {**_TEXT, "description": "converge backfill NAME"},
        "table": {**_TEXT, "description": "the table of the target"},
        "column": {**_TEXT, "description": "the column to fill"},
        "key": {**_TEXT, "description": "the column that identifies a row in the audit: NOT NULL and unique"},
        "from": {**_TEXT, "description": "the database that is asked: --from NAME=URL or CONVERGE_NAME_URL"},
        "query": {**_TEXT, "description": "one query of that database, with columns for match and value"},
        "value": {**_TEXT, "description": "the query's column with the values"},
        "show": {**_TEXT, "description": "a column of the table by which people know a row"},
        "existing": {
            "enum": ["keep", "check", "overwrite"],
            "description": "rows with a value: left alone (the default), failed if it differs, or written",
        },
        "shared": {**_FLAG, "description": "true: several rows may have the same value"},
    },
    needs=("name", "table", "column", "key", "from", "query", "value", "match"),
    match_needs=("target", "source"),
)
_ALL = {**SECTIONS, "backfill": BACKFILL}
_WORDS = {"why": _TEXT, "note": _TEXT}
_HEADER = {
    "name": _TEXT,
    "about": _TEXT,
    "extends": {"type": "array", "items": _TEXT, "description": "maps that are asked after this one"},
}
_NAMES = {"type": "array", "items": _TEXT}
_CHECK: Mapping[str, dict[str, Any]] = {
    "name": _TEXT,
    "target": {**_TEXT, "description": "one query for PostgreSQL"},
    "source": {**_TEXT, "description": "one query for MySQL"},
    "equals": {
        "oneOf": [{"type": "number"}, _TEXT, _FLAG],
        "description": "the one value that the queries must give",
    },
    "at_least": {"type": "number", "description": "the one value that the queries must reach"},
    "where_source_has": {**_NAMES, "description": "tables of the source without which nothing is checked"},
    "seconds": {"type": "integer", "description": "the most that each query may take; 300 without it"},
    "why": _TEXT,
}
_NEEDED = ("name", "target")
_PROVISION: Mapping[str, dict[str, Any]] = {
    "template": {**_TEXT, "description": "the database that CREATE DATABASE copies"},
    "encoding": _TEXT,
    "collate": {**_TEXT, "description": "a libc locale"},
    "ctype": {**_TEXT, "description": "a libc locale"},
    "extensions": _NAMES,
}
_APPLICATION: Mapping[str, dict[str, Any]] = {
    "tables": {**_NAMES, "description": "tables that the application's own migrations make"},
    "migrate": {**_TEXT, "description": "the command that runs them"},
}


def check(place: str, document: Mapping[str, Any]) -> None:
    """Raises UsageError for a key or a value that means nothing, with the nearest that does."""
    if any("\0" in text for text in _texts(document)):
        raise UsageError(f"{place}: no name and no text of PostgreSQL holds a NUL", code=Code.M002)
    _known(place, document, ["map", "application", "provision", *_ALL, "check"])
    _values(f"{place} [map]", document.get("map", {}), _HEADER)
    if "application" in document:
        _values(f"{place} [application]", document["application"], _APPLICATION, needed=("tables",))
    _values(f"{place} [provision]", document.get("provision", {}), _PROVISION)
    for here, entry in _entries(place, document, "check"):
        _values(here, entry, _CHECK, needed=_NEEDED)
    for name, section in _ALL.items():
        for here, entry in _entries(place, document, name):
            _values(here, entry, {**section.settings, **_WORDS, "match": {}}, needed=section.needs)
            _values(f"{here} match", entry.get("match", {}), section.match, needed=section.match_needs)
            if not entry.keys() & section.settings.keys():
                wanted = ", ".join(section.settings)
                raise UsageError(f"{here} decides nothing", code=Code.M002, hint=f"it needs one of: {wanted}")
            if "policy" in entry:
                _values(f"{here} policy", entry["policy"], section.settings["policy"]["properties"])


def _entries(place: str, document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """The entries of a section, each with its place."""
    entries = document.get(name, [])
    if not isinstance(entries, list):
        raise UsageError(f"{place}: write [[{name}]], not [{name}]", code=Code.M002)
    for number, entry in enumerate(entries, 1):
        yield f"{place} [[{name}]] {number}", entry


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _known(place: str, entry: Mapping[str, Any], keys: Iterable[str]) -> None:
    known = list(keys)
    for key in entry:
        if key not in known:
            raise UsageError(f"{place}: {key!r} means nothing here{did_you_mean(key, known)}", code=Code.M002)


def _values(
    place: str, entry: Any, schemas: Mapping[str, dict[str, Any]], *, needed: Sequence[str] = ()
) -> None:
    if not isinstance(entry, dict):
        raise UsageError(f"{place} must be a table", code=Code.M002, hint="{ key = value }")
    _known(place, entry, schemas)
    for key in needed:
        if key not in entry:
            raise UsageError(f"{place} has no {key}", code=Code.M002, hint=f"it needs: {', '.join(needed)}")
    for key, value in entry.items():
        if not _holds(schemas[key], value):
            words = [str(word) for word in _words(schemas[key])]
            hint = f"{key} = one of: {', '.join(words)}" if words else schemas[key].get("description", "")
            near = did_you_mean(value, words) if isinstance(value, str) else ""
            raise UsageError(
                f"{place}: {key} = {value!r} means nothing here{near}", code=Code.M002, hint=hint
            )


def _words(schema: Mapping[str, Any]) -> list[Any]:
    inner = [word for one in schema.get("oneOf", ()) for word in _words(one)]
    replace = ["{ replace = … }"] if "replace" in schema.get("properties", ()) else []
    return [*schema.get("enum", ()), *inner, *replace]


def _holds(schema: Mapping[str, Any], value: Any) -> bool:
    """The part of JSON Schema that the sections use."""
    if "oneOf" in schema:
        return any(_holds(one, value) for one in schema["oneOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if "const" in schema:
        return value is schema["const"]
    match schema.get("type"):
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "array":
            return isinstance(value, list) and all(_holds(schema["items"], one) for one in value)
        case "object":
            # Its keys are checked with a place of their own, but for a replacement's one.
            return isinstance(value, dict) and ("required" not in schema or [*value] == schema["required"])
    return True


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a map file, for editors."""
    application = _table(_APPLICATION, ("tables",))
    properties: dict[str, Any] = {
        "map": _table(_HEADER),
        "application": application,
        "provision": _table(_PROVISION),
    }
    for name, section in _ALL.items():
        match = _table(section.match, section.match_needs)
        entry = {"match": match, **section.settings, **_WORDS}
        properties[name] = {"type": "array", "items": _table(entry, section.needs)}
    properties["check"] = {"type": "array", "items": _table(_CHECK, _NEEDED)}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A map of converge",
        **_table(properties),
    }


def _table(properties: Mapping[str, Any], needs: Sequence[str] = ()) -> dict[str, Any]:
    required = {"required": list(needs)} if needs else {}
    return {"type": "object", "additionalProperties": False, "properties": dict(properties), **required}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
