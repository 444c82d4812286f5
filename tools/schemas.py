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

from converge.matrix.result import MatrixVerdict, Step, Varied
from converge.model.check import CheckResult
from converge.model.event import Plain
from converge.model.facts import SourceFacts, TargetFacts
from converge.model.finding import Finding
from converge.model.plan import Converted, Outcome, Plan
from converge.model.port import Hours, Work
from converge.model.recorded import PlanFile
from converge.model.recovery import Recovery
from converge.model.result import NotCompared, Result
from converge.model.revision import Checked, Generated, Migrated
from converge.model.validation import Validation
from converge.rollback.prepare import Rollback
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


class Feature(Part):
    feature: str
    since: int = Field(description="PostgreSQL's major version that brought it")
    here: bool


class Unread(Part):
    """A side that no address names, or that could not be reached."""

    url: str = ""
    origins: dict[str, str] = {}


class DoctorDocument(Part):
    """What doctor has read of both sides: `doctor --json`."""

    converge: Literal[1]
    command: Literal["doctor"]
    verdict: Literal["ready", "blocked", "failed"]
    exit_code: int
    snapshot: Literal["locked", "quiet", "none"] | None
    needed_bytes: int | None
    compatibility: list[Feature]
    tables: tuple[()]
    findings: list[Finding]
    phases: tuple[()]


class Known(Part):
    """A side that the command knew; without a key where it did not."""

    url: str = ""


class ErrorDocument(Part):
    """What a command prints that ends in an error, with `--json`: nothing was found but the error."""

    converge: Literal[1]
    command: str
    verdict: Literal["blocked", "failed", "interrupted"]
    exit_code: int
    source: Known
    target: Known
    snapshot: None
    tables: tuple[()]
    findings: tuple[Finding]
    phases: tuple[()]


class LoadedTable(Part):
    source: str
    rows: int
    digest: str


class RevisedTable(Part):
    target: str
    rows: int
    digest: str


class MatrixCell(Part):
    """What came of one version."""

    name: str
    version: str
    provider: str
    state: Literal["red", "green"]
    seconds: float
    steps: list[Step]
    tables: list[LoadedTable]
    revised: list[RevisedTable]
    checks: list[CheckResult]
    not_compared: list[NotCompared]


class Differences(Part):
    """What is not the same on all versions: by object, what each cell has."""

    digests: list[Varied]
    revised: list[Varied]
    plans: list[Varied]
    catalog: list[Varied]


class MatrixDocument(Part):
    """The whole run on each version: `matrix --json`."""

    converge: Literal[1]
    command: Literal["matrix"]
    verdict: MatrixVerdict
    exit_code: int
    source: Server
    started: str = Field(description="ISO 8601 in UTC")
    seconds: float
    cells: list[MatrixCell]
    findings: list[Finding]
    differences: Differences


class WrittenRevision(Part):
    id: str
    name: str
    down: tuple[str, ...]
    path: str


class Differing(Part):
    object: str
    words: str


def side_of(facts: type) -> Any:
    """What `doctor --json` has of a side: with the facts of a server that could be reached."""
    hints = {name: hint for name, hint in get_type_hints(facts).items() if name not in Unread.model_fields}
    keys: dict[str, Any] = {name: (hint, ...) for name, hint in hints.items()}
    with catch_warnings(category=UserWarning, action="ignore"):  # a model has a `schema` of its own
        return create_model(facts.__name__, __base__=Unread, __doc__=facts.__doc__, **keys) | Unread


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
    with catch_warnings(category=UserWarning, action="ignore"):  # as above
        return create_model(f"{kind.__name__}Document", __base__=Part, __doc__=about, **made)


def event_of(kind: type) -> type[BaseModel]:
    """What `report/export.event_line` writes of this event."""
    fields: dict[str, Any] = {"time": str, "event": Literal[kind.__name__], **get_type_hints(kind)}
    keys: dict[str, Any] = {name: (hint, ...) for name, hint in fields.items()}
    about = "which of several that are migrated at the same time"
    keys["database"] = (str, Field(default="", description=about))
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
    rollback = document_of(Rollback, "What `rollback --json` came to.", command=Literal["rollback"])
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
    sides: dict[str, Any] = {"source": (side_of(SourceFacts), ...), "target": (side_of(TargetFacts), ...)}
    doctor = create_model("DoctorDocument", __base__=DoctorDocument, __doc__=DoctorDocument.__doc__, **sides)
    kinds: dict[str, Any] = {
        "run": run,
        "plan": PlanDocument,
        "plan-file": PlanFile,
        "doctor": doctor,
        "matrix": MatrixDocument,
        "recover": recovery,
        "rollback": rollback,
        "validation": validation,
        "migrations": Union[tuple(migrations)],  # noqa: UP007 - of a list
        "error": ErrorDocument,
        "event": Union[tuple(map(event_of, get_args(Plain)))],  # noqa: UP007
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
