"""What --json prints: how a command ended, then all that its result holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

WORST_FIRST = (
    "failed", "differs", "interrupted", "recovering", "running", "paused", "blocked", "never run", "migrated",
    "ready", "recovered", "nothing to recover", "finished", "verified",
)  # fmt: skip
"""All verdicts of commands over databases, and the states that `status` shows."""
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Nearly all that a plan of thousands of tables holds."""


def head(command: str, verdict: str, exit_code: int = 0) -> dict[str, Any]:
    """How each document begins."""
    return {"converge": 1, "command": command, "verdict": verdict, "exit_code": exit_code}


def document(command: str, result: DataclassInstance, **more: Any) -> dict[str, Any]:
    """A result with a `verdict`, and an `exit_code` unless that is 0; `more` keys add to its fields.

    A source or target is written with its URL, and the server's version where the result has it.
    """
    fields: dict[str, Any] = plain(result)
    for side in ("source", "target"):
        if side in fields:
            version = {"version": fields.pop(f"{side}_version")} if f"{side}_version" in fields else {}
            fields[side] = {"url": fields[side], **version}
    if "phases" in fields:
        fields["phases"] = [{"name": name, "seconds": round(took, 3)} for name, took in fields["phases"]]
    ended: Any = result
    return head(command, ended.verdict, getattr(ended, "exit_code", 0)) | fields | more


def plain(value: Any) -> Any:
    """A value with all that it holds as JSON has them: not asdict, which would copy every text of a plan."""
    kind = value.__class__
    if kind in _PLAIN:
        return value
    if names := _names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else ()


def worst(documents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The document that speaks for all: the first of those with the worst verdict."""
    return min(documents, key=lambda one: WORST_FIRST.index(one["verdict"]))


def together(command: str, documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The document of a command over databases by name; of a single one without a name, its own."""
    if not documents[0]["name"]:
        return {key: value for key, value in documents[0].items() if key != "name"}
    speaker = worst(documents)
    # `status` shows a failed run with exit code 0, beside a database that it could not look at.
    codes = (one["exit_code"] for one in (speaker, *documents))
    exit_code = next(filter(None, codes), 0)
    return head(command, speaker["verdict"], exit_code) | {"databases": list(documents)}
