"""Texts of all Unicode planes and of every character set of the server; labels of ENUM and SET."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from pymysql.connections import Connection

from bench.fidelity.tables import Column, Make, Table
from converge.model.quote import my_text

_CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f\x80\x85\x9f"
TRICKY = (
    "", " ", "a ", " a", "A", "\t", "\n", "\r\n", "\\", "\\\\", "\\N", "\\.", "NULL", "~", "|", ";",
    "1;a|2;b", "0;", "~|~", "'", '"', "''", "{}", '{"a"}', "a,b", "%s", "\\x41", "$$", "\u00e9",
    "e\u0301", "\u1e9b\u0323",
    "\U0001f468\u200d\U0001f469", "\U0010ffff", "\ufeff", "\ufffd", "\uffff", "\u2028", "?", "\u00ff\u00fe",
    "stra\u00dfe", "STRASSE", "\u0130i\u0131I", "\u03c3\u03c2", "\u202etxt", "\u00a0", "\u3000",
)  # fmt: skip
_MARKS = "|;~0123456789\\\t\n\r\"'N{},% "
_COMBINING = "aeouAnc\u0301\u0308\u0327\u0323\u0304\u200d\ufe0f"
_ASCII = "".join(map(chr, range(1, 128)))
_PLANES = ((1, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x3FFFF), (0xE0000, 0x10FFFF))


def text(rng: Random, most: int = 20) -> str:
    """A text without NUL and surrogates."""
    dice = rng.random()
    length = rng.randint(0, most)
    if dice < 0.35:
        return "".join([chr(rng.randint(*rng.choice(_PLANES))) for _ in range(length)])
    if dice < 0.5:
        return "".join([chr(rng.randint(1, 0x2FF)) for _ in range(length)])
    if dice < 0.9:
        return "".join(rng.choices(rng.choice((_MARKS, _COMBINING, _ASCII, _CONTROLS)), k=length))
    return rng.choice(TRICKY)


def unicode_literal(value: str) -> str:
    """A MySQL literal that says its character set."""
    return f"_utf8mb4 x'{value.encode().hex()}'"


def _texts(kind: str, most: int = 20) -> Column:
    extremes = tuple(unicode_literal(one) for one in (*TRICKY, "x" * most, "\U0001f600" * (most // 4)))
    return Column(kind, lambda rng: unicode_literal(text(rng, most)), extremes)


STRINGS = Table(
    "strings",
    (
        *(_texts(kind) for kind in ("CHAR(30)", "CHAR(255) NOT NULL", "TINYTEXT", "VARCHAR(30)", "LONGTEXT")),
        _texts("VARCHAR(300) NOT NULL", 60),
        _texts("TEXT NOT NULL", 60),
        _texts("MEDIUMTEXT", 200),
        *(_texts(f"VARCHAR(40) COLLATE utf8mb4_{name}")
          for name in ("bin", "general_ci", "unicode_ci", "0900_as_cs", "ja_0900_as_cs", "de_pb_0900_ai_ci")),
    ),
)  # fmt: skip


def charset_tables(connection: Connection[Any]) -> list[Table]:
    """Tables with a column for every character set of this server, filled with all characters it has."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE points (c VARCHAR(1) CHARACTER SET utf8mb4)")
        cursor.execute("CREATE TEMPORARY TABLE codes (c VARBINARY(2))")
        points = [f"({unicode_literal(chr(point))})" for point in _POINTS]
        cursor.execute(f"INSERT INTO points VALUES {','.join(points)}")
        cursor.execute(f"INSERT INTO codes VALUES {','.join(_CODES)}")
        cursor.execute("SELECT character_set_name FROM information_schema.character_sets ORDER BY 1")
        names = [name for (name,) in cursor.fetchall() if name != "binary"]
        made = [_of_charset(name, _repertoire(connection, name)) for name in names]
        cursor.execute("DROP TEMPORARY TABLE points, codes")
    return [Table(f"charsets_{part + 1}", tuple(made[part::_PARTS])) for part in range(_PARTS)]


_PARTS = 3
_POINTS = (
    *range(1, 0x250), *range(0x250, 0xD800, 3), *range(0xE000, 0x10000, 7), *range(0x10000, 0x110000, 977),
)  # fmt: skip
_CODES = (
    *(f"(x'{code:02x}')" for code in range(1, 256)),
    *(f"(x'{code:04x}')" for code in range(0x8100, 0x10000) if code % 256 > 0x2F),
)
_UNICODE = frozenset({"ucs2", "utf16", "utf16le", "utf32", "utf8", "utf8mb3", "utf8mb4"})


def _of_charset(name: str, codes: Sequence[str]) -> Column:
    def make(rng: Random) -> str:
        return f"_{name} x'{''.join(rng.choices(codes, k=rng.randint(0, 12)))}'"

    # Characters of several bytes are few among many codes, so every one of them comes at least once.
    groups = [codes[start : start + 20] for start in range(0, len(codes), 20)]
    extremes = tuple(f"_{name} x'{''.join(group)}'" for group in groups)
    return Column(f"VARCHAR(40) CHARACTER SET {name}", make, extremes)


def _repertoire(connection: Connection[Any], name: str) -> list[str]:
    """The hex codes of the characters that the set shares with Unicode, found from both ends.

    Several codes of one set may mean the same character (cp932), which only the codes' end shows.
    """
    there = f"CONVERT(c USING {name})"
    back = f"HEX(CONVERT({there} USING utf8mb4))"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT HEX({there}) FROM points WHERE {back}=HEX(c)")
        found = {row[0] for row in cursor.fetchall()}
        if name not in _UNICODE:
            cursor.execute(f"SELECT HEX(c),{back} FROM codes WHERE HEX({there})=HEX(c)")
            found |= {code for code, meant in cursor.fetchall() if _is_character(meant)}
    # The server reads bytes above 0x7F in ASCII as it likes, but refuses to store them.
    return sorted(code for code in found if name != "ascii" or code < "80")


def _is_character(meant: str | None) -> bool:
    """Whether these are the UTF-8 bytes of one character, and not the ? or U+FFFD of a code without one."""
    return meant not in (None, "", "3F", "00", "EFBFBD") and len(bytes.fromhex(meant).decode()) == 1


LABELS = (
    "a", "A", "it's", 'say "x"', "one,two", "{brace}", "back\\slash", "\\N", "pipe|", "1;a", "~", "NULL",
    "null_", "", "tab\t", "nl\n", "\u00e9", "e\u0301", "\u65e5\u672c", "\\'", "%s", "(x)", "end'", " lead",
)  # fmt: skip
MEMBERS = (
    "a", "A", "it's", 'say "x"', "{brace}", "back\\slash", "\\", "pipe|", "1;a", "~", "NULL", "null_",
    "\u00e9", "e\u0301", "tab\t", "\x01", "()", '"', "b c", " lead", "{}", "''",
)  # fmt: skip
MANY = tuple(f"label {number}" for number in range(400))
_LONG = tuple(f"{char * 70}" for char in "xyz")
_LATIN = ("\u20ac", "\u00e9", "\u00ff", "plain", "~")


def _listed(kind: str, labels: Sequence[str], more: str = "COLLATE utf8mb4_bin") -> str:
    return f"{kind}({','.join(map(my_text, labels))}) {more}"


def _number(most: int) -> Make:
    return lambda rng: str(rng.randint(1, most))


def _enum(labels: Sequence[str], more: str = "COLLATE utf8mb4_bin") -> Column:
    every = tuple(str(number) for number in range(1, len(labels) + 1))
    return Column(_listed("ENUM", labels, more), _number(len(labels)), every)


ENUMS = Table(
    "enums",
    (
        _enum(LABELS), _enum(LABELS, "COLLATE utf8mb4_bin NOT NULL"), _enum(MANY), _enum(_LONG),
        _enum(("x", "y", "z"), ""), _enum(("x", "y", "z"), "NOT NULL"), _enum(("only",)),
        _enum(_LATIN, "CHARACTER SET latin1 COLLATE latin1_bin"),
        _enum(("\u4e2d", "\u6587", "a|b"), "CHARACTER SET gbk"),
        _enum(("\u0416", "\u2116"), "CHARACTER SET cp1251"),
    ),
)  # fmt: skip


def _set(members: Sequence[str], more: str = "COLLATE utf8mb4_bin") -> Column:
    width = len(members)

    def make(rng: Random) -> str:
        # Few members and many, any of them.
        bits = rng.getrandbits(width)
        return str(bits & rng.getrandbits(width) & rng.getrandbits(width) if rng.getrandbits(1) else bits)

    extremes = [0, 2**width - 1, *(1 << place for place in range(width))]
    return Column(_listed("SET", members, more), make, tuple(map(str, extremes)))


SETS = Table(
    "sets",
    (
        _set(MEMBERS), _set(MEMBERS, "COLLATE utf8mb4_bin NOT NULL"),
        _set(tuple(f"m{number}" for number in range(64))), _set(("x", "y", "z"), ""),
        _set(("x", "y", "z"), "NOT NULL"), _set(("only",)), _set(("a", "b", "NULL", "null")),
        _set(_LATIN, "CHARACTER SET latin1 COLLATE latin1_bin"),
        _set(("\u4e2d", "\u6587"), "CHARACTER SET gbk"),
        _set(("\u0416", "\u2116"), "CHARACTER SET cp1251 NOT NULL"),
    ),
)  # fmt: skip

# The judge cannot tell the member '' from no member at all, so this one is for the mutations.
EMPTY_MEMBER = Table("empty_member", (_set(("", "a", "b")), _set(("", "~"), "NOT NULL")))
