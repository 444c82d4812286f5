"""Errors for people and for machines."""

from __future__ import annotations

import json

from converge.errors import BlockedError, ConvergeError


def error_text(error: ConvergeError) -> str:
    """What, where, why, and the fix::

    error[T005]: 3 of 16 tables are in the target already
      film: has rows
      hint   --truncate …
    """
    lines = [f"error[{error.code}]: {error.message}"]
    lines += [f"  {line}" for detail in error.details for line in detail.splitlines()]
    if error.hint:
        first, *others = error.hint.splitlines()
        lines += [f"  hint   {first}", *(f"         {line}" for line in others)]
    return "\n".join(lines)


def error_json(error: ConvergeError, command: str) -> str:
    """The --json document of a command that ended in an error."""
    finding = {
        "code": error.code,
        "severity": "block",
        "object": "",
        "message": "\n".join([error.message, *error.details]),
        "hint": error.hint or "",
    }
    return json.dumps(
        {
            "converge": 1,
            "command": command,
            "verdict": "blocked" if isinstance(error, BlockedError) else "failed",
            "exit_code": error.exit_code,
            "source": {},
            "target": {},
            "snapshot": None,
            "tables": [],
            "findings": [finding],
            "phases": [],
        }
    )
