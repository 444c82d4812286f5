"""JSON Schemas of the documents that --json, --report and -o write, and of `converge.toml`, for docs/schemas.

python -m tools.schemas docs/schemas
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_type_hints
from warnings import catch_warnings

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

from converge.model.event import Event
from converge.model.plan import Converted, Finding, Outcome, Plan
from converge.model.port import Hours, Work
from converge.model.recorded import PlanFile
from converge.model.recovery import Recovery
from converge.model.result import Result
from converge.model.revision import Checked, Generated, Migrated
from converge.model.validation import Validation
from converge.settings.file import Project


class Part(BaseModel):
    """A part of a document: it has these keys and no other."""

    model_config = ConfigDict(extra="forbid")


class Address(Part):
    url: str = Field(description="the address, without its password")


class Server(Address):
    version: str


class Phase(Part):
    name: str
    seconds: float


class PlannedTable(Part):
    source: str
    target: str
    rows_estimate: int


class Effort(Part):
    """An estimate by counting: the hours of each rule times how often it counts in what is left to port."""

    hours: Hours
    work: list[Work]


class PlanDocument(Part):
    """What becomes of every object of the source: `plan --json`."""

    converge: Literal[1]
    command: Literal["plan"]
    verdict: Literal["ready", "blocked"]
    exit_code: int
    source: Server
    target: Server
    tables: list[PlannedTable]
    findings: list[Finding]
    not_migrated: list[Outcome]
    losses: int
    conversion: list[Converted]
    effort: Effort
    phases: list[Phase]
    plan: Plan


class WrittenRevision(Part):
    id: str
    name: str
    down: tuple[str, ...]
    path: str


class Differing(Part):
    object: str
    words: str


def document_of(kind: type, about: str, *without: str, command: Any = str, **more: Any) -> type[BaseModel]:
    """What `model/documents.document` writes of this result; `more` are its keys that are no fields."""
    fields = get_type_hints(kind)
    verdict = fields.pop("verdict", None) or get_type_hints(kind.verdict.fget)["return"]  # type: ignore[attr-defined]
    for side in ("source", "target"):
        if side in fields:
            fields[side] = Server if fields.pop(f"{side}_version", None) else Address
    if "phases" in fields:
        fields["phases"] = list[Phase]
    head = {"converge": Literal[1], "command": command, "verdict": verdict, "exit_code": int}
    keys = {name: hint for name, hint in (head | fields | more).items() if name not in without}
    made: dict[str, Any] = {
        name: hint if isinstance(hint, tuple) else (hint, ...) for name, hint in keys.items()
    }
    with catch_warnings(category=UserWarning, action="ignore"):  # a model has a `schema` of its own
        return create_model(f"{kind.__name__}Document", __base__=Part, __doc__=about, **made)


def event_of(kind: type) -> type[BaseModel]:
    """What `report/export.event_line` writes of this event."""
    fields: dict[str, Any] = {"time": str, "event": Literal[kind.__name__], **get_type_hints(kind)}
    keys: dict[str, Any] = {name: (hint, ...) for name, hint in fields.items()}
    return create_model(kind.__name__, __base__=Part, __doc__=kind.__doc__, **keys)


def schemas() -> Mapping[str, dict[str, Any]]:
    """The schemas by their files' names."""
    run = document_of(
        Result,
        "What a run, or a comparison, came to: `migrate --json`, `verify --json`, `--report FILE.json`.",
        "next_command",
        started=(str, Field(description="ISO 8601 in UTC")),
        losses=int,
        next=(str, Field(description="the command that goes on; empty where there is none")),
    )
    recovery = document_of(
        Recovery, "What `recover --json` came to.", command=Literal["recover"], identical=bool
    )
    validation = document_of(
        Validation,
        "What `migrations validate --json` came to.",
        command=Literal["migrations validate"],
        target=Server,
    )
    migrations = [
        document_of(kind, about, command=Literal["migrations"], findings=tuple[()], **more)
        for kind, about, more in (
            (Migrated, "What `migrations run`, `revert` and `show` came to.", {}),
            (
                Generated,
                "What `migrations generate` has written.",
                {"action": Literal["generate"], "revision": WrittenRevision | None},
            ),
            (
                Checked,
                "What `migrations check` has found.",
                {"action": Literal["check"], "differs": list[Differing]},
            ),
        )
    ]
    kinds: dict[str, Any] = {
        "run": run,
        "plan": PlanDocument,
        "plan-file": PlanFile,
        "recover": recovery,
        "validation": validation,
        "migrations": Union[tuple(migrations)],  # noqa: UP007 - of a list
        "event": Union[tuple(map(event_of, get_args(Event)))],  # noqa: UP007
        "converge.toml": Project,
    }
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{name}.schema.json": dialect | TypeAdapter[Any](kind).json_schema() for name, kind in kinds.items()
    }


if __name__ == "__main__":
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        Path(sys.argv[1], name).write_text(text, "utf-8")
