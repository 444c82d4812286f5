"""Values as the kind that stands around them asks for: MySQL converts by itself, PostgreSQL when told.

A conversion that could mean something else (a text as a number, a double as text) raises Untranslatable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from converge.model.quote import pg_text
from converge.translate.errors import Untranslatable
from converge.translate.terms import Terms
from converge.translate.values import NULL, NUMBERS, ODDLY, TEMPORAL, TIMES, Kind, Value, bytewise

_DAY = r"(?!0000)\d{4}-(?!00)\d\d-(?!00)\d\d"
_DATE = re.compile(_DAY)
_DATETIME = re.compile(rf"{_DAY}[ T]\d\d:\d\d:\d\d(?:\.\d{{1,6}})?")
_TIME = re.compile(r"-?\d{1,3}:\d\d:\d\d(?:\.\d{1,6})?")
_HALVES = {0: ("second", "0.5"), 3: ("milliseconds", "0.0005")}
_NO_TEXT = {"zerofill": "ZEROFILL pads the text of a number", "bit": "BIT as a text is bytes"}
_UNEVEN = "NULLIF of a date or time, and a shifted literal, are texts in MySQL"
_PATTERNS = {0: "YYYY-MM-DD HH24:MI:SS", 3: "YYYY-MM-DD HH24:MI:SS.MS", 6: "YYYY-MM-DD HH24:MI:SS.US"}


def truth(value: Value) -> str:
    """A condition: MySQL takes any number for one."""
    if value.kind in ("bool", "null"):
        return value.sql
    if value.kind in NUMBERS:
        return {"0": "false", "1": "true"}.get(value.literal or "", f"({value.sql} <> 0)")
    raise Untranslatable(f"{_a(value.kind)} is taken for a condition")


def number(value: Value) -> str:
    """A number: a condition is 0 or 1. A `real` is widened, as MySQL calculates with doubles."""
    if value.kind == "bool":
        return f"{value.sql}::int"
    if value.kind == "double":
        return f"{value.sql}::float8" if value.source == "float" else value.sql
    if value.kind in NUMBERS or value.kind == "null":
        return value.sql
    raise Untranslatable(f"{_a(value.kind)} is taken for a number")


def integer(value: Value) -> str:
    """An integer of 64 bits, in which MySQL calculates; numeric where it may be too large for bigint."""
    if value.kind not in ("bool", "int", "null"):
        raise Untranslatable(f"{_a(value.kind)} is taken for an integer")
    if value.wide:
        return f"{value.sql}::numeric"
    if value.literal is not None or value.sql.endswith("::bigint"):
        return value.sql
    return f"{number(value)}::bigint"


def signed(value: Value) -> str:
    """An integer that fits PostgreSQL's bigint."""
    if value.wide:
        raise Untranslatable("a number that may be larger than PostgreSQL's bigint")
    return integer(value)


def exact(value: Value) -> str:
    """A number without an exponent."""
    if value.kind == "double":
        raise Untranslatable("an approximate number is taken for an exact one")
    return number(value)


def text(value: Value, terms: Terms) -> str:
    """The text that MySQL prints a value as."""
    if value.kind in ("text", "null"):
        return bytewise(value)
    if value.source in _NO_TEXT or value.uneven:
        raise Untranslatable(_NO_TEXT.get(value.source, "its digits depend on the row"))
    if value.source == "year":
        return f"lpad({value.sql}::text, 4, '0')"
    if value.kind in ("bool", "int"):
        return f"{number(value)}::text"
    if value.kind == "decimal":
        return f"{shown(value)}::text"
    if value.kind == "uuid":
        return f"{value.sql}::text"
    if value.kind in TEMPORAL | {"enum", "set"}:
        terms.depends(f"{_a(value.kind)} is made a text")
    if value.kind == "date":
        return f"to_char({value.sql}, 'YYYY-MM-DD')"
    if value.kind in TEMPORAL and value.scale in _PATTERNS:
        return f"to_char({moment(value, terms)}, '{_PATTERNS[value.scale]}')"
    if value.kind == "enum":
        return f"{value.sql}::text"
    if value.kind == "set":
        return f"array_to_string({value.sql}, ',')"
    raise Untranslatable(f"{_a(value.kind)} is taken for a text, which the servers print differently")


def shown(value: Value) -> str:
    """A number with the digits that MySQL shows: a quotient is cut only at the very end."""
    if value.kind == "decimal" and value.digits > value.scale:
        return f"round({value.sql}, {value.scale})"
    return value.sql


def day(value: Value, terms: Terms) -> str:
    """A date."""
    value = temporal(value)
    if value.kind in ("date", "null"):
        return value.sql
    return f"{moment(value, terms)}::date"


def moment(value: Value, terms: Terms) -> str:
    """A wall-clock time; an instant is shown in the session's zone on both servers."""
    value = temporal(value)
    if value.kind in ("datetime", "null"):
        return value.sql
    if value.kind == "instant":
        terms.depends("an instant is shown in the session's time zone")
    return f"{value.sql}::timestamp"


def rounded(value: Value, digits: int, terms: Terms) -> str:
    """A wall-clock time with fewer digits of seconds: MySQL rounds up from the half.

    PostgreSQL's timestamp(n) does so after the year 2000 only: before it counts backwards.
    """
    value = temporal(value)
    if value.scale <= digits:
        return moment(value, terms)
    if digits not in _HALVES:
        raise Untranslatable(f"a time is rounded to {digits} digits")
    unit, half = _HALVES[digits]
    sql = moment(value, terms)
    # Past the year 9999 MySQL gives NULL.
    return (
        f"CASE WHEN {sql} < TIMESTAMP '10000-01-01' - INTERVAL '{half} seconds' "
        f"THEN date_trunc('{unit}', {sql} + INTERVAL '{half} seconds') END"
    )


def temporal(value: Value) -> Value:
    """A date or time, from a literal that is plainly one, too."""
    if value.uneven:
        raise Untranslatable(_UNEVEN)
    if value.kind in TEMPORAL or value.kind == "null":
        return value
    literal = value.literal
    if value.kind == "text" and literal is not None:
        if _DATE.fullmatch(literal):
            return Value(f"DATE {pg_text(literal)}", "date")
        if _DATETIME.fullmatch(literal):
            digits = len(literal.partition(".")[2])
            return Value(f"TIMESTAMP {pg_text(literal)}", "datetime", scale=digits)
        raise Untranslatable(f"{literal!r} is taken for a date")
    raise Untranslatable(f"{_a(value.kind)} is taken for a date")


def time(value: Value) -> str:
    """A time of day or a span of time."""
    if value.uneven:
        raise Untranslatable(_UNEVEN)
    if value.kind in ("time", "null"):
        return value.sql
    if value.kind == "clock":
        return f"{value.sql}::interval"
    if value.kind == "text" and value.literal is not None and _TIME.fullmatch(value.literal):
        return f"INTERVAL {pg_text(value.literal)}"
    raise Untranslatable(f"{_a(value.kind)} is taken for a time")


FLOAT = "how many digits a function shows of a FLOAT depends on MySQL's version"


def common(values: Sequence[Value], terms: Terms) -> tuple[Value, list[str]]:
    """What CASE and its kin give: a model of the result, and all values in that kind."""
    given = [value for value in values if value.kind != "null"]
    kinds = {value.kind for value in given}
    if not given:
        return values[0], [value.sql for value in values]
    if len(kinds) == 1 and kinds.isdisjoint(NUMBERS | {"set", "enum"}):
        model = _merged(given)
        return model, [value.sql for value in values]
    if any(value.source == "float" for value in given):
        raise Untranslatable(FLOAT)
    if kinds <= NUMBERS:
        return _numbers(values, kinds)
    if kinds <= TEMPORAL | TIMES and any(value.uneven for value in given):
        raise Untranslatable(_UNEVEN)
    if kinds > {"instant"} and kinds <= TEMPORAL:
        raise Untranslatable("a TIMESTAMP beside a date, which may be no TIMESTAMP")
    if kinds <= TEMPORAL:
        model = Value("", "datetime", scale=max(value.scale for value in given))
        return model, [moment(value, terms) for value in values]
    if kinds <= TIMES:
        return Value("", "time", scale=max(value.scale for value in given)), [time(value) for value in values]
    if kinds <= NUMBERS | {"text", "enum", "set"}:
        return _merged([value for value in given if value.kind not in NUMBERS]), [
            text(value, terms) for value in values
        ]
    raise Untranslatable(f"it mixes {', '.join(sorted(kinds))}")


def collated(values: Iterable[Value]) -> list[Value]:
    """Those that a comparison takes for texts, and that have a collation."""
    return [value for value in values if value.kind in ("text", "enum", "set") and value.collation]


def check_collation(values: Sequence[Value]) -> None:
    """Raises Untranslatable for a function of a literal first: 8.0.15 gives it the others' collation."""
    if values[0].kind == "text" and not values[0].collation and collated(values):
        raise Untranslatable("a literal goes before a column: the result's collation is by MySQL's version")


def collation_of(values: Sequence[Value]) -> tuple[str, bool, str]:
    """The collation that a text made of these has, whether it is explicit, and what the target has for it."""
    texts = collated(values)
    explicit = [value for value in texts if value.explicit]
    names = {value.collation for value in explicit or texts}
    alikes = {value.alike for value in texts}
    alike = alikes.pop() if len(alikes) == 1 else ODDLY if alikes else ""
    if "binary" in names:
        # Bytes are compared with the bytes that the source has of a text.
        for value in texts:
            if not value.collation.startswith(("binary", "utf8", "ascii")):
                raise Untranslatable(
                    f"bytes and a text in {value.charset}, whose bytes are others in the target"
                )
        return "binary", bool(explicit), alike
    # Unicode goes before any other character set, and within one set _bin goes before the rest.
    names = {name for name in names if name.startswith("utf8mb4")} or names
    if len(names) > 1:
        binary = [name for name in names if name.endswith("_bin")]
        if len({name.partition("_")[0] for name in names}) > 1:
            binary = []
        if len(binary) != 1:
            raise Untranslatable(f"it mixes the collations {', '.join(sorted(names))}")
        names = set(binary)
    return (names.pop() if names else ""), bool(explicit), alike


def _merged(values: Sequence[Value]) -> Value:
    collation, explicit, alike = collation_of(values)
    kind: Kind = "text" if values[0].kind in ("enum", "set") else values[0].kind
    scale = max(value.scale for value in values)
    folded = {(value.literal or "").rstrip(" ").casefold() for value in values}
    one_spelling = len(folded) == len(values) and all(value.literal is not None for value in values)
    return Value(
        "", kind, scale=scale, digits=scale, collation=collation, explicit=explicit, alike=alike,
        one_spelling=one_spelling,
    )  # fmt: skip


def _numbers(values: Sequence[Value], kinds: set[Kind]) -> tuple[Value, list[str]]:
    source = next((value.source for value in values if value.source in _NO_TEXT), "")
    if kinds == {"bool"}:
        return Value("", "bool", source=source), [value.sql for value in values]
    if "double" in kinds:
        return Value("", "double", source=source), [f"{number(value)}::float8" for value in values]
    if "decimal" not in kinds:
        given = [value for value in values if value.kind != "null"]
        unsigned, most = all(value.unsigned for value in given), max(value.bound for value in given)
        model = Value("", "int", unsigned=unsigned, most=most, source=source)
        return model, [number(value) for value in values]
    scale = max(value.scale for value in values)
    digits = max(value.digits for value in values)
    model = Value("", "decimal", scale=scale, digits=digits, source=source)
    if model.digits > scale:
        if any(value.digits > value.scale != scale for value in values):
            raise Untranslatable("quotients of different digits: how many MySQL keeps depends on its plan")
        return model, [number(value) for value in values]
    return model, [
        value.sql
        if value.kind == "null" or value.scale == scale
        else f"round({number(value)}::numeric, {scale})"
        for value in values
    ]


def like(model: Value, sql: str, values: Sequence[Value]) -> Value:
    """The model with its SQL; volatile when a part is."""
    if model.kind == "null":
        return NULL
    source = model.source if model.source in _NO_TEXT else ""
    return replace(
        model, sql=sql, literal=None, source=source, volatile=any(value.volatile for value in values)
    )


def _a(kind: Kind) -> str:
    return {"null": "NULL", "json": "a JSON value", "opaque": "a value of this type"}.get(
        kind, ("an " if kind[0] in "aeiou" else "a ") + kind
    )
