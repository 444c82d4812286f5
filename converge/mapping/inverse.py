"""Whether an expression of a map has lost anything of a value: what it gives is turned back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from converge.mapping.sql import COLUMN, parsed
from converge.types.sql import as_bytes

Same = Callable[[str, str], str]
"""MySQL condition: two expressions have the same value, if in another form."""

_ALL = "TRUE"
# The functions that undo others: {0} is the result, {1} and {2} are the others' constant arguments. They also
# meet the results of a condition's other branches, which must not end the query: decimals do not overflow.
_UNDONE: Mapping[str, Sequence[str]] = {
    "conv": ("CONV({0},{2},{1})", "LOWER(CONV({0},{2},{1}))"),
    "hex": ("UNHEX({0})", "CONV({0},16,10)"),
    "unhex": ("HEX({0})", "LOWER(HEX({0}))"),
    "inet_aton": ("INET_NTOA({0})",),
    "inet_ntoa": ("INET_ATON({0})",),
    "inet6_aton": ("INET6_NTOA({0})",),
    "inet6_ntoa": ("INET6_ATON({0})",),
    "uuid_to_bin": ("IF(LENGTH({0})=16,BIN_TO_UUID({0},{1}),NULL)",),
    "bin_to_uuid": ("IF(IS_UUID({0}),UUID_TO_BIN({0},{1}),NULL)",),
    "tobase64": ("FROM_BASE64({0})",),
    "frombase64": ("TO_BASE64({0})",),
    "reverse": ("REVERSE({0})",),
    "json_unquote": ("JSON_QUOTE(CONVERT(CONCAT({0}) USING utf8mb4))", "{0}"),
    "unixtotime": ("UNIX_TIMESTAMP({0})",),
    "unix_timestamp": ("FROM_UNIXTIME({0})",),
    "sec_to_time": ("TIME_TO_SEC({0})",),
    "time_to_sec": ("SEC_TO_TIME({0})",),
    "converttimezone": ("CONVERT_TZ({0},{2},{1})",),
    "neg": ("-({0}*1.0)",),
    "add": ("{0}*1.0-{1}",),
    "mul": ("{0}/{1}",),
    "div": ("{0}*1.0*{1}",),
    "intdiv": ("{0}*1.0*{1}",),
}
# They take all of a text or give NULL; a text can have other spellings of the same.
_WHOLE: Mapping[str, str] = {
    "unhex": "UNHEX({0})", "inet_aton": "INET_ATON({0})", "inet6_aton": "INET6_ATON({0})",
    "uuid_to_bin": "IF(IS_UUID({0}),UUID_TO_BIN({0}),NULL)", "frombase64": "FROM_BASE64({0})",
}  # fmt: skip
# Each with the one that undoes it, which has the same other arguments.
_OPPOSITES: Mapping[type[exp.Expr], type[exp.Expr]] = {
    exp.StrToDate: exp.TimeToStr, exp.StrToTime: exp.TimeToStr, exp.TimeToStr: exp.StrToTime,
    exp.DateAdd: exp.DateSub, exp.DateSub: exp.DateAdd,
}  # fmt: skip
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg)
_CONDITIONS = (exp.Predicate, exp.Not, exp.And, exp.Or, exp.Xor)
_NEAR = "ABS({0}-{1})<=1e-15*ABS({1})"
"""What rounding leaves of a floating-point number when arithmetic is undone: four units of its last place."""


def lossless(
    using: str, given: str, value: str, same: Same, *, rounds: bool, printed: bool, caseless: bool
) -> str:
    """MySQL condition: a `using` has kept all of the value of a row; `given` is what it makes of it.

    It does where it gives a constant or the answer to a condition, which are the map's own words, and where
    what undoes its functions gives the value back. A function that nothing undoes has to leave the value as
    it was. `rounds`: the value is a floating-point number, of which arithmetic alone keeps all, but for the
    rounding that such numbers have. `printed`: the result is a text, which may lack digits of such a number.
    `caseless`: the target's type has no upper and lower case.
    """
    tree = parsed(using).unnest()
    if rounds and not printed and _computed(tree):
        return _ALL
    rounded = rounds and not printed and any(map(_varies, tree.find_all(*_ARITHMETIC)))
    ways = _Ways(value, same, rounded, rounds and printed, caseless)
    back = list(dict.fromkeys(ways.of(tree, given)))
    return _ALL if _ALL in back else " OR ".join(f"({way})" for way in back)


def unconverted(using: str, given: str, value: str) -> str:
    """MySQL condition: CONVERT_TZ has not converted what `given` is made of; empty for a `using` without it.

    Of a time that in UTC is none of TIMESTAMP's, before 1970 or, depending on the server, after 2038 or 3001,
    it gives the argument itself, without a warning. Its result is then the same in any zone.
    """
    tree = exp.Paren(this=parsed(using))
    calls = [call for call in tree.find_all(exp.ConvertTimezone) if _varies(call)]
    for call in reversed(calls):  # The inner ones first: an outer one is replaced with what is in it.
        utc, other = (exp.ConvertTimezone(**{**call.args, "target_tz": exp.Literal.string(zone)}).copy()
                      for zone in ("+00:00", "+01:00"))  # fmt: skip
        converted = exp.NEQ(this=utc, expression=other)
        call.replace(exp.If(this=converted, true=call.copy(), false=exp.Null()))
    return f"NOT ({as_bytes(_sql(tree).replace(COLUMN, value))} <=> {as_bytes(given)})" if calls else ""


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways back from an expression's result, any of which is enough."""

    value: str
    same: Same
    rounded: bool
    printed: bool
    caseless: bool

    def of(self, node: exp.Expr | None, result: str, *, chosen: bool = False) -> Iterator[str]:
        """Conditions: the node's operand was the value, when its result is this.

        `chosen`: the result may be another branch's, which this one must not excuse.
        """
        if node is None:
            return
        if not _varies(node):
            yield self.same(result, _sql(node))
            # A number's type does not hold a text.
            yield f"{as_bytes(result)}={as_bytes(_sql(node))}"
        elif isinstance(node, exp.Column):
            yield self.same(result, self.value)
            if self.rounded:
                yield _NEAR.format(result, self.value)
        elif isinstance(node, _CONDITIONS):
            yield from (self.same(result, "0"), self.same(result, "1")) if chosen else [_ALL]
        elif isinstance(node, exp.If | exp.Case | exp.Coalesce | exp.Elt):
            for one in _chosen(node):
                yield from self.of(one and one.unnest(), result, chosen=True)
        elif self.printed and _computed(node):
            # The text of an expression has 22 characters: -1.2345678901234567e-12 loses its last digit.
            yield f"{result}*1e0=({_sql(node).replace(COLUMN, self.value)})"
        else:
            yield from self._of_function(node, result, chosen=chosen)

    def _of_function(self, node: exp.Expr, result: str, *, chosen: bool) -> Iterator[str]:
        inner, constants = _operands(node)
        if len(inner) != 1:
            yield self.same(result, self.value)
            if isinstance(node, exp.Concat) and any(isinstance(one, exp.Column) for one in inner):
                yield f"LOCATE({as_bytes(self.value)},{as_bytes(result)})>0"
            return
        if isinstance(inner[0], exp.Column) and (again := self._again(node)):
            yield f"{as_bytes(result)}={as_bytes(again)}"
        for undone in _undone(node, inner[0], result, constants):
            yield from self.of(inner[0], undone, chosen=chosen)

    def _again(self, node: exp.Expr) -> str:
        """The result for the value, of functions that a value's spelling does not matter to."""
        if isinstance(node, exp.Cast) and node.to.is_type(exp.DType.JSON):
            return f"IF(JSON_VALID({self.value}),CAST({self.value} AS JSON),NULL)"
        if self.caseless and isinstance(node, exp.Lower | exp.Upper):
            return f"{type(node).__name__.upper()}({self.value})"
        return _WHOLE.get(_name(node), "").format(self.value)


def _varies(node: exp.Expr) -> bool:
    return node.find(exp.Column) is not None


def _computed(node: exp.Expr) -> bool:
    """Whether all that happens to the value is arithmetic with constants."""
    inner = _operands(node)[0] if isinstance(node, _ARITHMETIC) else []
    return len(inner) == 1 and (isinstance(inner[0], exp.Column) or _computed(inner[0]))


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect="mysql")


def _name(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__.lower()


def _chosen(node: exp.Expr) -> Sequence[exp.Expr | None]:
    """The results that an expression chooses from."""
    if isinstance(node, exp.If):
        return node.args.get("true"), node.args.get("false")
    if isinstance(node, exp.Case):
        return *(one.args["true"] for one in node.args["ifs"]), node.args.get("default")
    return node.expressions if isinstance(node, exp.Elt) else [node.this, *node.expressions]


def _operands(node: exp.Expr) -> tuple[list[exp.Expr], list[str]]:
    """Those that have the value, then those that are constant."""
    operands = [one for one in node.iter_expressions() if not isinstance(one, exp.DataType)]
    constants = [_sql(one) for one in operands if not _varies(one)]
    return [one.unnest() for one in operands if _varies(one)], constants


def _undone(node: exp.Expr, inner: exp.Expr, result: str, constants: Sequence[str]) -> Iterator[str]:
    """What the operand must have been, for all that is known of the function."""
    name = _name(node)
    if isinstance(node, exp.Concat):
        before, after = _around(node)
        length = f"CHAR_LENGTH({result})-CHAR_LENGTH({before})-CHAR_LENGTH({after})"
        yield f"SUBSTRING({result},CHAR_LENGTH({before})+1,{length})"
    elif opposite := _OPPOSITES.get(type(node)):
        others = {key: one.copy() for key, one in node.args.items() if key != "this" and one is not None}
        yield _sql(opposite(this=exp.column(COLUMN), **others)).replace(COLUMN, result)
    elif isinstance(node, exp.Sub):
        first = node.this.unnest() is inner
        exact = result if constants[0].startswith("INTERVAL") else f"{result}*1.0"
        yield f"({exact}+{constants[0]})" if first else f"({constants[0]}-{exact})"
    elif name == "field":
        yield f"ELT({result},{','.join(constants)})"
    elif name == "add" and constants[0].startswith("INTERVAL"):
        yield f"({result}-{constants[0]})"
    elif name in _UNDONE and not (isinstance(node, exp.Div | exp.IntDiv) and node.this.unnest() is not inner):
        yield from (f"({one.format(result, *constants, 0)})" for one in _UNDONE[name])
    else:
        yield result


def _around(node: exp.Concat) -> tuple[str, str]:
    """What stands before and after the only part that has the value."""
    place = next(place for place, one in enumerate(node.expressions) if _varies(one))
    sides = node.expressions[:place], node.expressions[place + 1 :]
    before, after = (f"CONCAT({','.join(map(_sql, side))})" if side else "''" for side in sides)
    return before, after
