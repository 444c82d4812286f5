"""Errors for people and for machines."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from typing import Any

from converge.errors import ConvergeError, verdict_of
from converge.model.documents import head
from converge.model.endpoint import SECRET_OPTION, split_login
from converge.report.text import TO_PASTE, Screen
from converge.report.words import visible

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota or a limit says to a writer."""
UNPRINTED = (*NO_ROOM, errno.EIO, errno.EPIPE)
"""The same of stdout; and a terminal or a reader that is gone."""
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


def say(text: str) -> None:
    """Writes lines to stderr; whether anybody can read them decides nothing.

    What has no room is left out, as on a full disk; a reader or terminal that is gone gets no more.
    """
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError as error:
        stream = sys.stderr.fileno()
        disk, nowhere = os.dup(stream), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream)
        # Python would write what is left in its buffer at its end, and exit with 120 (`Py_FinalizeEx`).
        sys.stderr.flush()
        if error.errno in NO_ROOM:
            os.dup2(disk, stream)
        os.close(disk)
        os.close(nowhere)


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
