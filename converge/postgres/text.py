"""Escapes blocks of rows for COPY's text format (PostgreSQL manual, "COPY", Text Format).

A marked row ends each field with one byte that no UTF-8 text can hold: 0xFF after a value and 0xFE
for a NULL, 0xFD and 0xFC at the row's end. So the backslash, tab and line-end escapes can run over
the whole block at C speed before the marks become tabs and line ends. That the marks are really
ours is checked by counting them: a stray one in the data, which would be invalid UTF-8, does not
go by in silence.
"""

from __future__ import annotations

from collections.abc import Sequence

_MARKS = (b"\xff", b"\xfe", b"\xfd", b"\xfc")
_ESCAPES = ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"))
_BECOMES = (b"\t", b"\\N\t", b"\n", b"\\N\n")


class BadText(Exception):
    """A block that COPY must not get. `row` is the index of the first bad row in the block."""

    def __init__(self, row: int, field: int, why: str) -> None:
        super().__init__(why)
        self.row = row
        self.field = field
        self.why = why


def encode(rows: Sequence[bytes], fields: int) -> bytes:
    """COPY text of marked rows. Raises BadText for a NUL character or invalid UTF-8."""
    block = b"".join(rows)
    if sum(map(block.count, _MARKS)) != len(rows) * fields or b"\0" in block:
        _find(rows, fields)
    for char, escaped in _ESCAPES:
        block = block.replace(char, escaped)
    for mark, text in zip(_MARKS, _BECOMES, strict=True):
        block = block.replace(mark, text)
    return block


def _find(rows: Sequence[bytes], fields: int) -> None:
    for number, row in enumerate(rows):
        values = row.replace(_MARKS[1], _MARKS[0]).split(_MARKS[0])
        if len(values) != fields:
            raise BadText(number, 0, "bytes that are no UTF-8")
        for field, value in enumerate(values):
            if b"\0" in value:
                raise BadText(number, field, "the character NUL, which PostgreSQL's text cannot hold")
    raise BadText(0, 0, "bytes that are no UTF-8")
