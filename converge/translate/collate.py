"""Comparisons and orders of texts, which MySQL makes by collation.

Most collations ignore case and accents, and all but the newer ones ignore spaces at the end. Here a
text is folded: upper case of ASCII letters (COLLATE "C" knows no others and depends on no locale),
composed letters, and spaces at the end cut off. A note says what that leaves out. As examples:

    s = 'Abc '    utf8mb4_0900_ai_ci    upper(s COLLATE "C") = 'ABC '
    g = 'Abc '    utf8mb4_general_ci    upper(rtrim(g, ' ') COLLATE "C") = 'ABC'
    x = 'abc'     utf8mb4_0900_as_cs    normalize(x) = 'abc'
    k = 'abc '    utf8mb4_bin           rtrim(k, ' ') = 'abc'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from converge.model.quote import fit, pg_name, pg_text
from converge.translate.context import Context, Untranslatable, refuse_if
from converge.translate.term import ODDLY, STRINGS, Term
from converge.types.collations import counterpart

_UNKNOWN = "utf8mb4_0900_ai_ci"
"""The default of connections, for texts that have no collation of their own."""
SPELLING = "of texts that are equal in the source's collation, the target may show another one"


# --- which collation ------------------------------------------------------------------------------------


def ignores_case(collation: str) -> bool:
    return "_ci" in (collation or _UNKNOWN)


def ignores_end(collation: str) -> bool:
    """Whether spaces at the end do not count.

    MySQL 8.0 manual, "Collation Pad Attribute": only the collations of UCA 9.0.0 and binary are NO PAD.
    """
    return "_0900_" not in (collation or _UNKNOWN) and collation != "binary"


def _by_bytes(collation: str) -> bool:
    """Whether texts of other bytes are never equal, spaces at the end apart."""
    return collation == "binary" or collation.endswith(("_bin", "_general_cs"))


def collated(values: Iterable[Term]) -> list[Term]:
    """Those that a comparison takes for texts, and that have a collation."""
    return [value for value in values if value.kind in STRINGS and value.collation]


def refuse_literal_first(values: Sequence[Term]) -> None:
    """Raises Untranslatable for a function of a literal first: 8.0.15 gives it the others' collation."""
    if values[0].kind == "text" and not values[0].collation and collated(values):
        raise Untranslatable("a literal goes before a column: the result's collation is by MySQL's version")


def text_of(values: Sequence[Term], sql: str = "") -> Term:
    """A text made of these: its collation, and without SQL, as one of these, what the target has for it."""
    texts = collated(values)
    explicit = [value for value in texts if value.explicit]
    names = {value.collation for value in explicit or texts}
    alikes = {value.alike for value in texts}
    alike = alikes.pop() if len(alikes) == 1 else ODDLY if alikes else ""
    if "binary" in names:
        # Bytes are compared with the bytes that the source has of a text.
        for value in texts:
            refuse_if(
                not value.collation.startswith(("binary", "utf8", "ascii")),
                f"bytes and a text in {value.charset}, whose bytes are others in the target",
            )
        names = {"binary"}
    # Unicode goes before any other character set, and within one set _bin goes before the rest.
    names = {name for name in names if name.startswith("utf8mb4")} or names
    if len(names) > 1:
        one_charset = len({name.partition("_")[0] for name in names}) == 1
        binary = {name for name in names if name.endswith("_bin") and one_charset}
        refuse_if(len(binary) != 1, f"it mixes the collations {', '.join(sorted(names))}")
        names = binary
    collation = names.pop() if names else ""
    return Term(sql, "text", collation=collation, explicit=bool(explicit), alike="" if sql else alike)


# --- equality -------------------------------------------------------------------------------------------


def key(value: Term, context: Context) -> str:
    """What is equal for those values that GROUP BY, PARTITION BY, DISTINCT and UNION take for one."""
    if value.kind != "text" or value.one_spelling:
        return value.shown() if value.quotient else value.bytewise
    name = value.collation or _UNKNOWN
    trusted = value.alike == name
    sql = _trimmed(value, value.sql if trusted else value.bytewise, ignores_end(name))
    if trusted:
        _note_letters(name, context)
        return sql
    if ignores_case(name):
        note_case(name, context)
    return _folded(sql, name, context, case=ignores_case(name))


def compared(left: Term, right: Term, context: Context) -> tuple[str, str]:
    """Two texts as operands of an equality."""
    like = text_of((left, right))
    if left.literal is not None and right.literal is not None:
        raise Untranslatable("two literals are compared by the collation of a connection")
    cuts = ignores_end(like.collation)
    if like.alike and like.alike == like.collation:
        _note_letters(like.collation, context)
        return _cut(left, cuts), _cut(right, cuts)
    return _folded_pair(left, right, like.collation, context, cuts=cuts)


def searched(needle: Term, text: Term, context: Context) -> tuple[str, str]:
    """Two texts of which one is looked for in the other: spaces at the end count."""
    collation = text_of((needle, text)).collation
    refuse_if(collation == "binary", "a place in a text is counted in bytes")
    # 8.0.33 goes by the text's collation alone, a literal's is the connection's; 8.0.15 by both.
    folds = {ignores_case(value.collation) for value in (needle, text) if value.collation or value is text}
    if len(folds) > 1 or not (ignores_case(collation) or _by_bytes(collation)):
        raise Untranslatable(f"a text is looked for by {collation}")
    return _folded_pair(needle, text, collation, context, cuts=False)


def refuse_accents(literal: str | None, collation: str) -> None:
    """Raises Untranslatable for a literal that a collation compares by more than the case of its letters."""
    if literal is not None and not literal.isascii() and ignores_case(collation):
        raise Untranslatable(f"{collation} compares {literal!r} without regard to accents")


def note_case(collation: str, context: Context) -> None:
    """Says what the target does not ignore."""
    name = collation or "the collation"
    context.note(f"{name} ignores case and accents; the target ignores only the case of ASCII letters")


def note_invisible(collation: str, context: Context) -> None:
    """Says what else the target does not ignore, where no letter is compared.

    utf8mb4_general_ci has a weight for each character; those of UCA have none for U+200B or control
    characters, and one for 1 and its wide form.
    """
    charset, _, rest = collation.partition("_")
    simple = rest.startswith(("general", "tolower", "chinese"))
    if charset.startswith(("utf", "ucs", "gb18030")) and not simple:
        what = "ignores invisible characters and takes wide digits and signs for plain ones"
        context.note_rare(f"{collation} {what}; the target does not")


def _note_letters(collation: str, context: Context) -> None:
    """Says what the target's counterpart of a collation takes for equal otherwise."""
    like = counterpart(collation)
    if like is not None and like.letters:
        context.note_rare(f"{collation}: {like.letters}")


def has_letters(value: Term) -> bool:
    """Whether it can have letters, which a collation may fold."""
    return value.literal is None or any(char.isalpha() for char in value.literal)


def _folded_pair(left: Term, right: Term, collation: str, context: Context, *, cuts: bool) -> tuple[str, str]:
    for value in (left, right):
        refuse_accents(value.literal, collation)
    folds = ignores_case(collation) and has_letters(left) and has_letters(right)
    if folds:
        note_case(collation, context)
    elif ignores_case(collation) and not (left.one_spelling or right.one_spelling):
        note_invisible(collation, context)

    def folded(value: Term) -> str:
        if value.literal is not None:
            return _cut(replace(value, literal=value.literal.upper()) if folds else value, cuts)
        return _folded(_trimmed(value, value.text(context), cuts), collation, context, case=folds)

    return folded(left), folded(right)


def _cut(value: Term, cuts: bool) -> str:
    """The text as the target compares it, without spaces at the end where they do not count."""
    if value.literal is not None:
        return pg_text(value.literal.rstrip(" ") if cuts else value.literal)
    return _trimmed(value, value.sql, cuts)


def _trimmed(value: Term, sql: str, cuts: bool) -> str:
    return f"rtrim({sql}, ' ')" if cuts and not value.unpadded else sql


def _folded(sql: str, collation: str, context: Context, *, case: bool) -> str:
    """The text without what the collation ignores of it, as far as the target can tell."""
    if case:
        return f'upper({sql} COLLATE "C")'
    if not collation or ignores_case(collation) or _by_bytes(collation):
        return sql
    context.note(f"{collation} ignores invisible characters; the target does not")
    return f"normalize({sql})"


# --- order ----------------------------------------------------------------------------------------------


def before(left: Term, right: Term, context: Context) -> tuple[str, str]:
    """Two texts as operands of < and its kin: exact only where bytes are compared."""
    collation = text_of((left, right)).collation
    if not collation.endswith(("_bin", "binary")) or ignores_end(collation):
        raise Untranslatable(f"texts are ordered by {collation or 'the collation of a connection'}")
    a, b = (value.text(context) for value in (left, right))
    return f'({a} COLLATE "C")', f'({b} COLLATE "C")' if right.alike else b


def order_key(value: Term, context: Context) -> str:
    """What ORDER BY sorts a text by."""
    collation = value.collation or _UNKNOWN
    trusted = value.alike == collation
    own = trusted or (value.labels and ignores_case(collation))
    sql = value.sql if own else value.text(context)
    if value.labels:
        return _declared(sql, value.labels)
    if ignores_end(collation):
        context.note(f"the order of texts can differ from {collation} at control characters")
        sql = _trimmed(value, sql, cuts=True)
    if collation.endswith("_bin") or collation == "binary":
        return f'{sql} COLLATE "C"'
    context.note(f"the order of texts can differ from {collation} at punctuation and letters beyond ASCII")
    if trusted:
        return sql
    # What the collation takes for equal has one place: rank(), and what is ordered by next, go by it.
    folded = f'upper({sql} COLLATE "C")' if ignores_case(collation) else sql
    return f'{folded} COLLATE "und-x-icu"' if "_0900_" in collation or "unicode" in collation else folded


def _declared(sql: str, labels: Sequence[str]) -> str:
    """The number of an ENUM's label; an error value is '' and goes before all."""
    if any("?" in label for label in labels):
        raise Untranslatable("an ENUM is sorted in the order of labels of which the server hides characters")
    labels = labels if "" in labels else ("", *labels)
    whens = " ".join(f"WHEN {pg_text(label)} THEN {place}" for place, label in enumerate(labels))
    return f"CASE {sql} {whens} END"


# --- rows that are the same -----------------------------------------------------------------------------


def apart(value: Term, context: Context) -> None:
    """Notes that the target keeps texts apart that the source merges."""
    if key(value, Context()) != value.sql:
        context.note(
            f"{value.collation} merges texts that differ only in case, accents or trailing spaces; "
            "the target keeps them apart"
        )


def first(value: Term) -> Term:
    """The value of a group's first row: MySQL shows one, too, of texts that it takes for the same."""
    # Arrays would become one array of all their members.
    sql = f"min({value.sql})" if value.kind == "set" else f"(array_agg({value.sql}))[1]"
    return replace(value, sql=sql, literal=None)


def distinct(sql: str, outputs: Sequence[tuple[str, Term]], context: Context) -> str:
    """The rows of a query without those that MySQL takes for the same."""
    columns = [replace(value, sql=pg_name(fit(name))) for name, value in outputs]
    keys = [key(column, context) for column in columns]
    if keys == [column.sql for column in columns]:
        return f"SELECT DISTINCT * FROM ({sql}) AS q"
    context.note(SPELLING)
    items = [
        column.sql if wanted == column.sql else f"{first(column).sql} AS {column.sql}"
        for column, wanted in zip(columns, keys, strict=True)
    ]
    return f"SELECT {', '.join(items)} FROM ({sql}) AS q GROUP BY {', '.join(keys)}"
