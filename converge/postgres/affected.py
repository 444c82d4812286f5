"""What revisions do to a copy: each table's rows are kept beside it, and the rows that differ are read, and
compared with a reference's.

As CSV, values are the texts that PostgreSQL prints; NULL is an empty field without quotes, the empty text has
quotes (PostgreSQL manual, "COPY", "CSV Format").
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import UsageError
from converge.model.image import Column, Image, Pair
from converge.model.quote import pg_name
from converge.model.validation import MOST_DEVIATIONS, Affected, Compared, Deviation
from converge.postgres.digest import number
from converge.postgres.query import rows, value

_CHANGE = "(change)"
_NO_ROWS = "SELECT NULL::text[] AS v WHERE false"


def _found(pair: Pair) -> str:
    """The table that holds the pair's affected rows, quoted.

    Its columns: ``change`` (changed, added, removed), ``nr`` (their order), ``v`` (texts of the values,
    in the order of the pair's columns), ``p`` (the same before).
    """
    return pg_name(SCHEMA, f"affected {pair.image.oid}")


def find(connection: psycopg.Connection[Any], pair: Pair) -> Affected | None:
    """Puts the affected rows into their table and counts them; None when there are none."""
    key = pair.key if pair.before and pair.after else ()
    order = ", ".join(
        f"k[{at}]" + ("::numeric" if pair.columns[place].is_number else "") for at, place in enumerate(key, 1)
    )
    sides = (_side(pair, after=True), _side(pair, after=False))
    changed, added, removed, *columns = _differences(
        connection, _found(pair), *sides, key, len(pair.columns), unique=bool(key), order=order
    )
    if not changed + added + removed:
        return None
    return Affected(
        table=str(pair.image),
        was=str(pair.before or ""),
        key=tuple(pair.columns[at].label for at in pair.key),
        changed=changed,
        added=added,
        removed=removed,
        columns={label: count for label, count in zip(pair.labels, columns, strict=True) if count},
    )


def _differences(
    connection: psycopg.Connection[Any],
    table: str,
    now: str,
    then: str,
    key: Sequence[int],
    width: int,
    *,
    unique: bool = False,
    order: str = "",
) -> list[int]:
    """Makes the table of the rows in which two queries of arrays ``v`` differ, and counts them.

    It has the columns of `_found`. Rows with the same values in the places of the key are the same row; those
    of one key are numbered, unless it is `unique`, so that each meets one other at most. Without a key all
    values are. The counts are of changed, added and removed rows, then of each place's changed values.
    """
    k = f"ARRAY[{', '.join(f'v[{at + 1}]' for at in key)}]::text[]" if key else "v"
    n = "1" if unique else f"row_number() OVER (PARTITION BY {k} ORDER BY v)"
    sides = (f"(SELECT v, {k} AS k, {n} AS n FROM ({side}) AS s)" for side in (now, then))
    connection.execute(
        f"CREATE UNLOGGED TABLE {table} AS SELECT "
        "CASE WHEN b.v IS NULL THEN 'added' WHEN a.v IS NULL THEN 'removed' ELSE 'changed' END AS change, "
        f"row_number() OVER (ORDER BY {order or 'k'}) AS nr, coalesce(a.v, b.v) AS v, b.v AS p "
        f"FROM {' AS a FULL JOIN '.join(sides)} AS b USING (k, n) WHERE a.v IS DISTINCT FROM b.v".encode()
    )
    counts = [f"count(*) FILTER (WHERE change = '{kind}')" for kind in ("changed", "added", "removed")]
    counts += [
        f"count(*) FILTER (WHERE change = 'changed' AND v[{at}] IS DISTINCT FROM p[{at}])"
        for at in range(1, width + 1)
    ]
    return list(connection.execute(f"SELECT {', '.join(counts)} FROM {table}".encode()).fetchall()[0])


def _side(pair: Pair, *, after: bool) -> str:
    """A query of the values' texts as an array, which may be longer than a row, by the pair's columns."""
    image = pair.after if after else pair.before
    if image is None:
        return _NO_ROWS
    places = {column: at for at, (_, column) in enumerate(sorted(image.columns.items()), 1)}
    values = []
    for both in pair.columns:
        column = both.after if after else both.before
        kept_as = f"v[{places[column]}]" if column else ""
        values.append("NULL" if column is None else f"{pg_name(column.name)}::text" if after else kept_as)
    table = image.rows if after else kept(image)
    return f"SELECT ARRAY[{', '.join(values)}]::text[] AS v FROM {table}"


def _fields(pair: Pair, before: Collection[str]) -> dict[str, str]:
    """The file's columns with their expressions: the kind of change, the values, and values `before`."""
    columns = {_CHANGE: "change"}
    for at, label in enumerate(pair.labels, 1):
        columns[_free(label, columns)] = f"v[{at}]"
    for at, label in enumerate(pair.labels, 1):
        if label in before:
            columns[_free(f"{label} (before)", columns)] = f"CASE change WHEN 'changed' THEN p[{at}] END"
    return columns


def _free(label: str, taken: Collection[str]) -> str:
    """A column may well be called as one of ours is."""
    return _free(f"{label} *", taken) if label in taken else label


def affected_rows(connection: psycopg.Connection[Any], pair: Pair, affected: Affected) -> Iterator[bytes]:
    """The file: of columns that any row has otherwise, the values before too."""
    columns = _fields(pair, affected.columns)
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(columns)
    yield head.getvalue().encode()
    query = f"COPY (SELECT {', '.join(columns.values())} FROM {_found(pair)} ORDER BY nr) TO STDOUT"
    with connection.cursor() as cursor, cursor.copy(f"{query} (FORMAT csv, FORCE_QUOTE *)".encode()) as copy:
        yield from map(bytes, copy)


SCHEMA = "converge_before"
"""In the copy: what is noted there beside the tables."""

Digest = tuple[int, int]
"""Rows, and the sum of their digests: the same for the same rows in any order."""


def read_images(
    connection: psycopg.Connection[Any], schema: str, version_table: str, *, ledger: bool = False
) -> tuple[Image, ...]:
    """All tables but the one in which Alembic notes what it has applied; the ledger's where they count."""
    return tuple(
        Image(
            oid,
            there,
            name,
            {
                int(at): Column(label, type_, frozenset(parts), frozenset(limits))
                for at, (label, type_, parts, limits) in columns.items()
            },
            tuple(key),
            condition,
            frozenset(whole),
        )
        for oid, there, name, columns, key, condition, whole in rows(
            connection, "image_tables", schema=schema, version_table=version_table, ledger=ledger
        )
    )


def kept(image: Image) -> str:
    """Where the rows of a table are kept, quoted."""
    return pg_name(SCHEMA, str(image.oid))


def keep_rows(connection: psycopg.Connection[Any], images: Iterable[Image]) -> None:
    """Copies the rows of all tables into tables of their own: ``v``, the values' texts by their numbers.

    Texts, because a column of the user's own type would hold on to that type.
    """
    connection.execute(f"CREATE SCHEMA {SCHEMA}".encode())
    for image in images:
        texts = ",".join(f"{pg_name(column.name)}::text" for _, column in sorted(image.columns.items()))
        rows = f"SELECT ARRAY[{texts}]::text[] AS v FROM {image.rows}"
        connection.execute(f"CREATE UNLOGGED TABLE {kept(image)} AS {rows}".encode())
        connection.execute(f"ANALYZE {kept(image)}".encode())


def digests(connection: psycopg.Connection[Any], images: Sequence[Image]) -> dict[str, Digest]:
    """Of each table's rows, by its name; the order of its columns does not matter."""
    found = {}
    for image in images:
        names = sorted(column.name for column in image.columns.values())
        whole = f"md5(ROW({','.join(f'{pg_name(name)}::text' for name in names)})::text)"
        query = f"SELECT count(*), coalesce(sum({number(whole)}), 0)::text FROM {image.rows}"
        ((count, total),) = connection.execute(query.encode())
        found[str(image)] = (count, int(total))
    return found


# --- the reference ---------------------------------------------------------------------------------------

_BLOCK = 1 << 20
_REFERENCE = pg_name(SCHEMA, "reference")
_DEVIATIONS = pg_name(SCHEMA, "deviations")


def compare(
    connection: psycopg.Connection[Any], table: str, file: Path | None, pair: Pair | None, key: Sequence[str]
) -> Compared:
    """One table's affected rows and the file that the reference has of them.

    `file` is None where the reference has none, `pair` where no row is affected. Compared are the file's
    columns, whichever it has; rows are told apart by the key, without one by all of them. Raises UsageError.
    """
    labels = _load(connection, file) if file else _without_file(pair, key)
    if missing := [label for label in key if label not in labels]:
        raise UsageError(
            f"{file} lacks the column {missing[0]}, by which rows of {table} are told apart",
            code=Code.A051,
            details=[f"its columns: {', '.join(labels)}"],
            hint="save it as CSV with commas and in UTF-8, with the columns of the key",
        )
    places = [labels.index(label) for label in key]
    ours = _fields(pair, pair.labels) if pair else {}
    values = ", ".join(ours.get(label, "NULL") for label in labels)
    now = f"SELECT ARRAY[{values}]::text[] AS v FROM {_found(pair)}" if pair else _NO_ROWS
    then = f"SELECT ARRAY[{_columns(labels)}]::text[] AS v FROM {_REFERENCE}" if file else _NO_ROWS
    connection.execute(f"DROP TABLE IF EXISTS {_DEVIATIONS}".encode())
    _, more, fewer, *counts = _differences(connection, _DEVIATIONS, now, then, places, len(labels))
    first = f"SELECT change, v, p FROM {_DEVIATIONS} ORDER BY nr LIMIT {MOST_DEVIATIONS}"
    each = [
        deviation
        for change, here, there in connection.execute(first.encode())
        for deviation in _deviations(table, labels, places, change, here, there)
    ]
    return Compared(
        table,
        value(connection, f"SELECT count(*) FROM {_REFERENCE}") if file else 0,
        fewer,
        more,
        {label: count for label, count in zip(labels, counts, strict=True) if count},
        tuple(each[:MOST_DEVIATIONS]),
        tuple(label for label in pair.labels if label not in labels) if pair and file else (),
    )


def _without_file(pair: Pair | None, key: Sequence[str]) -> list[str]:
    return [_CHANGE, *(key or (pair.labels if pair else ()))]


def _columns(labels: Sequence[str]) -> str:
    return ", ".join(f"c{at}" for at in range(len(labels)))


def _load(connection: psycopg.Connection[Any], file: Path) -> list[str]:
    """Puts the file into a table of texts; returns its header. Raises UsageError (A052)."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            labels = next(csv.reader(text), [])
        connection.execute(f"DROP TABLE IF EXISTS {_REFERENCE}".encode())
        columns = ", ".join(f"c{at} text" for at in range(len(labels)))
        connection.execute(f"CREATE UNLOGGED TABLE {_REFERENCE} ({columns})".encode())
        copying = f"COPY {_REFERENCE} FROM STDIN (FORMAT csv, HEADER)"
        with connection.cursor() as cursor, cursor.copy(copying.encode()) as copy, file.open("rb") as raw:
            while block := raw.read(_BLOCK):
                copy.write(block)
    except (OSError, UnicodeDecodeError, csv.Error, psycopg.errors.DataError) as error:
        why = error.diag.message_primary if isinstance(error, psycopg.Error) else error
        raise UsageError(
            f"{file} cannot be read as CSV: {why}",
            code=Code.A052,
            hint="save it as CSV with commas and in UTF-8",
        ) from error
    return labels


def _deviations(
    table: str, labels: Sequence[str], places: Sequence[int], change: str, here: list[Any], there: list[Any]
) -> Iterator[Deviation]:
    key = ", ".join(f"{labels[at]}={here[at]}" for at in places or range(len(labels)))
    if change != "changed":
        of_reference, of_ours = (key, None) if change == "removed" else (None, key)
        yield Deviation(table, key, None, of_reference, of_ours)
        return
    for label, ours, theirs in zip(labels, here, there, strict=True):
        if ours != theirs:
            yield Deviation(table, key, label, theirs, ours)
