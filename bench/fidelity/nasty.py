"""The smallest changes of a value, on the target's text of it: the last bit, digit, microsecond, letter."""

from __future__ import annotations

import json
import math
import struct
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from random import Random
from typing import Any

from converge.model.quote import mysql_members
from converge.model.table_plan import ColumnPlan
from converge.types import base_name
from converge.types.sql import sizes

Change = Callable[[Random, str, ColumnPlan], str]
_EXACT = Context(prec=200)


def kind_of(column: ColumnPlan) -> str:
    """The target type without its size; ``enum`` for every native one."""
    base = base_name(column.target_type)
    if base not in CHANGES and column.source_type.startswith("enum"):
        return "enum"
    return base


def other(rng: Random, value: str | None, column: ColumnPlan) -> str | None:
    """A value next to this one, as a literal of the target; the same one where there is none."""
    kind = kind_of(column)
    if value is None:
        return rng.choice(_fillings(column, kind))
    if column.nullable and rng.random() < 0.12:
        return None
    return CHANGES[kind](rng, value, column)


def _fillings(column: ColumnPlan, kind: str) -> tuple[str, ...]:
    """What NULL could be mistaken for."""
    if kind == "enum":
        return mysql_members(column.source_type)[:3]
    if kind == "bit":
        return ("0" * sizes(column.target_type)[0],)
    return _FILLINGS.get(kind, ("0",))


_FILLINGS = {
    "text": ("", "~", "NULL", "0;", " "), "varchar": ("", "~", "0", " "), "boolean": ("false",),
    "bytea": ("\\x", "\\x00"), "text[]": ("{}", '{""}', "{NULL}", "{~}"),
    "jsonb": ("null", '""', "{}", '"~"'), "json": ("null", '""'),
    "uuid": ("0" * 32,), "date": ("0001-01-01", "1970-01-01"),
    "timestamp": ("1970-01-01 00:00:00", "infinity"), "time": ("00:00:00",), "interval": ("00:00:00",),
    "timestamp with time zone": ("1970-01-01 00:00:00+00",),
}  # fmt: skip


def _integer(rng: Random, value: str, column: ColumnPlan) -> str:
    number = int(value)
    return str(number - 1 if number > 0 else number + 1)


def _numeric(rng: Random, value: str, column: ColumnPlan) -> str:
    number = Decimal(value)
    if number and rng.random() < 0.2 and "unsigned" not in column.source_type:
        return str(number.copy_negate())
    step = Decimal((0, (1,), int(number.as_tuple().exponent)))
    return format(_EXACT.subtract(number, step) if number > 0 else _EXACT.add(number, step), "f")


def _double(rng: Random, value: str, column: ColumnPlan) -> str:
    number = float(value)
    if rng.random() < 0.2 or number == 0:
        return repr(-number)
    return repr(math.nextafter(number, 0.0 if rng.getrandbits(1) else math.copysign(1e308, number)))


def _real(rng: Random, value: str, column: ColumnPlan) -> str:
    bits = int(struct.unpack("<I", struct.pack("<f", float(value)))[0])
    if rng.random() < 0.2 or not bits & 0x7FFFFFFF:
        bits ^= 0x80000000
    else:
        bits -= 1
    return repr(struct.unpack("<f", struct.pack("<I", bits))[0])


def _boolean(rng: Random, value: str, column: ColumnPlan) -> str:
    return "false" if value == "true" else "true"


def _bit(rng: Random, value: str, column: ColumnPlan) -> str:
    place = rng.choice((0, len(value) - 1, rng.randrange(len(value))))
    return value[:place] + ("1" if value[place] == "0" else "0") + value[place + 1 :]


def _bytes(rng: Random, value: str, column: ColumnPlan) -> str:
    raw = bytearray.fromhex(value[2:])
    dice = rng.random()
    if dice < 0.1 or not raw:
        raw.append(0)
    elif dice < 0.2:
        raw.pop()
    else:
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return "\\x" + raw.hex()


def _uuid(rng: Random, value: str, column: ColumnPlan) -> str:
    digits = value.replace("-", "")
    place = rng.randrange(32)
    return digits[:place] + f"{int(digits[place], 16) ^ 1:x}" + digits[place + 1 :]


def _date(rng: Random, value: str, column: ColumnPlan) -> str:
    day = date.fromisoformat(value)
    return str(day + timedelta(days=1 if day.year < 5000 else -1))


def _step(column: ColumnPlan) -> timedelta:
    digits = (*sizes(column.target_type), 6)[0]
    return timedelta(microseconds=10 ** (6 - digits))


def _moment(rng: Random, value: str, column: ColumnPlan) -> str:
    moment = datetime.fromisoformat(value)
    step = _step(column)
    step = rng.choice((step, step, step, timedelta(hours=1), timedelta(days=1)))
    return (moment + (step if moment.year < 5000 else -step)).isoformat(" ")


def _clock(rng: Random, value: str, column: ColumnPlan) -> str:
    sign, text = (-1, value[1:]) if value[0] == "-" else (1, value)
    hours, minutes, seconds = text.split(":")
    whole = (int(hours) * 60 + int(minutes)) * 60_000_000 + round(float(seconds) * 1_000_000)
    micros, step = whole * sign, _step(column) // timedelta(microseconds=1)
    if kind_of(column) == "interval" and micros and rng.random() < 0.2:
        micros = -micros
    else:
        micros += -step if micros > 0 else step
    seconds_, rest = divmod(abs(micros), 1_000_000)
    clock = f"{seconds_ // 3600:02}:{seconds_ // 60 % 60:02}:{seconds_ % 60:02}.{rest:06}"
    return "-" + clock if micros < 0 else clock


def _enum(rng: Random, value: str, column: ColumnPlan) -> str:
    return rng.choice(mysql_members(column.source_type))


def _array(rng: Random, value: str, column: ColumnPlan) -> str:
    """`value` is the array as JSON."""
    items: list[str | None] = json.loads(value)
    dice = rng.randrange(6)
    if dice == 0:
        items.append("")
    elif dice == 1:
        items.append(None)
    elif dice == 2 and len(items) > 1:
        items.reverse()
    elif dice == 3 and len(items) > 1:
        items[:2] = [f"{items[0]},{items[1]}"]
    elif items:
        items.pop(rng.randrange(len(items)))
    else:
        items.append(mysql_members(column.source_type)[0])
    return array(items)


def array(items: Sequence[str | None]) -> str:
    """A literal of text[]."""
    return "{" + ",".join("NULL" if one is None else _quoted(one) for one in items) + "}"


def _quoted(item: str) -> str:
    escaped = item.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def text(rng: Random, value: str, column: ColumnPlan) -> str:
    """The text with one of the changes that make a text look the same, or nearly."""
    limit = sizes(column.target_type)
    found = rng.choice(_TEXTS)(rng, value)
    if found == value:
        found = value + " " if rng.getrandbits(1) else value[:-1]
    # PostgreSQL drops spaces that are too much for a varchar without a word.
    return value[:-1] if limit and len(found) > limit[0] else found


def _swapped_case(rng: Random, value: str) -> str:
    places = [place for place, char in enumerate(value) if char.swapcase() != char]
    if not places:
        return value
    place = rng.choice(places)
    return value[:place] + value[place].swapcase() + value[place + 1 :]


def _neighbour(rng: Random, value: str) -> str:
    if not value:
        return "?"
    place = rng.randrange(len(value))
    code = ord(value[place])
    found = chr(code ^ 1) if code > 1 else "\x03"
    return value[:place] + found + value[place + 1 :]


_TEXTS: tuple[Callable[[Random, str], str], ...] = (
    _swapped_case, _swapped_case, _neighbour, _neighbour,
    lambda rng, value: value + " ",
    lambda rng, value: " " + value,
    lambda rng, value: value.rstrip(" "),
    lambda rng, value: unicodedata.normalize("NFC", value),
    lambda rng, value: unicodedata.normalize("NFD", value),
    lambda rng, value: value.replace("\r\n", "\n") if "\r\n" in value else value.replace("\n", "\r\n"),
    lambda rng, value: value.replace("\\", "\\\\", 1),
    lambda rng, value: value + "|",
    lambda rng, value: "~" if not value else "",
    lambda rng, value: value.replace("\t", " ", 1),
    lambda rng, value: value.encode().decode("latin1").replace("\0", ""),
    lambda rng, value: value.encode("ascii", "replace").decode(),
    lambda rng, value: value[1:] + value[:1],
    lambda rng, value: f"{len(value.encode())};{value}",
)  # fmt: skip


class _Number(str):
    """A JSON number as it is written."""


def _document(rng: Random, value: str, column: ColumnPlan) -> str:
    return _written(_node(rng, json.loads(value, parse_float=_Number, parse_int=_Number), column))


def _written(node: Any) -> str:
    if isinstance(node, _Number):
        return str(node)
    if isinstance(node, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_written(inner)}" for key, inner in node.items()) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(_written, node)) + "]"
    return json.dumps(node)


def _node(rng: Random, node: Any, column: ColumnPlan) -> Any:
    """The document with one change, somewhere in it."""
    if isinstance(node, dict) and node and rng.random() < 0.6:
        key = rng.choice([*node])
        return {**node, key: _node(rng, node[key], column)}
    if isinstance(node, list) and node and rng.random() < 0.6:
        place = rng.randrange(len(node))
        return [*node[:place], _node(rng, node[place], column), *node[place + 1 :]]
    if isinstance(node, _Number):
        return _other_number(rng, node)
    if isinstance(node, str):
        return text(rng, node, column) if rng.random() < 0.8 else [node]
    if isinstance(node, bool):
        return not node if rng.getrandbits(1) else str(node).lower()
    if node is None:
        return rng.choice(("null", False, "", [], _Number("0")))
    return _other_dict(rng, node) if isinstance(node, dict) else _other_list(rng, node)


def _other_number(rng: Random, number: str) -> Any:
    if rng.random() < 0.2:
        return str(number)
    if rng.random() < 0.1:
        return rng.choice((True, False, None))
    head, exponent = (number.partition("e") if "e" in number else (number, "", ""))[::2]
    digit = int(head[-1])
    return _Number(head[:-1] + str((digit + 1) % 10) + (f"e{exponent}" if exponent else ""))


def _other_dict(rng: Random, node: dict[str, Any]) -> Any:
    if not node:
        return rng.choice(([], None, {"": None}))
    key = rng.choice([*node])
    rest = {name: inner for name, inner in node.items() if name != key}
    renamed = {**rest, rng.choice((key + " ", key.swapcase())): node[key]}
    return rng.choice((rest, renamed, renamed, {**node, "\u0001": None}))


def _other_list(rng: Random, node: list[Any]) -> Any:
    return rng.choice((node[::-1], [*node, None], node[:-1], {"0": node}, [node]))


CHANGES: Mapping[str, Change] = {
    "smallint": _integer, "integer": _integer, "bigint": _integer, "numeric": _numeric, "real": _real,
    "double precision": _double, "boolean": _boolean, "bit": _bit, "bytea": _bytes, "uuid": _uuid,
    "date": _date, "timestamp": _moment, "timestamp with time zone": _moment, "time": _clock,
    "interval": _clock, "enum": _enum, "text[]": _array, "text": text, "varchar": text, "jsonb": _document,
    "json": _document,
}  # fmt: skip
