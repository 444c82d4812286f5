"""What a caller and its keeper tell each other: one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from converge.codes import Code
from converge.sandbox.engines import Programs
from converge.sandbox.errors import SandboxError, StartFailed
from converge.sandbox.spec import Kind


@dataclass(frozen=True)
class Job:
    """The first line to a keeper: which server it is to make and run."""

    kind: Kind
    programs: Programs
    settings: dict[str, str]

    def to_line(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_line(cls, line: str) -> Job:
        fields = json.loads(line)
        programs = fields["programs"]
        paths = {name: Path(programs[name]) for name in ("home", "bin")}
        library_path = tuple(Path(place) for place in programs["library_path"])
        return cls(
            fields["kind"],
            Programs(release=programs["release"], library_path=library_path, **paths),
            fields["settings"],
        )


@dataclass(frozen=True)
class Reply:
    """A keeper's answer, to its job and to every command, when the server is as it was asked for."""

    port: int
    folder: str


def reply_to_line(reply: Reply | SandboxError) -> str:
    if isinstance(reply, Reply):
        return json.dumps(asdict(reply))
    return json.dumps({"error": reply.message, "hint": reply.hint, "details": reply.details})


def reply_from_line(line: str) -> Reply:
    """Raises StartFailed when the keeper says so."""
    fields = json.loads(line)
    if "error" in fields:
        raise StartFailed(fields["error"], code=Code.X004, hint=fields["hint"], details=fields["details"])
    return Reply(**fields)
