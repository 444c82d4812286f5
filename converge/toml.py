"""TOML files that models describe: what is refused is told with its place, and with what may be meant."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from inspect import isclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from converge.codes import Code
from converge.errors import UsageError, did_you_mean


class Table(BaseModel):
    """A table of a file. A key that it does not have is refused, and no value becomes one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("no name and no text of PostgreSQL holds a NUL")
    return text


Text = Annotated[str, AfterValidator(_without_nul)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
T = TypeVar("T", bound=Table)
Loc = tuple[str | int, ...]
"""Keys, and numbers in lists: where something is in a document."""

_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list of strings",
    "list_type": "a list of strings",
}


def read_toml(path: Path, code: Code) -> dict[str, Any]:
    """The file's content. Raises UsageError for a file that is not TOML, or that cannot be read."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} is not valid TOML: {error}", code=code) from error
    except OSError as error:
        hint = "name a file that you may read"
        raise UsageError(f"{path} cannot be read: {error.strerror}", code=code, hint=hint) from error


def checked(kind: type[T], document: Any, file: str, code: Code, *, secret: bool = False) -> T:
    """The document as this model.

    Raises UsageError for the first thing that is wrong. Of a `secret` document no value is told.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # An unknown key goes first: it may be the one that is missing.
    first = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    path, value = _present(document, first["loc"])
    here, rest = _place(file, path), first["loc"][len(path) :]
    known = _keys(kind, path if rest else path[:-1])
    match first["type"]:
        case "extra_forbidden" if not rest:
            message = (
                f"{_place(file, path[:-1])}: unknown key {path[-1]!r}{did_you_mean(str(path[-1]), known)}"
            )
            raise UsageError(message, code=code, hint=f"it may have: {', '.join(known)}")
        case "missing" if len(rest) == 1:
            needed = ", ".join(name for name, field in known.items() if field.is_required())
            raise UsageError(f"{here} has no {rest[0]}", code=code, hint=f"it needs: {needed}")
        case "value_error":
            raise UsageError(f"{here}: {first['ctx']['error']}", code=code)
        case "model_type" if not rest:
            raise UsageError(f"{here} must be a table", code=code, hint="{ key = value }")
        case "tuple_type" if not rest and _table(known[str(path[-1])].annotation):
            raise UsageError(f"{_place(file, path[:-1])}: write [[{path[-1]}]], not [{path[-1]}]", code=code)
    # Of a union each member has an error, and says what it expects.
    same = [one for one in errors if _present(document, one["loc"])[0] == path]
    if isinstance(path[-1], int):
        path, expected = path[:-1], ["a list of strings"]
        value = _present(document, path)[1]
    else:
        expected = [*dict.fromkeys(map(_expected, same))]
    words = re.findall("'([^']+)'", " ".join(one.get("ctx", {}).get("expected", "") for one in same))
    near = did_you_mean(value, words) if isinstance(value, str) and not secret else ""
    said = "" if secret else f", not {value!r}"
    message = f"{_place(file, path[:-1])}: {path[-1]} must be {' or '.join(expected)}{said}{near}"
    raise UsageError(message, code=code, hint=_keys(kind, path[:-1])[str(path[-1])].description)


def _present(document: Any, loc: Loc) -> tuple[Loc, Any]:
    """What the document has of this, and the value there; the rest names a type's members, or what lacks."""
    value = document
    for place, part in enumerate(loc):
        try:
            value = value[part]
        except (LookupError, TypeError):
            return loc[:place], value
    return loc, value


def _keys(kind: type[BaseModel], path: Loc) -> dict[str, FieldInfo]:
    """The keys that the table at this path may have."""
    table: type[BaseModel] | None = kind
    for part in path:
        if isinstance(part, str) and table is not None:
            table = _table(_fields(table)[part].annotation)
    return _fields(table) if table else {}


def _fields(table: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _table(annotation: Any) -> type[BaseModel] | None:
    """The table, or the tables, that a key of this type holds; no union of a table with anything else."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    members = [one for one in get_args(annotation) if one not in (NoneType, Ellipsis)]
    return _table(members[0]) if len(members) == 1 else None


def _expected(error: ErrorDetails) -> str:
    if isinstance(error["loc"][-1], int):
        return "a list of strings"
    if error["type"] == "literal_error":
        return str(error["ctx"]["expected"]).replace("True", "true").replace("False", "false")
    # Any other member of a union is a table of one key.
    return _EXPECTED.get(error["type"], "{ replace = … }")


def _place(file: str, path: Sequence[str | int]) -> str:
    """``mine.toml [[column]] #2 match``: where a table is."""
    words = [file]
    for place, part in enumerate(path):
        if isinstance(part, int):
            words[-1] = f"[{words[-1].strip('[]')}]" if place == 1 else words[-1]
            words[-1] = f"[{words[-1]}] #{part + 1}"
        else:
            words.append(f"[{part}]" if place == 0 else part)
    return " ".join(words)
