"""What mydumper says of its own dump in the file `metadata`: whether it is whole, and how many rows it has.

The formats are those of mydumper 0.1 to 1.0 and of Dumpling. go-mydumper's file is empty, and says nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from converge.codes import Code
from converge.sandbox.errors import DumpError

_STARTED, _FINISHED = "Started dump at", "Finished dump at"
_FILE = re.compile(r"(?P<table>[^.]+\.[^.]+)\.(?P<number>\d{4,})(?:\.\d+)?\.sql(?:\.\w+)?", re.IGNORECASE)
_TABLE = re.compile(
    r"^\[(?P<q>[`\"])(?P<database>.+?)(?P=q)\.(?P=q)(?P<table>.+?)(?P=q)\]\n"
    r"(?P<body>(?:(?!\[).*\n?)*)",
    re.MULTILINE,
)
_REAL_NAME = re.compile(r"^real_table_name\s*=\s*(.+?)\s*$", re.MULTILINE)
_ROWS = re.compile(r"^rows\s*=\s*(\d+)\s*$", re.MULTILINE | re.IGNORECASE)
_SHOWN = 5


def check_finished(folder: Path) -> None:
    """Raises DumpError for a dump that mydumper is writing yet, or has never finished."""
    metadata = folder / "metadata"
    text = _text(folder)
    # It renames the file in the end. Under --stream it writes others beside it, with numbers.
    unfinished = (folder / "metadata.partial").exists() or (
        not metadata.exists() and any(folder.glob("metadata.partial.*"))
    )
    if unfinished or (_STARTED in text and _FINISHED not in text):
        what = "metadata.partial, not metadata" if unfinished else f'metadata without "{_FINISHED}"'
        raise DumpError(
            f"{folder.name} is not finished: it has {what}, as mydumper leaves it until the end",
            code=Code.X006,
            hint="wait for mydumper to end, or make the dump again in an empty folder",
        )


def rows_of(folder: Path) -> dict[tuple[str, str], int]:
    """By database and table how many rows were written, where the format says it: since mydumper 0.14."""
    found = {}
    for section in _TABLE.finditer(_text(folder)):
        if rows := _ROWS.search(section["body"]):
            name = _REAL_NAME.search(section["body"])
            found[section["database"], name[1] if name else section["table"]] = int(rows[1])
    return found


def gaps(folder: Path) -> list[str]:
    """The tables with a number missing between their files, each with the first one.

    mydumper removes the files of parts without rows, so that a gap is no proof of a loss.
    """
    numbers: dict[str, set[str]] = defaultdict(set)
    for path in folder.iterdir():
        if match := _FILE.fullmatch(path.name):
            numbers[match["table"]].add(match["number"])
    found = []
    for table, seen in sorted(numbers.items()):
        there = {int(number) for number in seen}
        if missing := set(range(max(there))) - there:
            found.append(f"{table}.{min(missing):0{len(max(seen))}}")
    return found


def unproven(folder: Path) -> str:
    """A sentence about files that may be missing, where `metadata` doesn't count the rows; empty for none."""
    counted = {f"{database}.{table}" for database, table in rows_of(folder)}
    names = [name for name in gaps(folder) if name.rpartition(".")[0] not in counted]
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (
        f"{folder.name} has no file {', '.join(names[:_SHOWN])}{more}, and its metadata counts no rows: "
        "mydumper leaves out parts without rows; is it all there?"
    )


def _text(folder: Path) -> str:
    path = folder / "metadata"
    return path.read_text(errors="replace") if path.is_file() else ""
