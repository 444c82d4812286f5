"""= <> < > <=> BETWEEN IN IS LIKE REGEXP, and AND OR NOT XOR: all that is true, false or NULL.

Both sides are brought to one kind, by MySQL's rules for the pair, or the comparison is refused. Examples:

    flag = 1                    flag              a flag and 0 or 1: the flag itself says it
    i = '5'                     (i = 5)           a literal beside a number is that number
    day = at                    (day::timestamp = at)
    e = 'MEDIUM'                (e = 'Medium')    the label that MySQL finds by the collation
    i = 'abc', s = 1            refused: MySQL compares them as doubles
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from sqlglot import exp

from converge.model.quote import pg_text
from converge.translate import collate, functions
from converge.translate.context import Context, Untranslatable, refuse_if
from converge.translate.term import NUMBERS, STRINGS, TEMPORAL, TIMES, Term, refuse_volatile
from converge.translate.translator import ANY, Translator, function, node

_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM",
}  # fmt: skip
_WORDS: dict[type[exp.Expr], str] = {exp.And: "AND", exp.Or: "OR", exp.Xor: "<>"}
_EQUALITIES = frozenset({"=", "<>", "IS NOT DISTINCT FROM"})
_NUMERAL = re.compile(r"0|[1-9]\d{0,14}")


# --- conditions -----------------------------------------------------------------------------------------


@node(exp.And, exp.Or, exp.Xor)
def _connected(t: Translator, node: exp.Expr) -> Term:
    word = _WORDS[type(node)]
    return Term(f"({t.truth(node.this)} {word} {t.truth(node.expression)})", "bool")


@node(exp.Not, parts="this")
def _negation(t: Translator, node: exp.Expr) -> Term:
    return Term(f"(NOT {t.truth(node.this)})", "bool")


@node(exp.Is)
def _null_test(t: Translator, node: exp.Expr) -> Term:
    """x IS NULL, IS TRUE, IS FALSE, IS UNKNOWN."""
    right = node.expression
    if isinstance(right, exp.Null):
        return Term(f"({t.value(node.this).sql} IS NULL)", "bool")
    if isinstance(right, exp.Boolean):
        return Term(f"({t.truth(node.this)} IS {'TRUE' if right.this else 'FALSE'})", "bool")
    raise Untranslatable("IS with something else than NULL, TRUE or FALSE")


# --- comparisons ----------------------------------------------------------------------------------------


@node(*_SIGNS)
def _comparison(t: Translator, node: exp.Expr) -> Term:
    left, right = node.this, node.expression
    if isinstance(node, exp.EQ) and isinstance(left, exp.Tuple) and isinstance(right, exp.Tuple):
        return _rows(t, left, right)
    return Term(compared(t.value(left), t.value(right), _SIGNS[type(node)], t.context), "bool")


def _rows(t: Translator, left: exp.Tuple, right: exp.Tuple) -> Term:
    """(a, b) = (c, d)."""
    refuse_if(len(left.expressions) != len(right.expressions), "rows of different length are compared")
    pairs = zip(left.expressions, right.expressions, strict=True)
    parts = [compared(t.value(a), t.value(b), "=", t.context) for a, b in pairs]
    return Term(f"({' AND '.join(parts)})", "bool")


@node(exp.Between, parts="this low high")
def _between(t: Translator, node: exp.Expr) -> Term:
    """x BETWEEN a AND b, both included."""
    value, low, high = (t.value(node.args[part]) for part in ("this", "low", "high"))
    refuse_volatile(value)
    check_together((value, low, high))
    # 10 BETWEEN 18446744073709551615 AND 100 is 1 in 8.0.15.
    if low.wide and value.kind == "int" and not value.unsigned:
        raise Untranslatable("BETWEEN a number of 64 bits UNSIGNED and another one")
    kinds = {one.kind for one in (value, low, high)}
    several = len(kinds - {"text"}) + (value.kind == "text") > 1
    # '2024-01-01' BETWEEN NULL AND NULL is 0 then.
    if kinds & (TEMPORAL | TIMES) and (several or (low.literal is None) != (high.literal is None)):
        raise Untranslatable("dates and times of several types in BETWEEN")
    (a, least), (b, most) = operands(value, low, ">=", t.context), operands(value, high, "<=", t.context)
    if a == b:
        return Term(f"({a} BETWEEN {least} AND {most})", "bool")
    return Term(f"({a} >= {least} AND {b} <= {most})", "bool")


@node(exp.In, parts="this expressions query")
def _within(t: Translator, node: exp.Expr) -> Term:
    """x IN (…) with values, rows or a query."""
    if node.args.get("query") is not None:
        return t.in_query(node.this, node.args["query"])
    if isinstance(node.this, exp.Tuple):
        rows = [_rows(t, node.this, row).sql for row in node.expressions if isinstance(row, exp.Tuple)]
        refuse_if(len(rows) != len(node.expressions), "a row is compared with a value")
        return Term(f"({' OR '.join(rows)})", "bool")
    value = t.value(node.this)
    refuse_volatile(value)
    members = [t.value(member) for member in node.expressions]
    check_together((value, *members))
    pairs = [operands(value, member, "=", t.context) for member in members]
    if len({left for left, _ in pairs}) == 1:
        return Term(f"({pairs[0][0]} IN ({', '.join(right for _, right in pairs)}))", "bool")
    return Term(f"({' OR '.join(f'{left} = {right}' for left, right in pairs)})", "bool")


def check_together(values: Sequence[Term]) -> None:
    """Raises Untranslatable where IN, BETWEEN, CASE and FIELD compare otherwise than value by value."""
    if len({value.collation for value in collate.collated(values)}) > 1:
        raise Untranslatable("texts of several collations are compared under one")
    if any(value.wide for value in values) and any(
        value.kind in NUMBERS and not value.natural for value in values
    ):
        raise Untranslatable("a number that can be negative beside one of 64 bits UNSIGNED")


def compared(left: Term, right: Term, sign: str, context: Context) -> str:
    """One comparison as SQL."""
    left, right = _numeral(left, right), _numeral(right, left)
    for one, other in ((left, right), (right, left)):
        # A flag and 0 or 1: the flag itself says it.
        if one.kind == "bool" and other.literal in ("0", "1") and sign in ("=", "<>"):
            return one.sql if (other.literal == "1") is (sign == "=") else f"(NOT {one.sql})"
    a, b = operands(left, right, sign, context)
    return f"({a} {sign} {b})"


def operands(left: Term, right: Term, sign: str, context: Context) -> tuple[str, str]:
    """Both sides in a form that PostgreSQL compares as MySQL does."""
    left, right = _numeral(left, right), _numeral(right, left)
    kinds = {left.kind, right.kind}
    if "null" in kinds or kinds in ({"clock"}, {"uuid"}, {"bytes"}):
        return left.sql, right.sql
    if kinds <= NUMBERS:
        _check_year(left, right)
        flags = kinds == {"bool"} and sign in _EQUALITIES
        return (left.sql, right.sql) if flags else (left.number(), right.number())
    if kinds & TEMPORAL and kinds <= TEMPORAL | {"text"}:
        left, right = left.temporal(), right.temporal()
        alike = left.kind == right.kind
        return (left.sql, right.sql) if alike else (left.moment(context), right.moment(context))
    if kinds & TIMES and kinds <= TIMES | {"text"}:
        if "text" in kinds and not (left.source or right.source):
            raise Untranslatable("a computed time is compared with a text, which MySQL may do as text")
        return left.time(), right.time()
    if kinds == {"bytes", "text"}:
        return _bytes(left), _bytes(right)
    refuse_if(not kinds <= STRINGS, f"{left.kind} is compared with {right.kind}")
    if sign in _EQUALITIES:
        return _equal_texts(left, right, context)
    refuse_if(kinds != {"text"}, "ENUM or SET values are ordered as texts")
    return collate.before(left, right, context)


def _numeral(value: Term, other: Term) -> Term:
    """A literal like '5' or 0x05 beside a number is that number."""
    if other.kind in NUMBERS and value.kind == "bytes" and value.literal is not None:
        return Term(str(value.most), "int", literal=str(value.most), most=value.most)
    if other.kind in NUMBERS and value.kind == "text" and _NUMERAL.fullmatch(value.literal or ""):
        return Term(value.literal or "", "int", literal=value.literal)
    return value


def _check_year(left: Term, right: Term) -> None:
    for one, other in ((left, right), (right, left)):
        # MySQL takes 99, and LENGTH('ab'), for a year beside a YEAR.
        calculated = other.computed and not other.sql.startswith("extract(year ")
        if one.source == "year" and (calculated or float(other.literal or 1901) < 1901):
            raise Untranslatable("a YEAR is compared with a number that may have two digits")


def _bytes(value: Term) -> str:
    if value.kind == "bytes":
        return value.sql
    if value.literal is None:
        raise Untranslatable("bytes are compared with text")
    return f"'\\x{value.literal.encode().hex()}'::bytea"


def _equal_texts(left: Term, right: Term, context: Context) -> tuple[str, str]:
    for one, other, flip in ((left, right, False), (right, left, True)):
        if one.kind == "enum" and other.literal is not None:
            # MySQL finds the label as the column's collation sees it.
            label = _label(one, other.literal)
            if label is not None:
                pair = one.sql, pg_text(label)
                return pair[::-1] if flip else pair
    return collate.compared(left, right, context)


def _label(column: Term, text: str) -> str | None:
    """The declared label that MySQL takes the text for; None when there is none for sure."""
    if text in column.labels:
        return text
    if collate.ignores_case(column.collation) and text.isascii():
        wanted = text.rstrip(" ").upper()
        return next((label for label in column.labels if label.upper() == wanted), None)
    return None


# --- places among texts ---------------------------------------------------------------------------------


@function("find_in_set", 2)
def _find_in_set(t: Translator, member: Term, members: Term) -> Term:
    """FIND_IN_SET(text, list): the place in a SET's value, else in a text with commas."""
    if members.kind != "set":
        return functions.call("find_in_set", [member, members], t.context)
    label = _label(members, member.literal) if member.literal is not None else None
    if label is None:
        raise Untranslatable("find_in_set looks for something else than a declared member")
    # The place among all members, whichever the value has.
    place = members.labels.index(label) + 1
    return Term(f"(({pg_text(label)} = ANY({members.sql}))::int * {place})", "int")


@function("field", 2, ANY)
def _field(t: Translator, value: Term, *members: Term) -> Term:
    """FIELD(x, a, b …): the place of x among the texts or the numbers, else 0."""
    kinds = {one.kind for one in (value, *members)}
    mixed = not (kinds <= NUMBERS | {"null"} or kinds <= {"text", "enum", "null"})
    refuse_if(mixed, f"field mixes {', '.join(sorted(kinds))}")
    refuse_volatile(value)
    check_together((value, *members))
    pairs = [
        collate.compared(value, one, t.context) if "text" in kinds else operands(value, one, "=", t.context)
        for one in members
    ]
    whens = " ".join(f"WHEN {left} = {right} THEN {place}" for place, (left, right) in enumerate(pairs, 1))
    return Term(f"CASE {whens} ELSE 0 END", "int")


# --- patterns -------------------------------------------------------------------------------------------

# ICU's line ends: "." matches none of them, and "$" matches before one that ends the text.
_ENDS = r"\n\v\f\r\u0085\u2028\u2029"
_BEFORE_END = rf"(?:\r\n|[{_ENDS}])?$"
_ITEM = re.compile(
    r"(?:(?P<plain>[A-Za-z0-9 _@#%&=:;,<>/~!'\"-]|\\[.*+?()\[\]{}|^$\\/@-]|\.)"
    r"|(?P<set>\[\^?(?:[A-Za-z0-9 _@#%=:;,<>/~!'\".*+?()|$-]|\\[\].\\/@^-])+\])"
    r"|\))(?P<repeat>[*+?]|\{\d{1,3}(?:,\d{0,3})?\})?"
    r"|\((?!\?)|[|^$]"
)
_EMPTY = re.compile(r"(?:^|[(|])(?:$|[)|])")


@node(exp.Like, parts="this expression negate")
def _like(t: Translator, node: exp.Expr, escape: str | None = None) -> Term:
    """x LIKE pattern [ESCAPE char], without regard to case where the collation has none."""
    value, pattern = t.value(node.this), t.value(node.expression)
    collation = collate.text_of((value, pattern)).collation
    literal = pattern.literal
    refuse_if(collation == "binary" and (literal is None or "_" in literal), "the pattern stands for bytes")
    char = "\\" if escape is None else escape
    if literal is not None and (len(literal) - len(literal.rstrip(char))) % 2:
        raise Untranslatable("the pattern ends in its escape character")
    collate.refuse_accents(literal, collation)
    folds = collate.ignores_case(collation) and collate.has_letters(pattern)
    if folds:
        collate.note_case(collation, t.context)
    elif collate.ignores_case(collation):
        collate.note_invisible(collation, t.context)
    by_bytes = ' COLLATE "C"' if folds else ""
    subject, wanted = value.text(t.context) + by_bytes, pattern.text(t.context)
    if char and pattern.kind in STRINGS and not _ends_plainly(node.expression, char):
        refuse_volatile(pattern)
        # MySQL takes a single one at the pattern's end for itself, PostgreSQL refuses it when it gets there.
        quoted = pg_text(char)
        wanted = f"({wanted} || repeat({quoted}, (length({wanted}) - length(rtrim({wanted}, {quoted}))) % 2))"
    if pattern.alike:
        wanted = f"({wanted}{by_bytes})"
    words = ("NOT " if node.args.get("negate") else "") + ("ILIKE" if folds else "LIKE")
    clause = "" if escape is None else f" ESCAPE {pg_text(escape)}"
    return Term(f"({subject} {words} {wanted}{clause})", "bool")


def _ends_plainly(pattern: exp.Expr, char: str) -> bool:
    """Whether it surely ends in another character than this one: a text, or CONCAT('%', x, '%')."""
    while isinstance(pattern, exp.Anonymous) and str(pattern.this).lower() == "concat":
        pattern = pattern.expressions[-1]
    return isinstance(pattern, exp.Literal) and not pattern.name.endswith(char)


@node(exp.Escape)
def _escaped_like(t: Translator, node: exp.Expr) -> Term:
    """x LIKE pattern ESCAPE 'char'."""
    char = t.value(node.expression)
    if not isinstance(node.this, exp.Like) or char.literal is None or len(char.literal) > 1:
        raise Untranslatable("ESCAPE is not one literal character")
    return _like(t, node.this, char.literal)


@node(exp.RegexpLike)
def _regexp(t: Translator, node: exp.Expr) -> Term:
    return t.call("regexp_like", [node.this, node.expression])


@function("regexp_like", 2, 3)
def _regexp_like(t: Translator, value: Term, pattern: Term, flag: Term | None = None) -> Term:
    """REGEXP_LIKE(x, pattern[, 'c' or 'i'])."""
    flags = flag.literal if flag is not None else ""
    if pattern.literal is None or flags not in ("", "c", "i"):
        raise Untranslatable("the pattern of regexp_like is not a literal, or its flags are unusual")
    collation = collate.text_of((value, pattern)).collation
    refuse_if(collation == "binary", "regexp_like of bytes")
    folds = flags == "i" or (not flags and collate.ignores_case(collation))
    if folds:
        t.context.note("REGEXP ignores the case of all letters; the target only that of ASCII letters")
    text, wanted = value.text(t.context), pg_text(_regular(pattern.literal))
    return Term(f'({text} COLLATE "C" {"~*" if folds else "~"} {wanted})', "bool")


def _regular(pattern: str) -> str:
    """An ICU pattern of the plain parts that both know, in PostgreSQL's words. Raises Untranslatable.

    '^a.b$' becomes '^a[^…]b(?:…)?$', where … are the line ends that ICU knows; '(a|)' and '\\d' are refused.
    """
    items = list(_ITEM.finditer(pattern))
    if "".join(item[0] for item in items) != pattern or any("--" in (item["set"] or "") for item in items):
        raise Untranslatable(f"the pattern {pattern!r} has parts that the servers may read differently")
    # What is not a sign is a point here.
    shape = "".join("." if item["plain"] or item["set"] else item[0][0] for item in items)
    depths = list(accumulate((char == "(") - (char == ")") for char in shape))
    empty = _EMPTY.search(shape) or min(depths) < 0 or depths[-1]
    refuse_if(empty, f"the pattern {pattern!r} has an empty part")
    words = {".": f"[^{_ENDS}]", "$": _BEFORE_END}
    parts = ((item[0].removesuffix(item["repeat"] or ""), item["repeat"] or "") for item in items)
    return "".join(words.get(part, part) + repeat for part, repeat in parts)
