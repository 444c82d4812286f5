"""JSON Schemas of the documents that --json, --report and -o write, and of `converge.toml`, for docs/schemas.

python -m tools.schemas docs/schemas
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from converge.model.check import CheckResult
from converge.model.plan import Finding, Outcome, Plan
from converge.model.rehearsal import Fingerprint
from converge.model.result import (
    Changed,
    Difference,
    GoingBack,
    NotCompared,
    Reject,
    TableResult,
    Verdict,
    ViewResult,
)
from converge.settings.file import Project


class Part(BaseModel):
    """A part of a document: it has these keys and no other."""

    model_config = ConfigDict(extra="forbid")


class Server(Part):
    url: str = Field(description="the address, without its password")
    version: str


class Phase(Part):
    name: str
    seconds: float


class PlannedTable(Part):
    source: str
    target: str
    rows_estimate: int


class RunDocument(Part):
    """What a run, or a comparison, came to: `migrate --json`, `verify --json`, `--report FILE.json`."""

    converge: Literal[1]
    command: str
    verdict: Verdict
    exit_code: int
    source: Server
    target: Server
    started: str = Field(description="ISO 8601 in UTC")
    snapshot: str | None
    tables: list[TableResult]
    findings: list[Finding]
    differences: list[Difference]
    changes: list[Changed]
    rejects: list[Reject]
    views: list[ViewResult]
    checks: list[CheckResult]
    going_back: GoingBack | None
    fingerprint: Fingerprint | None
    not_migrated: list[Outcome]
    losses: int
    not_compared: list[NotCompared]
    phases: list[Phase]
    next: str = Field(description="the command that goes on; empty where there is none")


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
    phases: list[Phase]
    plan: Plan


def schemas() -> Mapping[str, dict[str, Any]]:
    """The schemas by their files' names."""
    kinds = {"run": RunDocument, "plan": PlanDocument, "plan-file": Plan, "converge.toml": Project}
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{name}.schema.json": dialect | TypeAdapter[Any](kind).json_schema() for name, kind in kinds.items()
    }


if __name__ == "__main__":
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        Path(sys.argv[1], name).write_text(text, "utf-8")
