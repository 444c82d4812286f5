"""Comparisons and orders of texts, which MySQL makes by collation.

Most collations ignore case and accents, and all but the newer ones ignore spaces at the end. Here a
text is folded: upper case of ASCII letters (COLLATE "C" knows no others and depends on no locale),
and spaces at the end cut off. A note says what that leaves out.
"""

from __future__ import annotations

from converge.model.quote import pg_text
from converge.planner.expressions import convert
from converge.planner.expressions.errors import Untranslatable
from converge.planner.expressions.terms import Terms
from converge.planner.expressions.values import Value

# MySQL 8.0 manual, "Collation Pad Attribute": only the collations of UCA 9.0.0 and binary are NO PAD.
_NO_PAD = ("utf8mb4_0900_", "utf8mb4_ja_0900_", "utf8mb4_zh_0900_", "binary")
_UNKNOWN = "utf8mb4_0900_ai_ci"
"""The default of connections, for texts that have no collation of their own."""


def ignores_case(collation: str) -> bool:
    return "_ci" in (collation or _UNKNOWN)


def ignores_end(collation: str) -> bool:
    """Whether spaces at the end do not count."""
    return "_0900_" not in collation and not (collation or _UNKNOWN).startswith(_NO_PAD)


def compared(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    """Two texts as operands of an equality."""
    collation, _, alike = convert.collation_of((left, right))
    if alike:
        return convert.text(left, terms), convert.text(right, terms)
    if left.literal is not None and right.literal is not None:
        raise Untranslatable("two literals are compared by the collation of a connection")
    cuts = collation != "" and ignores_end(collation)
    return _folded(left, right, collation, cuts, terms), _folded(right, left, collation, cuts, terms)


def searched(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    """Two texts of which one is looked for in the other: spaces at the end count."""
    collation, _, alike = convert.collation_of((left, right))
    if alike:
        return convert.text(left, terms), convert.text(right, terms)
    return _folded(left, right, collation, False, terms), _folded(right, left, collation, False, terms)


def _folded(value: Value, other: Value, collation: str, cuts: bool, terms: Terms) -> str:
    for one in (value, other):
        if one.literal is not None and not one.literal.isascii() and ignores_case(collation):
            raise Untranslatable(f"{collation} compares {one.literal!r} without regard to accents")
    folds = ignores_case(collation) and _has_letters(value) and _has_letters(other)
    if folds:
        terms.note(
            f"{collation or 'the collation'} ignores case and accents: here the case of ASCII letters "
            "is ignored, and accents count"
        )
    if value.literal is not None:
        literal = value.literal.rstrip(" ") if cuts else value.literal
        return pg_text(literal.upper() if folds else literal)
    sql = convert.text(value, terms)
    if cuts and not value.unpadded:
        sql = f"rtrim({sql}, ' ')"
    return f'upper({sql} COLLATE "C")' if folds else sql


def _has_letters(value: Value) -> bool:
    return value.literal is None or any(char.isalpha() for char in value.literal)


def before(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    """Two texts as operands of < and its kin: exact only where bytes are compared."""
    collation, _, alike = convert.collation_of((left, right))
    if alike:
        return convert.text(left, terms), convert.text(right, terms)
    if not collation.endswith("_bin") or ignores_end(collation):
        raise Untranslatable(f"texts are ordered by {collation or 'the collation of a connection'}")
    return f'({convert.text(left, terms)} COLLATE "C")', convert.text(right, terms)


def order_key(value: Value, terms: Terms) -> str:
    """What ORDER BY sorts a text by."""
    collation = value.collation or _UNKNOWN
    sql = convert.text(value, terms)
    if value.alike:
        return sql
    if collation.endswith("_bin") or collation == "binary":
        return f'{sql} COLLATE "C"'
    terms.note(f"texts are sorted almost as by {collation}: punctuation and accents may differ")
    if "_0900_" in collation or "unicode" in collation:
        return f'{sql} COLLATE "und-x-icu"'
    return f'upper({sql} COLLATE "C")'


def grouped(value: Value, terms: Terms) -> None:
    """Notes what GROUP BY, DISTINCT and UNION do with texts that only differ in case."""
    if value.kind == "text" and not value.alike and ignores_case(value.collation):
        terms.note(
            f"{value.collation or 'the collation'} takes texts that differ only in case, accents or spaces "
            "at the end for one; here they stay apart"
        )
