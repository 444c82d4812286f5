"""Comparisons and orders of texts, which MySQL makes by collation.

Most collations ignore case and accents, and all but the newer ones ignore spaces at the end. Here a
text is folded: upper case of ASCII letters (COLLATE "C" knows no others and depends on no locale),
composed letters, and spaces at the end cut off. A note says what that leaves out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from converge.model.names import fit
from converge.model.quote import pg_name, pg_text
from converge.translate import convert
from converge.translate.errors import Untranslatable
from converge.translate.terms import Terms
from converge.translate.values import Value, bytewise

# MySQL 8.0 manual, "Collation Pad Attribute": only the collations of UCA 9.0.0 and binary are NO PAD.
_UNKNOWN = "utf8mb4_0900_ai_ci"
"""The default of connections, for texts that have no collation of their own."""
SPELLING = "which of the texts that the collation takes for the same stands for them may differ"


def ignores_case(collation: str) -> bool:
    return "_ci" in (collation or _UNKNOWN)


def ignores_end(collation: str) -> bool:
    """Whether spaces at the end do not count."""
    return "_0900_" not in (collation or _UNKNOWN) and collation != "binary"


def _by_bytes(collation: str) -> bool:
    """Whether texts of other bytes are never equal, spaces at the end apart."""
    return collation == "binary" or collation.endswith(("_bin", "_general_cs"))


def key(value: Value, terms: Terms) -> str:
    """What is equal for those values that GROUP BY, DISTINCT and UNION take for one."""
    if value.kind != "text" or value.one_spelling:
        return bytewise(value)
    name = value.collation or _UNKNOWN
    trusted = value.alike == name
    sql = value.sql if trusted else bytewise(value)
    if ignores_end(name) and not value.unpadded:
        sql = f"rtrim({sql}, ' ')"
    if trusted:
        return sql
    if ignores_case(name):
        terms.note(f"{name} takes texts that differ only in case or accents for one; here accents count")
        return f'upper({sql} COLLATE "C")'
    return sql if _by_bytes(name) else _composed(sql, name, terms)


def _composed(sql: str, collation: str, terms: Terms) -> str:
    terms.note(f"{collation} ignores invisible characters; here they count")
    return f"normalize({sql})"


def compared(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    """Two texts as operands of an equality."""
    collation, _, alike = convert.collation_of((left, right))
    if left.literal is not None and right.literal is not None:
        raise Untranslatable("two literals are compared by the collation of a connection")
    cuts = ignores_end(collation)
    if alike and alike == collation:
        return _cut(left, cuts), _cut(right, cuts)
    return _folded(left, right, collation, cuts, terms), _folded(right, left, collation, cuts, terms)


def searched(needle: Value, text: Value, terms: Terms) -> tuple[str, str]:
    """Two texts of which one is looked for in the other: spaces at the end count."""
    collation, _, _ = convert.collation_of((needle, text))
    if collation == "binary":
        raise Untranslatable("a place in a text is counted in bytes")
    # 8.0.33 goes by the text's collation alone, a literal's is the connection's; 8.0.15 by both.
    folds = {ignores_case(value.collation) for value in (needle, text) if value.collation or value is text}
    if len(folds) > 1 or not (ignores_case(collation) or _by_bytes(collation)):
        raise Untranslatable(f"a text is looked for by {collation}")
    return _folded(needle, text, collation, False, terms), _folded(text, needle, collation, False, terms)


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
        return _cut(replace(value, literal=value.literal.upper()) if folds else value, cuts)
    sql = convert.text(value, terms)
    if cuts and not value.unpadded:
        sql = f"rtrim({sql}, ' ')"
    if folds:
        return f'upper({sql} COLLATE "C")'
    return (
        sql
        if not collation or ignores_case(collation) or _by_bytes(collation)
        else _composed(sql, collation, terms)
    )


def _cut(value: Value, cuts: bool) -> str:
    """The text as the target compares it, without spaces at the end where they do not count."""
    if value.literal is not None:
        return pg_text(value.literal.rstrip(" ") if cuts else value.literal)
    return f"rtrim({value.sql}, ' ')" if cuts and not value.unpadded else value.sql


def _has_letters(value: Value) -> bool:
    return value.literal is None or any(char.isalpha() for char in value.literal)


def before(left: Value, right: Value, terms: Terms) -> tuple[str, str]:
    """Two texts as operands of < and its kin: exact only where bytes are compared."""
    collation, _, _ = convert.collation_of((left, right))
    if not collation.endswith(("_bin", "binary")) or ignores_end(collation):
        raise Untranslatable(f"texts are ordered by {collation or 'the collation of a connection'}")
    a, b = (convert.text(value, terms) for value in (left, right))
    return f'({a} COLLATE "C")', f'({b} COLLATE "C")' if right.alike else b


def order_key(value: Value, terms: Terms) -> str:
    """What ORDER BY sorts a text by."""
    collation = value.collation or _UNKNOWN
    trusted = value.alike == collation
    own = trusted or (value.labels and ignores_case(collation))
    sql = value.sql if own else convert.text(value, terms)
    if value.labels:
        return _declared(sql, value.labels)
    if ignores_end(collation):
        terms.note(f"texts are sorted almost as by {collation}: control characters may differ")
        sql = sql if value.unpadded else f"rtrim({sql}, ' ')"
    if collation.endswith("_bin") or collation == "binary":
        return f'{sql} COLLATE "C"'
    terms.note(f"texts are sorted almost as by {collation}: punctuation and accents may differ")
    if trusted:
        return sql
    if "_0900_" in collation or "unicode" in collation:
        return f'{sql} COLLATE "und-x-icu"'
    return f'upper({sql} COLLATE "C")'


def _declared(sql: str, labels: Sequence[str]) -> str:
    """The number of an ENUM's label; an error value is '' and goes before all."""
    if any("?" in label for label in labels):
        raise Untranslatable("an ENUM is sorted in the order of labels of which the server hides characters")
    labels = labels if "" in labels else ("", *labels)
    whens = " ".join(f"WHEN {pg_text(label)} THEN {place}" for place, label in enumerate(labels))
    return f"CASE {sql} {whens} END"


def apart(value: Value, terms: Terms) -> None:
    """Notes that texts stay apart which the source takes for one."""
    if key(value, Terms()) != value.sql:
        terms.note(
            f"{value.collation} takes texts that differ only in case, accents or spaces at the end for one; "
            "here they stay apart"
        )


def first(value: Value) -> Value:
    """The value of a group's first row: MySQL shows one, too, of texts that it takes for the same."""
    return replace(value, sql=f"(array_agg({value.sql}))[1]", literal=None)


def distinct(sql: str, outputs: Sequence[tuple[str, Value]], terms: Terms) -> str:
    """The rows of a query without those that MySQL takes for the same."""
    columns = [replace(value, sql=pg_name(fit(name))) for name, value in outputs]
    keys = [key(column, terms) for column in columns]
    if keys == [column.sql for column in columns]:
        return f"SELECT DISTINCT * FROM ({sql}) AS q"
    terms.note(SPELLING)
    items = [
        column.sql if wanted == column.sql else f"{first(column).sql} AS {column.sql}"
        for column, wanted in zip(columns, keys, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({sql}) AS q GROUP BY {', '.join(keys)}"
