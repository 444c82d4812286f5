"""The files of a dump in the order in which they are loaded: parts put together, schema before rows.

A folder of mydumper also says in its file `metadata` whether it is whole, and how many rows it has. The
formats are those of mydumper 0.1 to 1.0 and of Dumpling. go-mydumper's file is empty, and says nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.sandbox.errors import DumpError

_SQL = r".+\.sql(?:\.(?:gz|zst|bz2|xz))?"
_FILE = re.compile(_SQL, re.IGNORECASE)
# As `split` counts, with letters or digits; .gz and the like are no parts.
_PART = re.compile(
    rf"({_SQL}|.+\.(?:gz|zst|bz2|xz))\.(?!(?:gz|xz)$)(?:part)?([a-z]{{2}}|a[a-z]{{2,4}}|\d{{1,5}})",
    re.IGNORECASE,
)
# As mydumper names them, and most people who write several files by hand.
_RANKS = (
    (0, re.compile(r"-schema-create\b", re.IGNORECASE)),
    (5, re.compile(r"-schema-post\b|(?:^|[-_.\d])(?:routines?|procedures?|functions?|events?)\.sql", re.I)),
    (4, re.compile(r"-schema-triggers\b|(?:^|[-_.\d])triggers?\.sql", re.IGNORECASE)),
    (3, re.compile(r"-schema-view\b|(?:^|[-_.\d])views?\.sql", re.IGNORECASE)),
    (1, re.compile(r"(?:^|[-_.\d])(?:schema|structure|ddl)(?:[-_.]|$)", re.IGNORECASE)),
)
_ROWS_RANK = 2
_STARTED, _FINISHED = "Started dump at", "Finished dump at"
_NUMBERED = re.compile(r"(?P<table>[^.]+\.[^.]+)\.(?P<number>\d{4,})(?:\.\d+)?\.sql(?:\.\w+)?", re.IGNORECASE)
_TABLE = re.compile(
    r"^\[(?P<q>[`\"])(?P<database>.+?)(?P=q)\.(?P=q)(?P<table>.+?)(?P=q)\]\n"
    r"(?P<body>(?:(?!\[).*\n?)*)",
    re.MULTILINE,
)
_REAL_NAME = re.compile(r"^real_table_name\s*=\s*(.+?)\s*$", re.MULTILINE)
_ROW_COUNT = re.compile(r"^rows\s*=\s*(\d+)\s*$", re.MULTILINE | re.IGNORECASE)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Stream:
    """One text of SQL: a file, or the parts of one."""

    name: str
    paths: tuple[Path, ...]
    database: str = ""
    """What the file's name says, where a tool names files so."""


def streams_of(given: Sequence[str | Path]) -> tuple[Stream, ...]:
    """The texts to load, in order.

    Raises UsageError for files that are not there, or no dump, DumpError for a folder that is not finished.
    """
    if "" in given:
        raise UsageError("the name of the dump is empty", code=Code.U017, hint="--source-dump FILE")
    return _joined(given) if len(given) > 1 else tuple(_of(Path(given[0])))


def name_of(given: Sequence[str | Path], streams: Sequence[Stream]) -> str:
    """How the dump is called in plan, ledger and reports: the same wherever its files are."""
    if len(given) == 1 and Path(given[0]).is_dir():
        return Path(given[0]).resolve().name
    return "+".join(stream.name for stream in streams)


def _joined(given: Sequence[str | Path]) -> tuple[Stream, ...]:
    """Files that are named one by one keep their order; parts of one file that follow each other are one."""
    paths = [Path(path) for path in given]
    found: list[Stream] = []
    for base, group in groupby(paths, key=lambda path: _base(path) or path):
        several = list(group)
        if _base(several[0]) and len(several) > 1:
            found.append(_of_parts(base, several))
        else:
            found += [stream for path in several for stream in _of(path)]
    return tuple(found)


def _of(path: Path) -> Iterator[Stream]:
    if path.is_dir():
        yield from _of_folder(path)
        return
    base = _base(path)
    if base is not None:
        yield _of_parts(base, _parts(base))
    elif path.is_file():
        yield Stream(path.name, (path,))
    elif path.exists():
        # It is read twice: first for its header.
        raise UsageError(
            f"{path} is not a regular file, and a dump is read more than once",
            code=Code.U017,
            hint="write it into a file first: mysqldump … > dump.sql",
        )
    elif parts := _parts(path):
        yield _of_parts(path, parts)
    else:
        raise UsageError(
            f"{path} is not there", code=Code.U017, hint="--source-dump FILE, as mysqldump wrote it"
        )


def _base(path: Path) -> Path | None:
    """The file that was split, where this is a part of one."""
    match = _PART.fullmatch(path.name)
    return path.with_name(match[1]) if match else None


def _parts(base: Path) -> list[Path]:
    """The parts of a file that are beside it, in their order."""
    if not base.parent.is_dir():
        return []
    return sorted((path for path in base.parent.iterdir() if _base(path) == base), key=_number)


def _of_parts(base: Path, parts: Sequence[Path]) -> Stream:
    numbers = [_number(path) for path in parts]
    first = numbers[0] if numbers else 0
    for wanted, (number, path) in enumerate(zip(numbers, parts, strict=True), first):
        if number != wanted or first > 1:
            raise UsageError(
                f"a part of {base.name} is missing before {path.name}",
                code=Code.U017,
                hint=f"--source-dump {base}, with all its parts beside each other",
            )
    for path in parts:
        if not path.is_file():
            raise UsageError(f"{path} is not there", code=Code.U017, hint=f"--source-dump {base}")
    return Stream(base.name, tuple(parts))


def _number(path: Path) -> int:
    """A part's place: .000, .001 and .1, .2 by their numbers; .aa, .ab as `split` counts."""
    match = _PART.fullmatch(path.name)
    mark = match[2].lower() if match else "0"
    if mark.isdigit():
        return int(mark)
    place = 0
    for letter in mark:
        place = place * 26 + ord(letter) - ord("a")
    return place


def _of_folder(folder: Path) -> Iterator[Stream]:
    _check_finished(folder)
    names = [path for path in folder.iterdir() if path.is_file()]
    if tab := [path.name for path in names if path.suffix == ".txt" and path.with_suffix(".sql") in names]:
        raise UsageError(
            f"{folder} has rows in {tab[0]}, as mysqldump --tab writes them",
            code=Code.U017,
            hint="mysqldump without --tab: rows are taken from INSERT statements",
        )
    bases = {_base(path) or path for path in names if _base(path) or _FILE.fullmatch(path.name)}
    if not bases:
        raise UsageError(
            f"{folder} has no .sql files",
            code=Code.U017,
            hint="names like dump.sql, dump.sql.gz, dump.sql.zst",
        )
    # mydumper begins the name of each file with the database's.
    prefixed = any(path.name == "metadata" or "-schema-create." in path.name for path in names)
    for base in sorted(bases, key=lambda path: (_rank(path.name), path.name)):
        (stream,) = _of(base)
        database = re.split(r"[.]|-schema", base.name)[0] if prefixed else ""
        yield Stream(stream.name, stream.paths, database)


def _rank(name: str) -> int:
    return next((rank for rank, pattern in _RANKS if pattern.search(name)), _ROWS_RANK)


def _check_finished(folder: Path) -> None:
    """Raises DumpError for a dump that mydumper is writing yet, or has never finished."""
    metadata = folder / "metadata"
    text = _metadata(folder)
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
    for section in _TABLE.finditer(_metadata(folder)):
        if rows := _ROW_COUNT.search(section["body"]):
            name = _REAL_NAME.search(section["body"])
            found[section["database"], name[1] if name else section["table"]] = int(rows[1])
    return found


def gaps(folder: Path) -> list[str]:
    """The tables with a number missing between their files, each with the first one.

    mydumper removes the files of parts without rows, so that a gap is no proof of a loss.
    """
    numbers: dict[str, set[str]] = defaultdict(set)
    for path in folder.iterdir():
        if match := _NUMBERED.fullmatch(path.name):
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


def _metadata(folder: Path) -> str:
    path = folder / "metadata"
    return path.read_text(errors="replace") if path.is_file() else ""
