"""Escapes blocks of rows for COPY's text format (PostgreSQL manual, "COPY", Text Format).

A marked row ends each field with one byte that no UTF-8 text can hold: 0xFF after a value and 0xFE
for a NULL, 0xFD and 0xFC at the row's end. So the backslash, tab and line-end escapes can run over
the whole block at C speed before the marks become tabs and line ends. All of them are single bytes, so a
block may end anywhere, also inside a row.

A stray mark in the data, which would be invalid UTF-8, cannot go by in silence: every mark adds a
field or a row, and COPY refuses a row with the wrong number of fields; the number of rows is
compared after each chunk. As examples (`·` is a tab, `¶` a line end):

    1 FF a·b FD      becomes    1·a\\tb¶
    2 FF FC          becomes    2·\\N¶
    3 FF a FF b FD   becomes    3·a·b¶, which has a field too many: COPY refuses it
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_STEPS = (
    (b"\\", b"\\\\"),
    (b"\n", b"\\n"),
    (b"\r", b"\\r"),
    (b"\t", b"\\t"),
    (b"\xff", b"\t"),
    (b"\xfe", b"\\N\t"),
    (b"\xfd", b"\n"),
    (b"\xfc", b"\\N\n"),
)


def encode(parts: Iterable[bytes]) -> bytes:
    """COPY text of marked rows or pieces of rows. A step whose byte is not in the block costs no copy."""
    block = b"".join(parts)
    for byte, text in _STEPS:
        block = block.replace(byte, text)
    return block


_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def fields(row: bytes) -> list[bytes | None]:
    """The values of one line of COPY text; None is NULL."""
    texts = row.removesuffix(b"\n").split(b"\t")
    return [None if text == b"\\N" else _ESCAPE.sub(_unescaped, text) for text in texts]


def _unescaped(match: re.Match[bytes]) -> bytes:
    return _MEANT.get(match[1], match[1])
