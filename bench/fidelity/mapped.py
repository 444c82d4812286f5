"""Tables for the mutations only: types that a map chooses, and keys of every kind."""

from __future__ import annotations

from random import Random
from uuid import UUID

from bench.fidelity.documents import DOCUMENTS
from bench.fidelity.families import FAMILIES
from bench.fidelity.figures import FLOATING
from bench.fidelity.tables import Column, Table
from bench.fidelity.words import EMPTY_MEMBER, TRICKY, text, unicode_literal

_KEYS = 400
"""Rows that the tables with keys of their own can have."""


def _uuid_text(rng: Random) -> str:
    found = str(UUID(int=rng.getrandbits(128), version=4))
    return f"'{rng.choice((found, found.upper()))}'"


def _uuid_bytes(rng: Random) -> str:
    return f"x'{UUID(int=rng.getrandbits(128), version=4).hex}'"


def _text(rng: Random) -> str:
    return unicode_literal(text(rng))


def _moment(rng: Random) -> str:
    return f"'{rng.randint(1, 9999):04}-{rng.randint(1, 12):02}-03 04:05:06.{rng.randint(0, 999_999):06}'"


_CHOSEN = (
    ("CHAR(36)", _uuid_text, "uuid"),
    ("BINARY(16)", _uuid_bytes, "uuid"),
    ("CHAR(36) NOT NULL", _uuid_text, "uuid"),
    ("DATETIME(6)", _moment, "timestamp(6) with time zone"),
    ("JSON", DOCUMENTS.columns[0].make, "json"),
    ("FLOAT", FLOATING.columns[6].make, "double precision"),
    ("SMALLINT", lambda rng: str(rng.randint(-99, 99)), "numeric"),
    ("ENUM('a','A','|','~','b ') COLLATE utf8mb4_bin", lambda rng: str(rng.randint(1, 5)), "text"),
    ("TIME(3)", lambda rng: f"'0{rng.randint(0, 9)}:00:00.{rng.randint(0, 999):03}'", "interval(3)"),
    ("VARCHAR(30)", _text, "text"),
    ("BLOB", _text, "text"),
    ("TINYTEXT", _text, "bytea"),
    ("BIT(1)", lambda rng: str(rng.getrandbits(1)), "bit(1)"),
    ("BIGINT UNSIGNED", lambda rng: str(rng.getrandbits(rng.randint(1, 62))), "bigint"),
    ("DECIMAL(9,3)", lambda rng: f"{rng.randint(-999, 999)}.{rng.randint(0, 999):03}", "numeric"),
    ("DECIMAL(9,3)", lambda rng: f"{rng.randint(-999, 999)}.{rng.randint(0, 999):03}", "numeric(20,5)"),
    ("INT", lambda rng: str(rng.getrandbits(1)), "boolean"),
)
MAPPED = Table("mapped", tuple(Column(kind, make) for kind, make, _ in _CHOSEN))
MAP = "\n".join(
    f'[[column]]\nmatch = {{ table = "mapped", column = "c{place}" }}\nto = "{to}"'
    for place, (_, _, to) in enumerate(_CHOSEN, 1)
)
"""The map that chooses the types of `MAPPED`."""


def _counted(kind: str, literal: str) -> Column:
    """A column of different values: `literal` has a %d."""
    return Column(kind, str, tuple(literal % number for number in range(_KEYS)))


_TEXT_KEYS = tuple(unicode_literal(f"{TRICKY[number % len(TRICKY)]}{number}") for number in range(_KEYS))
_BODY = (
    Column("VARCHAR(40)", _text, tuple(map(unicode_literal, TRICKY))),
    Column("VARCHAR(40) NOT NULL", _text, tuple(map(unicode_literal, TRICKY))),
    Column("INT", lambda rng: str(rng.randint(-3, 3))),
    Column("DOUBLE", FLOATING.columns[0].make),
)


def _with_key(name: str, key: tuple[Column, ...]) -> Table:
    places = ",".join(f"c{place}" for place in range(1, len(key) + 1))
    return Table(name, (*key, *_BODY), key="", also=f"PRIMARY KEY ({places})")


KEYS = (
    _with_key("text_key", (Column("VARCHAR(60) COLLATE utf8mb4_bin NOT NULL", str, _TEXT_KEYS),)),
    _with_key("ci_key", (_counted("VARCHAR(60) COLLATE utf8mb4_0900_ai_ci NOT NULL", "'Key %d'"),)),
    _with_key("binary_key", (_counted("VARBINARY(9) NOT NULL", "x'%06d'"),)),
    _with_key("time_key", (_counted("DATETIME(6) NOT NULL", "'2020-01-01 00:00:00.%06d'"),)),
    _with_key("pair_key", (Column("INT NOT NULL", lambda rng: str(rng.randint(0, 3))),
                           _counted("VARCHAR(9) NOT NULL", "'|%d'"))),
    Table("no_key", _BODY, key=""),
    Table("no_key_json", (*_BODY[:2], DOCUMENTS.columns[3]), key=""),
)  # fmt: skip


def all_tables() -> list[Table]:
    """Every table that does not depend on the server."""
    return [*(table for tables in FAMILIES.values() for table in tables), EMPTY_MEMBER, MAPPED, *KEYS]
