"""CAST and CONVERT, COLLATE, TRIM, and the conversion that MySQL makes when it stores a value in a column."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from converge.model.catalog import Column
from converge.model.quote import pg_array, pg_text
from converge.translate.context import Context, Untranslatable, refuse_if, unlisted
from converge.translate.term import INTEGERS, NUMBERS, TEMPORAL, TIMES, Term, refuse_volatile
from converge.translate.translator import Translator, node
from converge.types import TEXTS, base_name

_UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8"})
_Type = exp.DataType.Type


# --- CAST -----------------------------------------------------------------------------------------------


@node(exp.Cast, parts="this to")
def _cast(t: Translator, node: exp.Expr) -> Term:
    """CAST(x AS type), DATE'…', CONVERT(x USING charset)."""
    value, to = t.value(node.this), node.args["to"]
    if to.this == _Type.ARRAY or any(not size.name.isdigit() for size in to.expressions):
        raise Untranslatable("an index over the elements of a JSON array has no counterpart")
    sizes = [int(size.name) for size in to.expressions]
    digits = sizes[0] if sizes else 0
    match to.this:
        case _Type.CHARACTER_SET | _Type.CHAR | _Type.NCHAR | _Type.VARCHAR:
            return _char(value, to, digits if sizes else None, t.context)
        case _Type.BIGINT | _Type.UBIGINT:
            return _integer(value, unsigned=to.this == _Type.UBIGINT)
        case _Type.DECIMAL:
            return _decimal(value, *(sizes + [10, 0][len(sizes) :])[:2])
        case _Type.DOUBLE:
            return Term(f"{value.number()}::float8", "double")
        case _Type.DATE:
            return Term(value.day(t.context), "date")
        case _Type.DATETIME | _Type.TIMESTAMP | _Type.TIMESTAMPTZ:
            if value.kind == "text":
                # TIMESTAMP'…' keeps the digits of its text.
                value = value.temporal()
                digits = max(digits, value.scale)
            return Term(value.rounded(digits, t.context), "datetime", scale=digits)
        case _Type.TIME:
            sql = value.time()
            return Term(f"{sql}::interval({digits})" if value.scale > digits else sql, "time", scale=digits)
        case _Type.JSON if value.kind == "json":
            return value
    raise unlisted(f"cast of a {value.kind} as {to.this.value}")


def _char(value: Term, to: exp.DataType, length: int | None, context: Context) -> Term:
    charset = to.args["kind"].name.lower() if to.args.get("kind") else "utf8mb4"
    text = value.text(context)
    if charset == "binary":
        # BINARY x: only for a comparison by bytes; as a value of its own it would be bytes.
        if value.kind != "text" or length is not None:
            raise unlisted(f"cast of a {value.kind} as binary")
        return replace(_collated(value, "binary"), sql=text, unpadded=True)
    if charset not in _UNICODE:
        raise unlisted(f"cast as char of {charset}")
    sql = text if length is None else f'"left"({text}, {length})'
    collation = f"{charset}_{'0900_ai_ci' if charset == 'utf8mb4' else 'general_ci'}"
    return Term(sql, "text", collation=collation, one_spelling=value.kind in NUMBERS | TEMPORAL | TIMES)


def _integer(value: Term, *, unsigned: bool) -> Term:
    """CAST(x AS SIGNED or UNSIGNED): the same 64 bits with and without a sign.

    -1 AS UNSIGNED is 18446744073709551615, of `i`: (CASE WHEN i::bigint < 0 THEN i::bigint + 2^64 ELSE …).
    A decimal is rounded, and ends at the limits of its own sign.
    """
    never_negative = value.natural and not (value.literal and value.scale)
    if value.kind in INTEGERS:
        sql, bound = value.integer(), min(value.bound, 2**64 - 1)
    elif value.kind == "decimal" and (never_negative or not unsigned):
        if value.scale and "extract(epoch FROM" in value.sql:
            raise Untranslatable("CAST cuts the fraction of UNIX_TIMESTAMP or rounds it, by what it casts to")
        sql, bound = f"round({value.sql})", min(value.bound + 1, 2**64 - 1)
        if value.bound >= 2**63:
            least, most = (0, 2**64 - 1) if value.unsigned else (-(2**63), 2**63 - 1)
            sql = f"(CASE WHEN {sql} < {least} THEN {least} WHEN {sql} > {most} THEN {most} ELSE {sql} END)"
            sql = f"{sql}::numeric"
    else:
        raise Untranslatable(f"a {value.kind} is cast as an integer")
    if unsigned and not never_negative:
        sql, bound = f"(CASE WHEN {sql} < 0 THEN {sql} + {2**64} ELSE {sql} END)", 2**64 - 1
    elif not unsigned and value.unsigned and bound >= 2**63:
        sql = f"(CASE WHEN {sql} > {2**63 - 1} THEN {sql} - {2**64} ELSE {sql} END)"
    if not unsigned:
        bound = min(bound, 2**63)
    if value.literal is not None and value.kind == "int" and bound < 2**63:
        return replace(value, unsigned=unsigned)
    if bound <= 2**63 and not sql.endswith("::bigint"):
        sql += "::bigint"
    return Term(sql, "int", unsigned=unsigned, most=bound)


def _decimal(value: Term, precision: int, scale: int) -> Term:
    sql = f"{value.exact()}::numeric"
    most = 10 ** (precision - scale)
    if value.bound >= most:
        # MySQL takes the greatest number that there is.
        top = f"{'9' * (precision - scale)}.{'9' * scale}".strip(".")
        rounded = f"round({sql}, {scale})"
        sql = f"(CASE WHEN {rounded} > {top} THEN {top} WHEN {rounded} < -{top} THEN -{top} ELSE {sql} END)"
    return Term(f"{sql}::numeric({precision},{scale})", "decimal", scale=scale, digits=scale, most=most)


# --- COLLATE and TRIM -----------------------------------------------------------------------------------


@node(exp.Collate)
def _collate(t: Translator, node: exp.Expr) -> Term:
    """x COLLATE name."""
    value = t.value(node.this)
    if value.kind != "text":
        raise unlisted(f"collate of a {value.kind}")
    return _collated(value, node.expression.name)


def _collated(value: Term, collation: str) -> Term:
    if value.alike != collation:
        # A map's type or collation of the column does not decide any more.
        value = replace(value, sql=value.bytewise, alike="")
    return replace(value, collation=collation, explicit=True, source="", labels=(), one_spelling=False)


@node(exp.Trim, parts="this expression position")
def _trim(t: Translator, node: exp.Expr) -> Term:
    """TRIM(… [char FROM] x) of one character: MySQL takes off whole texts, PostgreSQL any of several."""
    value, chars = t.value(node.this), t.value(node.expression or exp.Literal.string(" ")).literal
    refuse_if(chars is None or len(chars) != 1, "trim of more than one literal character")
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "btrim")
    sql = f"{name}({value.text(t.context)}, {pg_text(chars or '')})"
    return Term(sql, "text", collation=value.collation, explicit=value.explicit, uneven=value.uneven)


# --- assignment -----------------------------------------------------------------------------------------

_TIMES = {"interval": frozenset({"time", "clock", "text"}), "time": frozenset({"clock"})}
_UUIDS = {"uuid": "{}", "bytes": "encode({}, 'hex')::uuid", "text": "{}::uuid"}
_NUMERIC = frozenset({"smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean"})


def stored(value: Term, to: str, context: Context, column: Column | None = None) -> str:
    """The value as SQL that a column of the PostgreSQL type `to` is assigned. Raises Untranslatable when the
    servers may differ.

    A text is not cast: a cast to varchar(n) would cut what the assignment refuses, as MySQL does.
    """
    base = base_name(to)
    if value.kind == "null":
        return "NULL"
    if column is not None and column.labels:
        _check_members(value, column)
    if base in _NUMERIC:
        return _stored_number(value, to, base, column)
    if base in TEXTS:
        return _stored_text(value, context, column)
    if base.startswith(("date", "timestamp")) and (value.kind in TEMPORAL or value.literal):
        return _stored_moment(value, to, context)
    if value.kind in _TIMES.get(base, ()):
        return f"{value.time() if base == 'interval' else value.sql}::{to}"
    if base == "bytea" and value.kind in ("bytes", "text"):
        return _stored_bytes(value, column)
    if base in ("json", "jsonb") and value.kind in ("json", "text"):
        refuse_if(value.kind == "text" and value.literal is None, "a text is stored as JSON")
        _check_numbers(value.literal or "null")
        return value.sql if (base, value.kind) == ("jsonb", "json") else f"{value.sql}::{base}"
    if base == "uuid" and value.kind in _UUIDS:
        return _UUIDS[value.kind].format(value.sql)
    if base == "text[]" and value.kind == "text" and value.literal is not None:
        return pg_array(tuple(value.literal.split(",")) if value.literal else ())
    if column is not None and column.type == "enum":
        return value.sql
    raise Untranslatable(f"a {value.kind} is stored as {to}")


def _check_members(value: Term, column: Column) -> None:
    """Raises Untranslatable for what is not plainly the labels that an ENUM or SET is to hold.

    MySQL takes a number for a place among them (1 is '10' of ENUM('10', '1')), and finds a text as the
    collation compares; of a SET it stores the members once each, in the declared order.
    """
    literal = value.literal if value.kind == "text" else None
    if column.type == "enum":
        refuse_if(literal not in column.labels, "something else than one of its labels is stored in an ENUM")
    elif literal != "":
        given = None if literal is None else [one for one in column.labels if one in literal.split(",")]
        if given is None or ",".join(given) != literal:
            raise Untranslatable(
                "something else than some of its members, in their order, is stored in a SET"
            )


def _check_numbers(document: str) -> None:
    """Raises Untranslatable for numbers that MySQL's JSON keeps as a float, and jsonb as they are written."""
    odd: list[str] = []

    def number(text: str) -> None:
        value = Decimal(text)
        whole = text.lstrip("-").isdigit() and -(2**63) <= value < 2**64
        minus_zero = not value and text.startswith("-")
        if minus_zero or not (whole or Decimal(repr(float(text))) == value):
            odd.append(text)

    try:
        json.loads(document, parse_int=number, parse_float=number)
    except ValueError as error:
        raise Untranslatable("a text that is not JSON is stored as JSON") from error
    refuse_if(odd, f"numbers of JSON that MySQL rounds: {', '.join(odd)}")


def _stored_number(value: Term, to: str, base: str, column: Column | None) -> str:
    refuse_if(value.kind not in NUMBERS, f"a {value.kind} is stored as {to}")
    if base == "boolean":
        if value.kind != "bool" and value.literal not in ("0", "1"):
            raise Untranslatable("a number that may be neither 0 nor 1 is stored as boolean")
        return value.truth()
    if column is not None and column.type == "year":
        # 70 is 1970.
        written = value.kind == "int" and int(value.literal or 0) > 99
        if not (written or value.source == "year" or value.sql.startswith("extract(year ")):
            raise Untranslatable("a number that may have two digits is stored as YEAR")
    refuse_if(value.kind == "double" and base == "numeric", "an approximate number is stored as an exact one")
    if value.kind == "double" and (column.type if column else base) == "bigint":
        raise Untranslatable("an approximate number is stored as BIGINT, whose ends it may be beyond")
    if base in ("real", "double precision") and column is not None and column.scale is not None:
        raise Untranslatable(f"{column.raw_type} rounds what it stores")
    if base == "real" and value.source != "float":
        return f"{_as_float(value)}::{to}"
    return f"{value.number()}::{to}"


def _as_float(value: Term) -> str:
    """The double that MySQL makes a FLOAT of: 1e-300 is 0 there (or -0), and an error of PostgreSQL's."""
    if value.kind != "double":
        return value.double()
    refuse_volatile(value)
    sql = value.number()
    # The half of FLOAT's least number, 2^-150, is even, and rounds to 0.
    return f"(CASE WHEN abs({sql}) > {2**-150} THEN {sql} ELSE {sql} * 0 END)"


def _stored_text(value: Term, context: Context, column: Column | None) -> str:
    if value.kind == "decimal" and value.computed:
        raise Untranslatable("a calculated number is stored as text, with digits that depend on the row")
    sql = value.text(context)
    if column is not None and column.type == "char":
        sql = f"rtrim({sql}, ' ')"
    return sql if value.literal is None else f"{sql}::text"


def _stored_moment(value: Term, to: str, context: Context) -> str:
    if to == "date":
        # MySQL rounds a time to whole seconds before it leaves it out.
        value = value.temporal()
        return f"({value.rounded(0, context)})::date" if value.scale else value.day(context)
    if "with time zone" in to:
        if value.kind == "instant":
            return f"{value.sql}::{to}"
        context.depends("a wall-clock time becomes a point in time", local_time=True)
    digits = re.search(r"\((\d)\)", to)
    return f"{value.rounded(int(digits[1]) if digits else 6, context)}::{to}"


def _stored_bytes(value: Term, column: Column | None) -> str:
    sql = value.sql
    if value.kind == "text":
        if value.literal is None:
            raise Untranslatable("a text is stored as bytes")
        sql = f"'\\x{value.literal.encode().hex()}'::bytea"
    if column is None or column.type not in ("binary", "varbinary"):
        return sql
    digits = 2 * (column.length or 0)
    if digits == 32 and sql.startswith("uuid_send("):
        return sql
    # bytea has no length: the function behind varchar(n) refuses what is too long. It takes the length with
    # its header of 4 bytes, and whether to cut.
    sql = f"\"varchar\"(encode({sql}, 'hex'), {digits + 4}, false)"
    # BINARY(n) is filled up with zero bytes.
    filled = f"rpad({sql}, {digits}, '0')" if column.type == "binary" else sql
    return f"decode({filled}, 'hex')"
