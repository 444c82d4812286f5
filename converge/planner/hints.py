"""Lines `using = …` that make what a target's type takes: each is tried on the data before it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from converge.mapping.rules import Rule
from converge.model.catalog import Column, Table
from converge.model.quote import my_name, my_text
from converge.planner.draft import Draft
from converge.planner.reading import begin
from converge.types import Value, base_name, family_of
from converge.types.sql import as_bytes

_PAIRS = (("0", "1"), ("n", "y"), ("no", "yes"), ("f", "t"), ("false", "true"), ("off", "on"))
"""Words for false and true."""
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"binary", "varbinary"})
_INTEGERS = frozenset({"int", "bigint"})
_FORMATS = {
    "date": ("%Y%m%d", "%Y-%m-%d"),
    "timestamp": ("%Y%m%d%H%i%s", "%Y-%m-%d %H:%i:%s"),
    "timestamp with time zone": ("%Y%m%d%H%i%s", "%Y-%m-%d %H:%i:%s"),
}
_LEAST_SECONDS = 100_000_000
"""Of a number that is surely one of seconds since 1970: in 1973."""


@dataclass(frozen=True, slots=True)
class _Hint:
    using: str
    differs: str = "FALSE"
    """MySQL condition with ``{}``: the value is not what the expression takes it for."""


def conditions(column: Column, to: str) -> Iterator[str]:
    """What the scan should count, so that `hint` has an answer."""
    return (one for _, asked in _tried(column, to) for one in asked)


def hint(draft: Draft, table: Table, column: Column, to: str) -> str:
    """An expression that makes a value that is right of every one in the data; empty where none is known."""
    for using, asked in _tried(column, to):
        counts = [draft.evidence.count(table.name, one) for one in asked]
        if all(count is not None and not count.rows for count in counts):
            return using
    return ""


def _tried(column: Column, to: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Each candidate with the conditions that no row may meet."""
    family = family_of(column)
    for candidate in _candidates(column, base_name(to)):
        assert family is not None
        rule = Rule("column", "a hint", {}, {"using": candidate.using}, "")
        made, value, _ = begin(family, Value(column, to), [rule])
        if base_name(to) in made.accepts(value.column):
            differs = candidate.differs.replace("{}", my_name(column.name))
            traps = (trap for trap in made.every_trap(value) if trap.kind.harm != "note")
            yield candidate.using, [differs, *(trap.where for trap in traps)]


def _candidates(column: Column, to: str) -> Iterator[_Hint]:
    texts, numbers = column.type in _TEXTS | _BYTES, column.type in _INTEGERS
    if to == "boolean" and column.type == "enum":
        yield from _labels(column.labels)
    elif to == "boolean" and texts:
        for no, yes in _PAIRS:
            yield _Hint(f"ELT(FIELD({{}}, '{no}', '{yes}'), 'false', 'true')")
    elif to == "inet":
        if column.type in _BYTES:
            yield _Hint("INET6_NTOA({})")
        elif numbers:
            yield _Hint("INET_NTOA({})")
        elif texts:
            yield _Hint("LOWER(INET6_NTOA(INET6_ATON({})))")
    elif to in _FORMATS and (texts or numbers):
        yield from _moments(column, to)


def _labels(labels: Sequence[str]) -> Iterator[_Hint]:
    """An ENUM with words for false and true, in whatever case, is just that."""
    for no, yes in _PAIRS:
        if {label.lower() for label in labels} == {no, yes} and len(labels) == len((no, yes)):
            true = next(label for label in labels if label.lower() == yes)
            # NULL and the error value are neither.
            yield _Hint(f"IF({{}}={my_text(true)},'true','false')", "({} IS NULL OR {}+0=0)")
            yield _Hint(f"ELT(FIELD({{}}, '{no}', '{yes}'), 'false', 'true')")


def _moments(column: Column, to: str) -> Iterator[_Hint]:
    text, zone = "CONVERT({} USING utf8mb4)", to.endswith("zone") and column.type in _TEXTS
    for format_ in _FORMATS[to]:
        made = f"STR_TO_DATE({{}}, '{format_}')"
        # What follows a time is not looked at.
        back = f"DATE_FORMAT({made},'{format_}')"
        differs = f"NOT ({as_bytes(back)}<=>{as_bytes(text)})"
        yield _Hint(f"CONCAT({made}, '+00')" if zone else made, differs)
    if column.type in _INTEGERS and to != "date":
        yield _Hint("FROM_UNIXTIME({})", f"{{}}<{_LEAST_SECONDS}")
