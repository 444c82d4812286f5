"""JSON of random shape: odd numbers, escapes, key order, repeated keys, deep nesting, MySQL's own kinds."""

from __future__ import annotations

import json
from random import Random

from bench.fidelity.tables import Column, Make, Table
from bench.fidelity.words import text
from converge.model.quote import my_text

_KEYS = ("a", "b", "aa", "B", "", "\u00e9", "e\u0301", "|", "~", "1;a", "z" * 9, "\U0001f600", "a b", '"')
_SPACES = ("", " ", "\n", "\t ")
_EXTREMES = (
    "18446744073709551615", "-9223372036854775808", "0.1", "1", "1.0", "1.50", "100000000000000.5", "true",
    "false", "null", '"null"', '"true"', '"1"', '""', "[]", "{}", "[[]]", "[{}]", '{"": {}}', "[null]",
    '"\\u0001\\u001f\\u007f\\b\\f\\n\\r\\t\\"\\\\\\/"', '"\\\\u0000"', '"\\ud83d\\ude00\\u00e9"',
    '{"b": 1, "a": 2, "aa": 3, "": 4, "\u00e9": 5, "B": 6}', '{"a": 1, "a": 2}', '"\\\\N"', '"1e5"',
    "[" * 90 + "]" * 90, '{"a":' * 90 + "1" + "}" * 90,
)  # fmt: skip
_EXPONENTS = (
    "1e300", "-1e300", "1.7976931348623157e308", "5e-324", "1e15", "1e16", "1e-7", "2.5e-9",
    "[1e300, 1e-300]", "123456789012345678901234567890", '{"a": 1e25}', "-0.0", "[-0.0, 0.0]",
)  # fmt: skip
_SPECIAL = (
    "JSON_OBJECT('d', CAST('2020-01-02 03:04:05.6' AS DATETIME(6)), 'n', CAST(1.50 AS DECIMAL(5,2)))",
    "JSON_ARRAY(CAST('x' AS BINARY), TIME '-10:00:00', DATE '2020-01-01', b'101')",
    f"JSON_OBJECT('n', CAST('{'9' * 65}' AS DECIMAL(65)))",
    "JSON_ARRAY(CAST(0.000000000000000000000000000001 AS DECIMAL(30,30)), CAST(-1.10 AS DECIMAL(4,2)))",
)


def _plain_number(rng: Random) -> str:
    dice = rng.randrange(6)
    if dice == 0:
        return str(rng.randint(-(2**63), 2**64 - 1))
    if dice == 1:
        return str(rng.getrandbits(rng.randint(1, 64)))
    if dice == 2:
        return f"{rng.uniform(-1e14, 1e14) or 1.0!r}"
    if dice == 3:
        return f"{rng.uniform(0.001, 1)!r}"
    # Never -0: MySQL keeps its sign, and jsonb has none.
    return f"{rng.randint(1, 99999)}.{rng.randint(0, 9999)}"


def _any_number(rng: Random) -> str:
    if rng.getrandbits(1):
        return _plain_number(rng)
    return (
        f"{rng.randint(-9, 9)}.{rng.getrandbits(50)}e{rng.randint(-300, 300)}"
        if rng.getrandbits(2)
        else rng.choice(_EXPONENTS[:8])
    )


def _string(rng: Random) -> str:
    value = rng.choice(_KEYS) if rng.getrandbits(1) else text(rng, 8)
    return json.dumps(value, ensure_ascii=bool(rng.getrandbits(1)))


def _document(rng: Random, number: Make, depth: int) -> str:
    dice = rng.randrange(9)
    space = rng.choice(_SPACES)
    if dice < 2 and depth:
        inner = [_document(rng, number, depth - 1) for _ in range(rng.randint(0, 4))]
        return f"[{space}{f',{space}'.join(inner)}]"
    if dice < 5 and depth:
        pairs = [
            f"{_string(rng)}:{space}{_document(rng, number, depth - 1)}" for _ in range(rng.randint(0, 4))
        ]
        return f"{{{f',{space}'.join(pairs)}{space}}}"
    if dice < 7:
        return number(rng)
    return _string(rng) if dice == 7 else rng.choice(("true", "false", "null"))


def _make(number: Make, depth: int) -> Make:
    return lambda rng: my_text(_document(rng, number, depth))


_PLAIN = (*map(my_text, _EXTREMES), *_SPECIAL)
DOCUMENTS = Table(
    "documents",
    (
        Column("JSON", _make(_plain_number, 3), _PLAIN),
        Column("JSON NOT NULL", _make(_plain_number, 3), _PLAIN),
        Column("JSON", _make(_plain_number, 1), _PLAIN),
        Column("JSON", lambda rng: my_text(_plain_number(rng)), _PLAIN),
    ),
)
EXPONENTS = Table(
    "exponents",
    (
        Column("JSON", _make(_any_number, 2), (*_PLAIN, *map(my_text, _EXPONENTS))),
        Column("JSON NOT NULL", _make(_any_number, 2), (*_PLAIN, *map(my_text, _EXPONENTS))),
    ),
)
