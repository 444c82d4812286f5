"""TOML files that models describe: what is refused is told with its place, and with what may be meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from functools import reduce
from inspect import isclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, NamedTuple, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from converge.codes import Code
from converge.errors import UsageError, did_you_mean


class Table(BaseModel):
    """A table of a file. A key that it does not have is refused, and no value becomes one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("no name and no text of PostgreSQL holds a NUL")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
T = TypeVar("T", bound=Table)

_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list of strings",
    "list_type": "a list of strings",
}


def read_toml(path: Path, code: Code) -> dict[str, Any]:
    """The file's content. Raises UsageError for a file that is not TOML, and OSError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}", code=code) from error


def checked(kind: type[T], document: Any, file: str, code: Code, *, secret: bool = False) -> T:
    """The document as this model.

    Raises UsageError for the first thing that is wrong. Of a `secret` document no value is told.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        errors = [(_spot(kind, one["loc"]), one) for one in error.errors(include_url=False)]
        raise _refused(errors, document, file, code, secret=secret) from None


class _Spot(NamedTuple):
    table: type[BaseModel]
    """The table that has the key, or should not have it."""
    path: tuple[str | int, ...]
    """Keys of the file, and numbers of lists."""
    rest: tuple[str | int, ...]
    """What a key's type adds: members of a union, an unknown key."""


def _spot(kind: type[BaseModel], loc: tuple[str | int, ...]) -> _Spot:
    table: type[BaseModel] = kind
    inner: type[BaseModel] | None = kind
    for place, part in enumerate(loc):
        if isinstance(part, int):
            continue
        if inner is None or part not in _fields(inner):
            return _Spot(inner or table, loc[:place], loc[place:])
        table, inner = inner, _table(_fields(inner)[part].annotation)
    return _Spot(table, loc, ())


def _fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _table(annotation: Any) -> type[BaseModel] | None:
    """The table, or the tables, that a key of this type holds; no union of a table with anything else."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    members = [one for one in get_args(annotation) if one not in (NoneType, Ellipsis)]
    return _table(members[0]) if len(members) == 1 else None


def _refused(
    errors: Sequence[tuple[_Spot, ErrorDetails]], document: Any, file: str, code: Code, *, secret: bool
) -> UsageError:
    # An unknown key goes first: it may be the one that is missing.
    spot, first = min(errors, key=lambda one: one[1]["type"] != "extra_forbidden")
    known = _fields(spot.table)
    here, above = _place(file, spot.path), _place(file, spot.path[:-1])
    key = str(spot.path[-1]) if spot.path else ""
    match first["type"]:
        case "extra_forbidden" if len(spot.rest) == 1:
            message = f"{here}: unknown key {spot.rest[0]!r}{did_you_mean(str(spot.rest[0]), known)}"
            return UsageError(message, code=code, hint=f"it may have: {', '.join(known)}")
        case "missing" if not spot.rest:
            needed = ", ".join(name for name, field in known.items() if field.is_required())
            return UsageError(f"{above} has no {key}", code=code, hint=f"it needs: {needed}")
        case "value_error":
            return UsageError(f"{here}: {first['ctx']['error']}", code=code)
        case "model_type" if not spot.rest:
            return UsageError(f"{here} must be a table", code=code, hint="{ key = value }")
        case "tuple_type" if not spot.rest and _table(known[key].annotation):
            return UsageError(f"{above}: write [[{key}]], not [{key}]", code=code)
    return _wrong_value(
        [one for one in errors if one[0].path == spot.path], document, file, code, secret=secret
    )


def _wrong_value(
    errors: Sequence[tuple[_Spot, ErrorDetails]], document: Any, file: str, code: Code, *, secret: bool
) -> UsageError:
    """Of a union each member has an error, and says what it expects."""
    spot = errors[0][0]
    path = spot.path[:-1] if isinstance(spot.path[-1], int) else spot.path
    expected = dict.fromkeys(_expected(one, found) for one, found in errors)
    value = reduce(lambda inner, part: inner[part], path, document)
    words = [
        word
        for _, found in errors
        for word in re.findall("'([^']+)'", found.get("ctx", {}).get("expected", ""))
    ]
    near = did_you_mean(value, words) if isinstance(value, str) and not secret else ""
    said = "" if secret else f", not {value!r}"
    message = f"{_place(file, path[:-1])}: {path[-1]} must be {' or '.join(expected)}{said}{near}"
    return UsageError(message, code=code, hint=_fields(spot.table)[str(path[-1])].description)


def _expected(spot: _Spot, error: ErrorDetails) -> str:
    if isinstance((*spot.path, *spot.rest)[-1], int):
        return "a list of strings"
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("True", "true").replace("False", "false")
    # Any other member of a union is a table of one key.
    return _EXPECTED.get(error["type"], "{ replace = … }")


def _place(file: str, path: Sequence[str | int]) -> str:
    """``mine.toml [[column]] 2 match``: where a table is."""
    words = [file]
    for place, part in enumerate(path):
        if isinstance(part, int):
            words[-1] = f"[{words[-1].strip('[]')}]" if place == 1 else words[-1]
            words[-1] = f"[{words[-1]}] {part + 1}"
        else:
            words.append(f"[{part}]" if place == 0 else part)
    return " ".join(words)
