"""How a column's value begins: as it is stored, or as a map's `using` makes it, perhaps of another kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from converge.mapping.inverse import lossless, unconverted
from converge.mapping.rules import Rule, setting
from converge.mapping.sql import expression
from converge.model.catalog import Column, Table
from converge.model.evidence import Search
from converge.model.quote import my_name
from converge.model.table_plan import Change
from converge.types import TEXTUAL, Trap, Value, accepts, adopted, base_name
from converge.types.as_number import INTEGERS
from converge.types.binary import Binary
from converge.types.bit import Bit
from converge.types.decimal import Decimal
from converge.types.floating import Floating
from converge.types.forms import ANY_TEXT, MADE
from converge.types.integer import Integer
from converge.types.json_ import Json
from converge.types.sql import as_bytes, bare_number, only, sizes
from converge.types.temporal import Date, Datetime, Time

_TIMES = Date.types | Datetime.types | Time.types
_TEXTS = TEXTUAL | Json.types
_EXACT = Integer.types | Decimal.types | Bit.types
_CASELESS = frozenset({"boolean", "cidr", "inet", "uuid"})
"""Types whose values have no upper and lower case."""
_MADE_TIMES = {
    "timestamp": "datetime",
    "timestamp with time zone": "datetime",
    # What has a time of day, too, must not lose it unseen.
    "date": "datetime",
    "time": "time",
    "interval": "time",
}
_FSP = 6
_LONGEST = 2**32 - 1
_AS_NUMBER = {"float": "*1e0", "bit": "+0"}
_INTEGER_DIGITS, _MOST_DIGITS, _MOST_SCALE = 20, 65, 30


def made_kind(column: Column, to: str, rules: Sequence[Rule]) -> Column:
    """The column as a map's `using` leaves it: of a kind that can become `to`. Its own type is known."""
    if not setting(rules, "using")[0]:
        return column
    return _widened(column, to) if accepts(column, to) else _stand_in(column, to) or column


def round_line(digits: int) -> str:
    """The line of a map that leaves a floating-point number so many digits."""
    return f'using = "ROUND({{}}, {digits})"'


def begin(value: Value, rules: Sequence[Rule]) -> tuple[Value, Change | None]:
    """The value in the server's zone and as a map's `using` makes it, before any policy."""
    stored, unmade = value.column.sql, ""
    if value.column.zoned:
        changed = adopted(value.column.zoned, value.column)
        # Where MySQL stores a value in another form, 5.5 as 6 for example, the expression may give none.
        unmade = f"({stored} IS NOT NULL AND {changed} IS NULL)"
        value = replace(value, changed=changed, losses=(Trap("no_result", unmade),))
    using = setting(rules, "using")[0]
    if not using:
        return value, None
    accepted = accepts(value.column, value.to)
    column, own = made_kind(value.column, value.to, rules), value.changed or _stored(value.column)
    given = expression(using, own)
    new = adopted(given, column)
    if missed := unconverted(using, given, own):
        new = f"IF({missed},NULL,{new})"
    # MySQL prints the 7.1 of a DOUBLE(M,D) with D digits, but not that of an expression.
    printed = f"{own}*1e0" if column.type in Floating.types else own
    where = f"NOT (CAST({new} AS BINARY) <=> CAST({printed} AS BINARY))"
    change = Change("using", using, where, "are changed by the map's expression")
    other_kind = not accepted and column is not value.column
    # NULL may be what the map means, but not of a value of another kind, nor in a column that takes none.
    meant = column.nullable and not other_kind
    no_result = f"{given if meant else stored} IS NOT NULL AND {new} IS NULL"
    null = f"{given} IS NULL" if meant else f"({stored} IS NULL AND {given} IS NULL)"
    if unmade:
        no_result, null = f"({unmade} OR ({no_result}))", f"({null} AND NOT {unmade})"
    losses = [Trap("no_result", no_result)]
    if meant:
        losses.append(Trap("made_null", f"{own} IS NOT NULL AND {given} IS NULL"))
    rounds = value.column.type in Floating.types
    # The text of a double may have fewer digits than the double.
    judged = new if rounds and column.type not in Floating.types else given
    kept = lossless(
        using, judged, own, partial(_same, value.column), rounds=rounds,
        printed=column.type in TEXTUAL, caseless=base_name(value.to) in _CASELESS,
    )  # fmt: skip
    if rounds and value.column.scale is not None:
        # The digits that MySQL never shows are nobody's: it stores 2.47 as 2.4699999999999998.
        kept = f"({kept}) OR {judged}*1e0=CONCAT({stored})*1e0"
    if kept != "TRUE":
        cut = f"{own} IS NOT NULL AND {new} IS NOT NULL AND ({kept}) IS NOT TRUE"
        losses.append(Trap("cut_value", cut))
    value = replace(value, column=column, changed=new, declared_null=null, made=other_kind)
    return replace(value, losses=tuple(losses)), change


def made_equal(table: Table, value: Value) -> Search:
    """The rows whose value another one becomes equal to by a map's expression, as `begin` has left it."""
    stored, digest = _stored(table.column(value.column.name)), f"MD5({as_bytes(value.changed)})"
    # DISTINCT first: to sort rows of long values would take more memory than the server has for it.
    pairs = (
        f"SELECT DISTINCT {digest} AS `made equal`, MD5({as_bytes(stored)}) FROM {my_name(table.name)} "
        f"WHERE {value.changed} IS NOT NULL"
    )
    several = f"SELECT `made equal` FROM ({pairs}) AS pairs GROUP BY 1 HAVING COUNT(*)>1"
    where = f"{digest}=d.`made equal`"
    join = f"FROM {my_name(table.name)} AS c JOIN ({several}) AS d"
    return Search(f"equal by {value.changed}", join, where)


def _stored(column: Column) -> str:
    """MySQL expression of a column's value.

    A FLOAT as a double, because its own text has six digits; a BIT as a number, because its text are bytes.
    """
    arithmetic = _AS_NUMBER.get(column.type)
    return f"({column.sql}{arithmetic})" if arithmetic else column.sql


def _stand_in(column: Column, to: str) -> Column | None:
    """A column of the kind that becomes `to`: a time, or else a text that must be just what `to` prints.

    None where neither can.
    """
    kind = _MADE_TIMES.get(base_name(to))
    plain = replace(column, unsigned=False, zerofill=False, labels=(), charset=None, collation=None)
    if kind:
        return replace(plain, type=kind, fsp=_FSP)
    return _text(plain) if base_name(to) in MADE else None


def _widened(column: Column, to: str) -> Column:
    """A column for what an expression makes of a number: any number or text that `to` can hold.

    The column itself where its type says nothing about the values: of all but numbers. A FLOAT's results are
    doubles, and rounded only for a real.
    """
    base = base_name(to)
    if column.type in _EXACT | Floating.types and (base in ANY_TEXT or to == "numeric"):
        return _text(column)
    if column.type == "float" and to != "real":
        return replace(column, type="double")
    if column.type not in _EXACT or base not in {*INTEGERS, "numeric", "double precision"}:
        return column
    scale = (*sizes(to), 0)[1] if sizes(to) else _MOST_SCALE * (base == "double precision")
    scale = min(_MOST_SCALE, max(scale, column.scale or 0))
    whole = max(_INTEGER_DIGITS, (column.precision or 0) - (column.scale or 0), (*sizes(to), 0)[0] - scale)
    precision = min(_MOST_DIGITS, whole + scale)
    return replace(column, type="decimal", precision=precision, scale=scale, unsigned=False)


def _text(column: Column) -> Column:
    return replace(column, type="longtext", length=_LONGEST, charset="utf8mb4")


def _same(column: Column, new: str, old: str) -> str:
    """MySQL condition: two expressions have the value of such a column, if in another form."""
    type_ = column.type
    if type_ in _TIMES:
        # Midnight is the day, and zeros at the end of a fraction say nothing.
        days = (f"TRIM(TRAILING ' 00:00:00' FROM {_without_zeros(one)})" for one in (new, old))
        return "=".join(map(as_bytes, days))
    if type_ in _EXACT:
        # Of a text and an exact number MySQL compares the nearest doubles; and of a quotient the comparison
        # sees digits that its text has not.
        return f"{new}={old} AND {adopted(new, replace(column, type='decimal'))}={old}"
    if type_ in Binary.types:
        equal = f"{as_bytes(new)}={as_bytes(old)}"
    elif type_ in _TEXTS:
        equal = "=".join(as_bytes(f"CONVERT(CONCAT({one}) USING utf8mb4)") for one in (new, old))
    else:
        return f"{new}={old}"
    numbers = (f"CAST({only(one, '-?(0|[1-9][0-9]{0,29})([.][0-9]{1,30})?')} AS DECIMAL(65,30))"
               for one in (new, old))  # fmt: skip
    return f"{equal} OR {'='.join(numbers)}"


def _without_zeros(time: str) -> str:
    return f"IF(LOCATE('.',{time}),{bare_number(time)},CONCAT({time}))"
