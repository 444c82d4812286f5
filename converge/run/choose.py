"""Which rows of a table that differ are replaced: those of the target that go, those of the source that come.

A row of the target is known by ctid, xmin and its digest: a row that others have written since is another
one, and so is one that VACUUM FULL or CLUSTER has moved there, which keep the xmin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import psycopg

from converge.codes import Code
from converge.errors import BlockedError
from converge.model.table_plan import TablePlan
from converge.model.words import said
from converge.model.work import Differing, Fetched, FetchTask, FindTask, Repaired
from converge.mysql.connect import WatchedConnection
from converge.mysql.rows import select_text, stream
from converge.postgres.copy import encoder
from converge.postgres.digest import number as as_number
from converge.postgres.digest import row_digest, rows_of
from converge.run.relation import identities_at_once, identity_digests, of_table, row_digests

_AT_ONCE = 100_000
"""Rows that the source is asked for at once, about 4 MB of SQL; each query reads the whole range."""
_PLACES = 10_000
"""Keys whose rows the target is asked for at once."""
MOVED = "run it again while nobody writes to the target"


def choose(target: psycopg.Connection[Any], task: FindTask, differing: Iterator[Differing]) -> Repaired:
    """Writes the task's file of keys; lets rows stay that others have written.

    They stay where the target has more of them than the source, and where the task says so also where
    the source has others of the same key. Raises BlockedError where rows are no longer what was compared.
    """
    table, keyed, ours = task.table, bool(task.table.keys), {*task.writers}
    done = {one.name: 0 for one in fields(Repaired) if one.name != "table"}
    moved = 0
    with Path(task.file).open("w", encoding="ascii") as file:
        while batch := list(islice(differing, _PLACES)):
            versions = _versions(target, task, [place for one in batch for place in one.places])
            for one in batch:
                here, there = one.rows, len(one.places)
                found = [versions.get((place, one.digest), ("", 0)) for place in one.places]
                written = [xid for xid, _ in found]
                moved += not all(written)
                others = not ours.issuperset(written)
                changed = task.keeps_changed and keyed and here and there
                if others and (changed or (there > here and not task.any_writer)):
                    done["kept"] += there - here if there > here else there
                    continue
                done["inserted"] += max(here - there, 0)
                done["deleted"] += max(there - here, 0)
                # Without a key the rows that are replaced are equal to those that come.
                done["replaced"] += min(here, there) if keyed else 0
                done["overwritten"] += bool(others and here and keyed)
                done["gone"] += there
                done["gone_sum"] += sum(number for _, number in found)
                done["come"] += here
                rows = zip(one.places, written, strict=True) if there else [("\\N", "\\N")]
                file.writelines(f"{one.digest}\t{here}\t{place}\t{xid}\n" for place, xid in rows)
    if moved:
        raise BlockedError(
            f"{table.source}: {said(moved, 'have been written in the target meanwhile', 'key')}; "
            "nothing has been changed",
            code=Code.V123,
            hint=MOVED,
        )
    return Repaired(table.source, **done)


def _versions(
    target: psycopg.Connection[Any], task: FindTask, places: Sequence[str]
) -> dict[tuple[str, str], tuple[str, int]]:
    """By place and digest of these rows, the transactions that have written them, and the numbers that they
    add to the table's sum."""
    digest, number = digests_of(task.schema, task.table)[1], as_number(row_digest(task.table))
    query = f"SELECT ctid::text,{digest},xmin::text,{number} FROM {rows_of(task.schema, task.table)}"
    # A query with parameters reads % as their beginning.
    query = query.replace("%", "%%") + " WHERE ctid = ANY (%s::tid[])"
    rows = target.execute(query.encode(), (list(places),))
    return {(place, digest): (xid, number) for place, digest, xid, number in rows}


def fetch(source: WatchedConnection, task: FetchTask) -> Fetched:
    """Writes the COPY text of the source's rows of these keys and this range, under the worker's snapshot."""
    query = f"{select_text(task.table)}{task.part} AND {digests_of(task.schema, task.table)[0]} IN"
    encoded = encoder(marked=task.table.marked)
    at_once = identities_at_once(source, _AT_ONCE)
    read = 0
    with Path(task.keys).open(encoding="ascii") as lines, Path(task.file).open("wb") as file:
        wanted = (digest for (digest, here), _ in groupby(line.split()[:2] for line in lines) if here != "0")
        while chosen := ",".join(f"'{digest}'" for digest in islice(wanted, at_once)):
            for rows, parts in stream(source, f"{query} ({chosen})"):
                read += rows
                file.write(encoded(parts))
    return Fetched(task.table.source, read)


def digests_of(schema: str, table: TablePlan) -> tuple[str, str]:
    """What tells which rows differ, on both servers."""
    relation = of_table(schema, table)
    return identity_digests(relation) if relation.key else row_digests(relation.fields)
