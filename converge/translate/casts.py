"""CAST and CONVERT, COLLATE, TRIM, and values as a column of the target stores them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import compare, convert
from converge.translate.errors import Untranslatable, unlisted
from converge.translate.values import Value

if TYPE_CHECKING:
    from converge.translate.translator import Translator

_UNICODE = frozenset({"utf8mb4", "utf8mb3", "utf8"})
_Type = exp.DataType.Type


def cast(t: Translator, node: exp.Expr) -> Value:
    """CAST(x AS type), DATE'…', CONVERT(x USING charset)."""
    value, to = t.value(node.this), node.args["to"]
    if to.this == _Type.ARRAY or any(not size.name.isdigit() for size in to.expressions):
        raise Untranslatable("an index over the elements of a JSON array has no counterpart")
    sizes = [int(size.name) for size in to.expressions]
    if to.this in (_Type.CHARACTER_SET, _Type.CHAR, _Type.NCHAR, _Type.VARCHAR):
        return _char(t, value, to, sizes)
    match to.this:
        case _Type.BIGINT | _Type.UBIGINT:
            return _integer(value, unsigned=to.this == _Type.UBIGINT)
        case _Type.DECIMAL:
            return _decimal(value, sizes)
        case _Type.DOUBLE:
            return Value(f"{convert.number(value)}::float8", "double")
        case _Type.DATE:
            return Value(convert.day(value, t.terms), "date")
        case _Type.DATETIME | _Type.TIMESTAMP | _Type.TIMESTAMPTZ:
            return _datetime(t, value, sizes)
        case _Type.TIME:
            digits = sizes[0] if sizes else 0
            sql = convert.time(value)
            return Value(f"{sql}::interval({digits})" if value.scale > digits else sql, "time", scale=digits)
        case _Type.JSON if value.kind == "json":
            return value
    raise unlisted(f"cast of a {value.kind} as {to.this.value}")


def _char(t: Translator, value: Value, to: exp.DataType, sizes: list[int]) -> Value:
    charset = to.args["kind"].name.lower() if to.args.get("kind") else "utf8mb4"
    text = convert.text(value, t.terms)
    if charset == "binary":
        # BINARY x: only for a comparison by bytes; as a value of its own it would be bytes.
        if value.kind != "text" or sizes:
            raise unlisted(f"cast of a {value.kind} as binary")
        return replace(compare.recased(value, "binary"), sql=text, unpadded=True)
    if charset not in _UNICODE:
        raise unlisted(f"cast as char of {charset}")
    if sizes:
        text = f'"left"({text}, {sizes[0]})'
    collation = f"{charset}_0900_ai_ci" if charset == "utf8mb4" else f"{charset}_general_ci"
    return Value(text, "text", collation=collation, volatile=value.volatile)


def _integer(value: Value, *, unsigned: bool) -> Value:
    never = value.kind == "bool" or value.unsigned or (value.literal or "").isdigit()
    if value.kind in ("bool", "int"):
        sql = convert.integer(value)
    elif value.kind == "decimal" and (never or not unsigned):
        if value.scale and "extract(epoch FROM" in value.sql:
            raise Untranslatable("CAST cuts the fraction of UNIX_TIMESTAMP or rounds it, by what it casts to")
        # A decimal ends at the limits of its own sign.
        least, most = (0, 2**64 - 1) if value.unsigned else (-(2**63), 2**63 - 1)
        sql = f"round({value.sql})"
        if value.bound >= 2**63:
            sql = f"CASE WHEN {sql} < {least} THEN {least} WHEN {sql} > {most} THEN {most} ELSE {sql} END"
            sql = f"({sql})::numeric"
    else:
        raise Untranslatable(f"a {value.kind} is cast as an integer")
    bound = min(value.bound + 1 if value.kind == "decimal" else value.bound, 2**64 - 1)
    if unsigned and not never:
        # The same 64 bits without a sign.
        sql, bound = f"CASE WHEN {sql} < 0 THEN {sql} + 18446744073709551616 ELSE {sql} END", 2**64 - 1
    elif not unsigned and value.unsigned and bound >= 2**63:
        sql = f"CASE WHEN {sql} > {2**63 - 1} THEN {sql} - {2**64} ELSE {sql} END"
    if not unsigned:
        bound = min(bound, 2**63)
    if value.literal is not None and value.kind == "int" and bound < 2**63:
        return replace(value, unsigned=unsigned)
    if sql.startswith("CASE"):
        sql = f"({sql})"
    if bound <= 2**63 and not sql.endswith("::bigint"):
        sql += "::bigint"
    return Value(sql, "int", unsigned=unsigned, most=bound, volatile=value.volatile)


def _decimal(value: Value, sizes: list[int]) -> Value:
    precision, scale = (sizes + [10, 0][len(sizes) :])[:2]
    sql = f"{convert.exact(value)}::numeric"
    most = 10 ** (precision - scale)
    if value.bound >= most:
        # MySQL takes the greatest number that there is.
        top = f"{'9' * (precision - scale)}.{'9' * scale}".strip(".")
        rounded = f"round({sql}, {scale})"
        sql = f"CASE WHEN {rounded} > {top} THEN {top} WHEN {rounded} < -{top} THEN -{top} ELSE {sql} END"
        sql = f"({sql})"
    sql = f"{sql}::numeric({precision},{scale})"
    return Value(sql, "decimal", scale=scale, digits=scale, most=most, volatile=value.volatile)


def _datetime(t: Translator, value: Value, sizes: list[int]) -> Value:
    digits = sizes[0] if sizes else 0
    if value.kind == "text":
        # TIMESTAMP'…' keeps the digits of its text.
        value = convert.temporal(value)
        digits = max(digits, value.scale)
    return Value(convert.rounded(value, digits, t.terms), "datetime", scale=digits)


def collate(t: Translator, node: exp.Expr) -> Value:
    """x COLLATE name."""
    value = t.value(node.this)
    if value.kind != "text":
        raise unlisted(f"collate of a {value.kind}")
    return compare.recased(value, node.expression.name)


def trim(t: Translator, node: exp.Expr) -> Value:
    """TRIM(… [char FROM] x) of one character: MySQL takes off whole texts, PostgreSQL any of several."""
    value = t.value(node.this)
    chars = " "
    if node.expression is not None:
        what = t.value(node.expression).literal
        if what is None or len(what) != 1:
            raise Untranslatable("trim of more than one literal character")
        chars = what
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or ""), "btrim")
    sql = f"{name}({convert.text(value, t.terms)}, {pg_text(chars)})"
    return replace(value, sql=sql, kind="text", literal=None, source="", unpadded=False, alike="",
                   labels=(), one_spelling=False)  # fmt: skip
