"""Sizes: what a run will take, and rows that are too long for packets, for a line of COPY, for a page.

MySQL joins a row's columns into one text, and makes a text beyond max_allowed_packet NULL. PostgreSQL reads
a line of COPY into one buffer of less than 1 GB (MaxAllocSize), with two hex digits for each byte of a bytea
and two characters for each backslash, tab and line end of a text. Only tables whose types allow such a row
are looked through.

A row must fit one page of 8 kB: 8,160 bytes with its header ("row is too big", PostgreSQL manual, "Database
Page Layout" and "TOAST"). Of a long value 18 bytes stay in the row; numbers and times stay whole, and so do
values of up to 20 bytes. MySQL packs decimals and dates closer, so a row of a thousand may be too big. What
is reckoned here leaves out padding: what is found is too big for certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from converge.codes import Code
from converge.model.catalog import Column, Table
from converge.model.evidence import Oversize, TableFacts
from converge.model.quote import my_name
from converge.model.rehearsal import Forecast
from converge.model.words import said
from converge.planner.decision import Decision, column_entry
from converge.planner.draft import Draft, rows_words
from converge.types import Length, Value, base_name, family_of

LINE_BYTES = 2**30 - 2
LARGEST_PACKET = 2**30
# Marks in COPY's text; a length, a mark and a separator in the comparison's.
_COLUMN_BYTES = 32
_SHORT_BYTES = 4096
"""A column that cannot be longer counts as this long."""

PAGE_BYTES = 8160
_HEADER_BYTES = 24
_POINTER_BYTES = 18
_INLINE_BYTES = 20
"""The longest value that is never stored elsewhere; a byte of length comes before it."""
_FIXED = {
    "boolean": 1, "smallint": 2, "integer": 4, "bigint": 8, "real": 4, "double precision": 8, "date": 4,
    "timestamp": 8, "timestamp with time zone": 8, "timestamp without time zone": 8, "timestamptz": 8,
    "time": 8, "time without time zone": 8, "interval": 16, "uuid": 16, "enum": 4, "inet": 7, "cidr": 7,
    # The stored size is not to be had from MySQL: an empty document or array.
    "jsonb": 5, "text[]": 13,
}  # fmt: skip

_Limit = tuple[Code, str, Oversize]
"""The finding's code and words, and the rows that are too long."""

# Copy, keys and full comparison together, both servers and the tool on two cores: 935 MB of mixed tables
# in 25.5 s (bench/run). More workers only help where the servers have cores for them.
_BYTES_A_SECOND = 36_000_000
_START_SECONDS = 2.0
# Making, copying and comparing an empty table with its keys: 1,422 tables took half a minute.
_TABLE_SECONDS = 0.02
# Heap tuples have a header of 24 bytes where InnoDB's rows have about 18, and pages are filled to the end.
_GROWTH = 1.1
# Of InnoDB's 16 KB, with rows of 160 bytes.
_PAGE_ROWS = 100


def width_conditions(draft: Draft, table: Table) -> Iterator[str]:
    """Rows that the scan should count: those that no page holds."""
    return (where for _, _, where in _too_wide(draft, table))


def oversize(draft: Draft, table: Table) -> Iterator[Oversize]:
    """Rows that the scan should count: those that are too long for a packet or a line of COPY."""
    return (rows for _, _, rows in _limits(draft, table))


def lengths(draft: Draft, table: Table) -> Iterator[tuple[str, str]]:
    """Columns that can make a row too long, and how long their values are."""
    if any(_limits(draft, table)):
        for column, length in _long(draft, table):
            yield column.name, length.bytes


def note_sizes(draft: Draft, table: Table) -> None:
    """The rows that the scan found too long, with their keys."""
    for code, words, rows in _limits(draft, table):
        count = draft.evidence.count(table.name, rows.condition)
        if count and count.rows:
            facts = draft.evidence.tables[table.name]
            sized = [(facts.longest.get(column.name, 0), column) for column, _ in _long(draft, table)]
            longest = sorted(sized, key=lambda one: -one[0])
            listed = ", ".join(f"{column.name} {size:,}" for size, column in longest[:5])
            draft.find(
                code, table.name, said(count.rows, words),
                _packet_hint(draft) if code == Code.V035 else _line_hint(table, *longest[0]),
                evidence=f"{rows_words(table, count)}; bytes of COPY text of the longest values: {listed}"
                .lstrip("; "),
            )  # fmt: skip
    for code, words, where in _too_wide(draft, table):
        hint = column_entry(table, table.columns[-1], "skip = true") + "\n# or another column, until it fits"
        draft.find_rows(code, table.name, table, draft.evidence.count(table.name, where), words, hint)


def _packet_hint(draft: Draft) -> str:
    if draft.catalog.max_packet >= LARGEST_PACKET:
        return ""
    return f"SET GLOBAL max_allowed_packet = {LARGEST_PACKET}; on the source, then plan again"


def _line_hint(table: Table, size: int, column: Column) -> str:
    using = f'using = "IF(LENGTH({{}})>{max(1, size // 4)},NULL,{{}})"'
    lines = [using, "# or: skip = true"] if column.nullable else ["skip = true"]
    return column_entry(table, column, *lines)


def total(terms: Iterable[str]) -> str:
    """The terms' sum, in brackets by halves: a thousand in a row would overrun MySQL's stack; 0 for none."""
    sums = list(terms)
    while len(sums) > 1:
        sums = [f"({'+'.join(sums[at : at + 2])})" for at in range(0, len(sums), 2)]
    return sums[0] if sums else "0"


def _limits(draft: Draft, table: Table) -> Iterator[_Limit]:
    """What a row's text may be too long for."""
    families = [(column, family_of(column)) for column in table.columns]
    most = sum(max(_SHORT_BYTES, family.most(column)) for column, family in families if family)
    packet = draft.catalog.max_packet
    of_packet, of_line = 0 < packet < most, 2 * most > LINE_BYTES
    if not (of_packet or of_line):
        return
    long = _long(draft, table)
    margin = _COLUMN_BYTES * len(table.columns)
    lengths = tuple(length.bytes for _, length in long)
    plain = total(lengths)
    if of_packet:
        words = f"are longer than the source's max_allowed_packet ({packet:,} bytes) as COPY text"
        yield Code.V035, words, Oversize(f"{plain}>{packet - margin}", lengths, packet - margin)
    if of_line:
        escapes = total(f"IFNULL({length.escapes},0)" for _, length in long if length.escapes)
        least = LINE_BYTES // 2 - margin
        where = f"({plain}>{least} AND {plain}+{escapes}>{LINE_BYTES - margin})"
        words = "are longer than a line of COPY can be (1 GB)"
        yield Code.V033, words, Oversize(where, lengths, least)


def _long(draft: Draft, table: Table) -> list[tuple[Column, Length]]:
    found = []
    for column, decided in _arriving(draft, table, _SHORT_BYTES):
        given = decided.form
        length = given.length or Length(f"LENGTH({given.read})")
        # A text that the server cannot make is longer than a packet.
        size = f"IFNULL({length.bytes},{draft.catalog.max_packet})"
        # The column may be NULL where the target's, by which the load decides, may not.
        null = decided.value.is_null or f"{my_name(column.name)} IS NULL"
        size = f"IF({null},0,{size})"
        found.append((column, Length(size, length.escapes)))
    return found


def _arriving(draft: Draft, table: Table, longer: int = -1) -> Iterator[tuple[Column, Decision]]:
    """The columns that are to arrive, and whose values can be longer than this."""
    for column in table.columns:
        family = family_of(column)
        if family and family.most(column) > longer:
            decided = draft.decisions.safest(table, column)
            if not decided.setting("skip"):
                yield column, decided


# ---- pages of the target -------------------------------------------------------------------------------


def _too_wide(draft: Draft, table: Table) -> Iterator[tuple[Code, str, str]]:
    """MySQL condition of a row that no page has room for, even when all that can be stored elsewhere is."""
    if len(table.columns) * (_INLINE_BYTES + 1) + _HEADER_BYTES <= PAGE_BYTES:
        return
    sizes, nulls = [], ["1"]
    for column, decided in _arriving(draft, table):
        sizes.append(f"IFNULL({_size(Value(column, decided.to))},0)")
        if column.nullable:
            nulls.append(f"{my_name(column.name)} IS NOT NULL")
    # A row with a NULL has a bit for each of its columns.
    with_nulls = (23 + (len(sizes) + 7) // 8 + 7) // 8 * 8
    header = f"IF(LEAST({','.join(nulls)},1),{_HEADER_BYTES},{with_nulls})"
    words = f"are too wide for a page of PostgreSQL ({PAGE_BYTES:,} bytes)"
    yield Code.V034, words, f"{header}+{total(sizes)}>{PAGE_BYTES}"


def _size(value: Value) -> str:
    """MySQL expression of the bytes that a value takes in the row; NULL for NULL."""
    name = my_name(value.column.name)
    to = base_name(value.to)
    if to in _FIXED:
        return f"IF({name} IS NULL,0,{_FIXED[to]})"
    if to == "numeric":
        return _numeric(value.column, name)
    if to in ("bit", "bit varying"):
        return f"IF({name} IS NULL,0,{5 + ((value.column.precision or 1) + 7) // 8})"
    return f"IF(LENGTH({name})>{_INLINE_BYTES},{_POINTER_BYTES},1+CHAR_LENGTH({name}))"


def _numeric(column: Column, name: str) -> str:
    """Three bytes, and two for every group of four digits from the first to the last that is not zero."""
    scale = column.scale or 0
    before, after = ((digits + 3) // 4 * 4 for digits in ((column.precision or 0) - scale, scale))
    text = f"CAST(ABS({name}) AS CHAR)"
    groups = f"LPAD(SUBSTRING_INDEX({text},'.',1),{before},'0')"
    if scale:
        groups = f"CONCAT({groups},RPAD(SUBSTRING_INDEX({text},'.',-1),{after},'0'))"
    digits = f"LENGTH(TRIM(TRAILING '0000' FROM TRIM(LEADING '0000' FROM {groups})))"
    return f"LEAST({_POINTER_BYTES},3+{digits}/2)"


# ---- the whole: a forecast with its grounds, not a promise ---------------------------------------------


def sized(table: Table, facts: TableFacts | None) -> Table:
    """The table with the rows that the scan has counted, and sizes in their proportion.

    InnoDB's statistics may be of before a load, when the table was one page: then a page counts as rows of a
    usual length.
    """
    if facts is None or (facts.unseen and not facts.rows):
        return table
    grown = facts.rows / max(1, table.rows_estimate, min(facts.rows, _PAGE_ROWS))
    return replace(
        table,
        rows_estimate=facts.rows,
        data_bytes=int(table.data_bytes * grown),
        index_bytes=int(table.index_bytes * grown),
    )


def forecast(draft: Draft) -> Forecast:
    """From the sizes that the source reports, in proportion to the rows that are counted."""
    chosen = [
        sized(table, draft.evidence.table(table.name))
        for table in draft.inputs.catalog.tables
        if table.name in draft.tables
    ]
    data = sum(table.data_bytes for table in chosen)
    indexes = sum(table.index_bytes for table in chosen)
    return Forecast(
        seconds=_START_SECONDS + len(chosen) * _TABLE_SECONDS + (data + indexes) / _BYTES_A_SECOND,
        target_bytes=space(data, indexes),
        basis=f"{_BYTES_A_SECOND // 1_000_000} MB/s for copy, keys and full comparison of tables, measured "
        "with both servers on two cores; scan and views come on top; space from the source's own sizes, and "
        "as much again for the target's WAL",
    )


def space(data: int, indexes: int) -> int:
    """Bytes in the target, from the source's; the write-ahead log may need as much again."""
    return int(data * _GROWTH) + indexes
