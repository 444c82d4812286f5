"""Calls of functions by the forms of `schema_maps/functions.toml`, and what each form wants of its arguments.

As an example, `left(s, i)` has two forms there. The first one wants a literal length and refuses `i`; the
second one takes any integer, brings it to PostgreSQL's `int`, and fills its template:

    args = ["text", "natural"]    '"left"({0}, {1})'
    args = ["text", "int"]        '"left"({0}, CASE WHEN {1} < 0 THEN 0 ELSE {1} END)'
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any, cast

from converge.model.words import counted
from converge.resources import schema_map
from converge.translate import collate
from converge.translate.context import Context, Untranslatable, refuse_if
from converge.translate.term import INTEGERS, NUMBERS, TIMES, Kind, Term, refuse_volatile


@dataclass(frozen=True, slots=True)
class Function:
    """One form of a function: these arguments, this template."""

    names: tuple[str, ...]
    args: tuple[str, ...]
    """Kinds of the arguments in order; the last may end in ``...`` and then takes all that are left."""
    to: str
    """{0}, {1} … stand for the arguments and {rest} for those that the last kind takes."""
    gives: str
    """Kind of the result, or ``same``: as the first argument."""
    examples: tuple[str, ...]
    """MySQL expressions that the tests evaluate on both servers."""
    stable: bool = False
    """Depends on the session, so that generated columns and indexes cannot have it."""
    local_time: bool = False
    """Depends on the session by its time zone."""
    volatile: bool = False
    """Gives another value each time."""
    scale: int = 0
    collation: str = ""
    """Collation of a resulting text that does not come from the arguments."""
    one_spelling: bool = False
    """Whether no two of its texts differ only in what a collation ignores: digits in one case."""
    note: str = ""
    """Said in the plan wherever the function is used."""
    letters: bool = False
    """Changes the case of letters, as the target database's locale has them."""

    def fits(self, count: int) -> bool:
        """Whether a call with this many arguments can be this form."""
        if self.args and self.args[-1].endswith("..."):
            return count >= len(self.args)
        return count == len(self.args)

    def kind(self, position: int) -> str:
        """The kind that the argument at this position must be of."""
        return self.args[min(position, len(self.args) - 1)].removesuffix("...")


@cache
def functions() -> tuple[Function, ...]:
    """All forms, in the order of the file: the first that fits is taken."""
    return tuple(_function(**entry) for entry in schema_map("functions")["function"])


@cache
def by_name() -> dict[str, tuple[Function, ...]]:
    """The forms of each function, by its name in lower case."""
    found: defaultdict[str, tuple[Function, ...]] = defaultdict(tuple)
    for function in functions():
        for name in function.names:
            found[name] += (function,)
    return dict(found)


@cache
def date_formats() -> dict[str, tuple[str, str]]:
    """DATE_FORMAT's specifiers: to_char's pattern, and an immutable expression with {0} for the time."""
    return {
        code: (form["to_char"], form["immutable"]) for code, form in schema_map("functions")["format"].items()
    }


def _function(name: list[str], args: list[str], examples: list[str], **others: Any) -> Function:
    return Function(tuple(name), tuple(args), examples=tuple(examples), **others)


# --- calls ----------------------------------------------------------------------------------------------


def call(name: str, values: Sequence[Term], context: Context) -> Term:
    """The first form of the function that fits the arguments. Raises Untranslatable."""
    reason = f"{name} with {counted(len(values), 'argument')} is not on the list of what is surely the same"
    for form in by_name()[name]:
        if form.fits(len(values)):
            try:
                return _applied(form, values, context)
            except Untranslatable as error:
                reason = f"{name}: {error}"
    raise Untranslatable(reason)


def _applied(form: Function, values: Sequence[Term], context: Context) -> Term:
    """A form with these arguments. Raises Untranslatable when they are of other kinds."""
    texts = [_argument(form.kind(place))(value, context) for place, value in enumerate(values)]
    if form.gives == "rounded":
        # How many digits of a quotient are shown beyond its own depends on MySQL's version.
        if int(texts[1]) > values[0].scale < values[0].digits:
            raise Untranslatable("more digits of a quotient than it shows: they depend on MySQL's version")
        texts[1] = str(min(int(texts[1]), values[0].scale))
    if "folded" in form.args:
        turn = -1 if form.names[0] == "instr" else 1
        needle, text = values[:2][::turn]
        texts = [*collate.searched(needle, text, context)[::turn], *texts[2:]]
    for place, value in enumerate(values):
        if form.to.count(f"{{{place}}}") > 1:
            refuse_volatile(value)
    if form.stable or form.volatile:
        context.depends(f"{form.names[0]} depends on the session", local_time=form.local_time)
    if form.note:
        context.note(form.note)
    if form.letters and context.only_ascii and not values[0].ascii:
        raise Untranslatable("with its LC_CTYPE C, the target database knows no letters outside ASCII")
    rest = ", ".join(texts[len(form.args) - 1 :])
    sql = form.to.format(*texts, rest=rest, last_second=context.last_second)
    result = _result(form, sql, values)
    context.volatile_calls += form.volatile
    return result


def _result(form: Function, sql: str, values: Sequence[Term]) -> Term:
    large = any(value.kind == "decimal" and value.bound >= 2**63 for value in values)
    refuse_if(large and form.to.endswith("::bigint"), "a number that may be larger than PostgreSQL's bigint")
    if form.gives == "same":
        first = values[0]
        kind: Kind = "int" if first.kind == "bool" else first.kind
        return replace(first, sql=sql, kind=kind, literal=None, source="", collation="", labels=())
    if form.gives == "rounded":
        wanted = int(values[1].literal or 0)
        scale, most = min(wanted, values[0].scale), values[0].bound + 1
        return Term(sql, "decimal", scale=scale, digits=scale, most=most, uneven=wanted > scale)
    result = cast(Kind, form.gives)
    if result == "text" and not form.collation:
        collate.refuse_literal_first(values)
        return replace(collate.text_of(values, sql), one_spelling=form.one_spelling)
    scale = int(values[0].literal or 0) if form.args == ("digits",) else form.scale
    return Term(sql, result, scale=scale, digits=scale, collation=form.collation)


# --- arguments ------------------------------------------------------------------------------------------

_UNICODE = frozenset({"", "utf8mb4", "utf8mb3", "utf8", "ascii"})
_INT = 2**31 - 1
Argument = Callable[[Term, Context], str]


def _of(
    kinds: Set[Kind],
    reason: str = "a {} where only {} is surely the same",
    sql: Callable[[Term], str] = attrgetter("sql"),
) -> Argument:
    """A term of these kinds."""

    def take(value: Term, context: Context) -> str:
        refuse_if(value.kind not in kinds, reason.format(value.kind, *kinds))
        return sql(value)

    return take


def _literal(fits: Callable[[str], object], reason: str, kind: Kind | None = "text") -> Argument:
    """A literal that is fit: for any other text, for example, MySQL may cut the result."""

    def take(value: Term, context: Context) -> str:
        kinds = (kind or value.kind,)
        refuse_if(value.kind not in kinds or value.literal is None or not fits(value.literal), reason)
        return value.sql

    return take


def _text(value: Term, context: Context) -> str:
    refuse_if(value.collation == "binary", "bytes are taken for a text")
    return value.text(context)


def _unicode(value: Term, context: Context) -> str:
    """A text whose bytes are UTF-8 in the source, too."""
    if value.charset not in _UNICODE:
        raise Untranslatable(f"the bytes of a text in {value.charset} are others in the target")
    return value.text(context)


def _string(value: Term, context: Context) -> str:
    """Such a text that is one in the source, too: a number there would be taken as a number."""
    refuse_if(value.kind != "text", f"a {value.kind} is not taken for a text")
    return _unicode(value, context)


def _integer(value: Term, context: Context) -> str:
    refuse_if(value.kind not in INTEGERS, f"a {value.kind} is taken for an integer")
    if value.literal is not None:
        return value.sql
    refuse_if(
        value.wide and not value.unsigned,
        "IF and its kin of signed and UNSIGNED numbers, which MySQL may take for another",
    )
    sql = value.number()
    if value.bound > _INT:
        # A length or place beyond it is as good as this one.
        sql = f"(CASE WHEN {sql} > {_INT} THEN {_INT} WHEN {sql} < -{_INT} THEN -{_INT} ELSE {sql} END)"
    return f"{sql}::int"


def _short(value: Term, context: Context) -> str:
    sql = value.integer()
    refuse_if(value.bound >= 10**15, "a BIGINT, of which 8.0.15 cuts the digits")
    return sql


def _positive(value: Term, context: Context) -> str:
    refuse_if(value.literal == "0", "a place of 0")
    return _ARGUMENTS["natural"](value, context)


def _timed(value: Term, context: Context) -> str:
    """A moment; a literal date alone would be taken for a time."""
    if value.literal is not None and ":" not in value.literal:
        raise Untranslatable(f"{value.literal!r} is taken for a time")
    return value.moment(context)


_ARGUMENTS: dict[str, Argument] = {
    "any": lambda value, context: value.sql,
    "text": _text,
    "unicode": _unicode,
    "string": _string,
    "folded": lambda value, context: "" if value.kind == "text" else value.text(context),
    "constant": _literal(lambda _: True, "a text that is not a literal, for which MySQL may cut the result"),
    "char": _literal(lambda text: len(text) == 1, "more or less than one literal character"),
    "word": _literal(bool, "an empty text, or one that is not a literal"),
    "int": _integer,
    "long": lambda value, context: value.integer(),
    "short": _short,
    "signed": lambda value, context: value.bigint(),
    "exact": lambda value, context: value.sql if value.kind == "decimal" else f"{value.exact()}::numeric",
    "decimal": _of({"decimal"}),
    "double": _of({"double"}, "a {} where only an approximate number is surely the same", Term.number),
    "number": _of(
        NUMBERS,
        "a {} is taken for a number",
        lambda value: value.integer() if value.kind in INTEGERS else value.number(),
    ),
    "natural": _literal(str.isdigit, "a length or place that is not a literal", "int"),
    "positive": _positive,
    "digits": _literal(
        tuple("0123456").__contains__, "a number of digits that is not a literal from 0 to 6", "int"
    ),
    "day": lambda value, context: value.day(context),
    "moment": lambda value, context: value.moment(context),
    "time": _of(TIMES, "a {} is taken for a time", Term.time),
    "timed": _timed,
    "json": _of({"json"}),
    "bytes": _of({"bytes"}),
    "uuid": _of({"uuid"}),
    "set": _of({"set"}),
}
"""How an argument is brought to the kind that a form wants; each refuses what it cannot be sure of."""


def _argument(kind: str) -> Argument:
    # A number stands for itself: only this literal is taken.
    if kind.lstrip("-").isdigit():
        return _literal(kind.__eq__, f"only {kind} is on the list here", None)
    return _ARGUMENTS[kind]
