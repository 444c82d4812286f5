"""The files of a dump in the order in which they are loaded: parts put together, schema before rows.

A folder of mydumper also says in its file `metadata` whether it is whole, and how many rows it has. The
formats are those of mydumper 0.1 to 1.0 and of Dumpling. go-mydumper's file is empty, and says nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError, listed
from converge.sandbox.dump_split import Splitter
from converge.sandbox.dump_text import Joined, decompressed
from converge.sandbox.server import DumpError

_ENDING = r"\.sql(?:\.(?:gz|zst|bz2|xz))?"
_SQL = ".+" + _ENDING
_FILE = re.compile(_SQL, re.IGNORECASE)
# As `split` counts, with letters or digits; .gz and the like are no parts.
_PART = re.compile(
    rf"({_SQL}|.+\.(?:gz|zst|bz2|xz))\.(?!(?:gz|xz)$)(?:part)?([a-z]{{2}}|a[a-z]{{2,4}}|\d{{1,5}})",
    re.IGNORECASE,
)
_ROWS_RANK = 2
# As mydumper names them: <database>[.<table>]-schema[-<kind>].sql.
_KINDS = {"create": 0, "create-tablespace": 0, "": 1, "sequence": 1, "view": 3, "triggers": 4, "post": 5}
_SCHEMA = re.compile(rf"(?P<of>.+)-schema(?:-(?P<kind>{'|'.join(filter(None, _KINDS))}))?{_ENDING}", re.I)
# As most people name several files that they write by hand.
_WORDS = (
    (5, re.compile(r"(?:^|[-_.\d])(?:routines?|procedures?|functions?|events?)\.sql", re.IGNORECASE)),
    (4, re.compile(r"(?:^|[-_.\d])triggers?\.sql", re.IGNORECASE)),
    (3, re.compile(r"(?:^|[-_.\d])views?\.sql", re.IGNORECASE)),
    (1, re.compile(r"(?:^|[-_.\d])(?:schema|structure|ddl)(?:[-_.]|$)", re.IGNORECASE)),
)
_INSERT = re.compile(rb"(?:INSERT|REPLACE)\b", re.IGNORECASE)
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
    found: dict[tuple[Path, ...], Stream] = {}  # parts that are named one by one are one text
    for path in given:
        if path == "":
            raise _unreadable("the name of the dump is empty", "--source-dump FILE")
        streams = _of_folder(Path(path)) if Path(path).is_dir() else [_of_file(Path(path))]
        found |= {stream.paths: stream for stream in streams}
    return tuple(found.values())


def name_of(given: Sequence[str | Path], streams: Sequence[Stream]) -> str:
    """How the dump is called in plan, ledger and reports: the same wherever its files are."""
    if len(given) == 1 and Path(given[0]).is_dir():
        return Path(given[0]).resolve().name
    return "+".join(stream.name for stream in streams)


def _of_file(path: Path) -> Stream:
    base = _base(path)
    if base is None and path.is_file():
        return Stream(path.name, (path,))
    if base is None and path.exists():
        # It is read twice: first for its header.
        what = f"{path} is not a regular file, and a dump is read more than once"
        raise _unreadable(what, "write it into a file first: mysqldump … > dump.sql")
    base = base or path
    beside = base.parent.iterdir() if base.parent.is_dir() else ()
    parts = sorted((one for one in beside if _base(one) == base and one.is_file()), key=_number)
    if not parts or path not in (base, *parts):
        raise _unreadable(f"{path} is not there", "--source-dump FILE, as mysqldump wrote it")
    first = _number(parts[0])
    for wanted, part in enumerate(parts, first):
        if _number(part) != wanted or first > 1:
            message = f"a part of {base.name} is missing before {part.name}"
            raise _unreadable(message, f"--source-dump {base}, with all its parts beside each other")
    return Stream(base.name, tuple(parts))


def _base(path: Path) -> Path | None:
    """The file that was split, where this is a part of one."""
    match = _PART.fullmatch(path.name)
    return path.with_name(match[1]) if match else None


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
        what = f"{folder} has rows in {tab[0]}, as mysqldump --tab writes them"
        raise _unreadable(what, "mysqldump without --tab: rows are taken from INSERT statements")
    bases = {_base(path) or path for path in names if _base(path) or _FILE.fullmatch(path.name)}
    if not bases:
        raise _unreadable(f"{folder} has no .sql files", "names like dump.sql, dump.sql.gz, dump.sql.zst")
    # mydumper begins the name of each file with the database's.
    prefixed = any(path.name == "metadata" or "-schema-create." in path.name for path in names)
    streams = (replace(_of_file(base), database=_database(base.name) if prefixed else "") for base in bases)
    yield from sorted(streams, key=lambda stream: (_rank(stream), stream.name))


def _database(name: str) -> str:
    schema = _SCHEMA.fullmatch(name)
    return (schema["of"] if schema else name).partition(".")[0]


def _rank(stream: Stream) -> int:
    """Its place in the order. Rows that came after triggers would fire them."""
    if schema := _SCHEMA.fullmatch(stream.name):
        return _KINDS[(schema["kind"] or "").lower()]
    if stream.database:
        return _ROWS_RANK
    rank = next((rank for rank, pattern in _WORDS if pattern.search(stream.name)), _ROWS_RANK)
    # A table may have any of these names.
    return _ROWS_RANK if rank > _ROWS_RANK and _has_rows(stream) else rank


def _has_rows(stream: Stream) -> bool:
    with decompressed(stream.name, Joined(stream.paths)) as file:
        return any(_INSERT.match(statement.text) for statement in Splitter(file))


def _unreadable(message: str, hint: str) -> UsageError:
    return UsageError(message, code=Code.U017, hint=hint)


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


def unproven(folder: Path) -> str:
    """A sentence about files that may be missing, where `metadata` doesn't count the rows; empty for none.

    mydumper removes the files of parts without rows, so that a gap in their numbers does not prove a loss.
    """
    counted = {f"{database}.{table}" for database, table in rows_of(folder)}
    numbers: dict[str, set[str]] = defaultdict(set)
    for path in folder.iterdir():
        if (match := _NUMBERED.fullmatch(path.name)) and match["table"] not in counted:
            numbers[match["table"]].add(match["number"])
    gaps = []
    for table, seen in sorted(numbers.items()):
        there = {int(number) for number in seen}
        if missing := set(range(max(there))) - there:
            gaps.append(f"{table}.{min(missing):0{len(max(seen))}}")
    if not gaps:
        return ""
    return (
        f"{folder.name} has no file {listed(gaps, _SHOWN)}, and its metadata counts no rows: "
        "mydumper leaves out parts without rows; is it all there?"
    )


def _metadata(folder: Path) -> str:
    path = folder / "metadata"
    return path.read_text(errors="replace") if path.is_file() else ""
