"""Errors for people and for machines."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from converge.errors import ConvergeError, verdict_of
from converge.model.documents import head
from converge.model.endpoint import SECRET_OPTION, split_login
from converge.report.text import TO_PASTE, Screen
from converge.report.words import visible

# Up to the last @ before a space, because a password that was not encoded may hold any other character.
# A user may hold an @, too: Azure's are app@server.
_PASSWORD = re.compile(r"(://[^:/\s]*:)\S*@")
_OPTION = re.compile(rf"([?&]{SECRET_OPTION}=)[^&\s]*", re.IGNORECASE)
_OPTION_OF_URL = re.compile(rf"([?&]{SECRET_OPTION}=)[^&]*", re.IGNORECASE)


def error_text(error: ConvergeError) -> str:
    """What, where, why, and the fix::

    error[T005]: 3 of 16 tables and views exist in the target already
      film: has rows
      hint   --recreate …
    """
    screen = Screen.of(sys.stderr)
    label = f"error[{error.code}]"
    lines = [("", 2, line) for line in f"{label}: {error.message}".splitlines()]
    lines += [("  ", 4, line) for detail in error.details for line in detail.splitlines()]
    parts = [part for first, hang, line in lines for part in screen.flow(visible(line), first, hang)]
    text = "\n".join([*parts, *screen.hint(error.hint or "", "  hint   ")])
    return text.replace(label, screen.paint(label, "bad", bold=True), 1)


def without_passwords(text: str) -> str:
    """The text without the passwords of URLs in it: of mistyped arguments, and in a bug's traceback."""
    return _OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))


def without_password(value: str) -> str:
    """The same for a value that is a URL as a whole, whose password may hold spaces."""
    if parts := split_login(value):
        scheme, user, password, rest = parts
        login = f"{user}:***@" if password else f"{user}@" if user else ""
        value = scheme + login + _OPTION_OF_URL.sub(r"\1***", rest)
    return without_passwords(value)


def error_json(error: ConvergeError, command: str) -> str:
    """The --json document of a command that ended in an error."""
    return json.dumps(error_document(error, command))


def error_document(error: ConvergeError, command: str) -> dict[str, Any]:
    """The same before it is written."""
    finding = {
        "code": error.code,
        "severity": "block",
        "object": "",
        "message": "\n".join([error.message, *error.details]),
        "hint": TO_PASTE.get()(error.hint or ""),
    }
    return head(command, verdict_of(error), error.exit_code) | {
        "source": {"url": error.source} if error.source else {},
        "target": {"url": error.target} if error.target else {},
        "snapshot": None,
        "tables": [],
        "findings": [finding],
        "phases": [],
    }
