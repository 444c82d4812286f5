"""How a column's value begins: as it is stored, or as a map's `using` makes it, perhaps of another kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converge.mapping.rules import Rule, setting
from converge.mapping.using import cuts, expression
from converge.model.catalog import Column, Table
from converge.model.evidence import Search
from converge.model.plan import Change
from converge.model.quote import my_name
from converge.types import Family, Value, base_name, check_target, family_of
from converge.types.made import stand_in
from converge.types.sql import as_bytes, only

_TIMES = frozenset({"date", "datetime", "timestamp", "time"})
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_OTHER_TEXTS = frozenset({"enum", "set", "json"})


def seen(family: Family, column: Column, to: str, rules: Sequence[Rule]) -> tuple[Family, Column]:
    """The family and the column as a map's `using` leaves them: of a kind that can become `to`."""
    if setting(rules, "using")[0] and base_name(to) not in family.accepts(column):
        made = stand_in(column, to)
        other = family_of(made) if made else None
        if made and other:
            return other, made
    return family, column


def target(family: Family, column: Column, rule: Rule, rules: Sequence[Rule]) -> str:
    """The type that a rule gives a column. Raises UsageError for one that the value cannot become."""
    to = rule.target_type(column)
    check_target(*seen(family, column, to, rules), to, rule.place, rule.labels)
    return to


def begin(family: Family, value: Value, rules: Sequence[Rule]) -> tuple[Family, Value, Change | None]:
    """The value in the server's zone and as a map's `using` makes it, before any policy, and its family."""
    if value.column.zoned:
        value = replace(value, changed=family.adopted(value.column.zoned, value.column))
    using = setting(rules, "using")[0]
    if not using:
        return family, value, None
    family, column = seen(family, value.column, value.to, rules)
    given = expression(using, value.sql)
    new = family.adopted(given, column)
    where = f"NOT (CAST({new} AS BINARY) <=> CAST({value.sql} AS BINARY))"
    change = Change("using", using, where, "are changed by the map's expression")
    made = column is not value.column
    # NULL may be what the map means, but not of a value of another kind, nor in a column that takes none.
    meant = column.nullable and not made
    lost = f"{given if meant else value.sql} IS NOT NULL AND {new} IS NULL"
    emptied = f"{value.sql} IS NOT NULL AND {given} IS NULL" if meant else ""
    null = f"{given} IS NULL" if meant else f"({value.sql} IS NULL AND {given} IS NULL)"
    cut = ""
    if cuts(using, of_text=value.column.type in _TEXTS | _BYTES):
        cut = f"{value.sql} IS NOT NULL AND {new} IS NOT NULL AND ({_same(value, given)}) IS NOT TRUE"
    value = replace(value, column=column, changed=new, declared_null=null, made=made)
    return family, replace(value, lost=lost, emptied=emptied, cut=cut), change


def _same(value: Value, given: str) -> str:
    """MySQL condition: an expression of the value has all of it, if in another form."""
    type_, old = value.column.type, value.sql
    if type_ in _TIMES:
        # Midnight is the day, and a fraction of zeros is none.
        zeros = f"'.{'0' * value.column.fsp}'" if value.column.fsp else "''"
        both = (f"TRIM(TRAILING ' 00:00:00' FROM TRIM(TRAILING {zeros} FROM CONCAT({one})))"
                for one in (given, old))  # fmt: skip
        return "=".join(map(as_bytes, both))
    if type_ in _BYTES:
        equal = f"{as_bytes(given)}={as_bytes(old)}"
    elif type_ in _TEXTS | _OTHER_TEXTS:
        equal = "=".join(as_bytes(f"CONVERT(CONCAT({one}) USING utf8mb4)") for one in (given, old))
    else:
        return f"{given}={old}"
    number = only(old, "-?(0|[1-9][0-9]{0,29})([.][0-9]{1,30})?")
    return f"{equal} OR CAST({number} AS DECIMAL(65,30))=CAST(CONCAT({given}) AS DECIMAL(65,30))"


def made_equal(table: Table, value: Value) -> Search:
    """The rows whose value another one becomes equal to by a map's expression, as `begin` has left it."""
    name, made = my_name(value.column.name), f"MD5({as_bytes(value.changed)})"
    # DISTINCT first: to sort rows of long values would take more memory than the server has for it.
    pairs = (
        f"SELECT DISTINCT {made} AS `made equal`, MD5({as_bytes(name)}) FROM {my_name(table.name)} "
        f"WHERE {value.changed} IS NOT NULL"
    )
    several = f"SELECT `made equal` FROM ({pairs}) AS pairs GROUP BY 1 HAVING COUNT(*)>1"
    where = f"{made}=d.`made equal`"
    join = f"FROM {my_name(table.name)} AS c JOIN ({several}) AS d"
    return Search(f"equal by {value.changed}", join, where)
