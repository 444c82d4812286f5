"""Texts as people read them: numbers with units, singular and plural, and nothing that a terminal obeys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from converge.model.words import counted

Tone = Literal["good", "warn", "bad", "quiet"]
_SHORT = 160
_LONGEST = 300
"""Of one line on a terminal."""
# What a terminal would obey, what turns a text around (Unicode Standard Annex 9), ends a line or is not seen,
# and what XML 1.0 cannot hold at all.
_TURNS = "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
_CONTROLS = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_TURNS}\ud800-\udfff\ufffe\uffff]")


def size(count: float) -> str:
    """Bytes with a decimal unit: ``1.2 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def seconds(value: float) -> str:
    """``0.4 s``, ``12 s``, ``3:07 min``."""
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 99.5:
        return f"{value:.0f} s"
    return f"{int(value) // 60}:{int(value) % 60:02d} min"


def proof_age(proof: Mapping[str, Any]) -> str:
    """``verified, 3 minutes old`` of a rolling proof, or ``3 of 12 tables verified``."""
    if proof["verified"] < proof["tables"]:
        return f"{proof['verified']:,} of {counted(proof['tables'], 'table')} verified"
    age, unit = proof["age"], "second"
    for size_, next_ in ((60, "minute"), (60, "hour"), (24, "day")):
        if age < 2 * size_:
            break
        age, unit = age / size_, next_
    return f"verified, {counted(int(age), unit)} old"


def moment(started: str) -> str:
    """An ISO 8601 time in UTC: ``2026-03-01 10:20:30 UTC``."""
    return started.replace("T", " ").replace("+00:00", " UTC")


def in_utc(time: str) -> str:
    """The same of a time that the target has printed, in any zone."""
    return moment(datetime.fromisoformat(time).astimezone(UTC).isoformat(timespec="seconds"))


_READY = {"sync": "ready to bring up to date", "cutover": "ready to cut over", "rollback": "ready"}


def for_people(verdict: str, command: str = "") -> str:
    """A verdict of the JSON documents as every text and page says it."""
    return _READY.get(command, "ready to migrate") if verdict == "ready" else verdict


def blocked_words(count: int, *, tight: bool = False) -> str:
    """What a verdict ``blocked`` means."""
    if tight:
        return f"resolve {counted(count, 'finding')} first"
    return f"{counted(count, 'finding')} must be resolved before anything is written"


def missing_words(not_migrated: int, losses: int) -> str:
    """``14 objects not migrated · 6 losses``: what every verdict ends with."""
    return f"{counted(not_migrated, 'object')} not migrated · {counted(losses, 'loss', 'losses')}"


COMMAND = re.compile("`(converge [^`]+)`")
"""A command in a sentence, for pages to set as code; a database's own backticks stay as they are."""


def sentence(words: str) -> str:
    """With a capital at its beginning and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def short(text: str) -> str:
    """The text's beginning, as one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else line[:_SHORT].rstrip() + " …"


def beginning(text: str) -> str:
    """The first line for a terminal; how much more there is, the report has."""
    first, *others = text.splitlines() or [""]
    if others := [line for line in others if line.strip()]:
        more = f" … {counted(len(others), 'more line')}: in the report"
    elif len(first) > _LONGEST:
        more = f" … {len(first) - _LONGEST:,} more characters: in the report"
    else:
        more = ""
    return one_line(first[:_LONGEST] + more)


def visible(text: str) -> str:
    """Control characters as their pictures: a name cannot command a terminal or break a document."""
    return _CONTROLS.sub(_picture, text)


def one_line(text: str) -> str:
    """The same for tabs and line ends: a name cannot look like a line of ours."""
    return visible(text.replace("\n", "␊").replace("\r", "␍").replace("\t", "␉"))


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20 or code == 0x7F:
        return chr(0x2400 + code) if code < 0x20 else "␡"
    return f"\\u{code:04x}" if re.match(f"[{_TURNS}]", match[0]) else "\ufffd"
