"""Whether an expression of a map has lost anything of a value: what it gives is turned back and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot import exp

from converge.mapping.sql import COLUMN, parsed
from converge.types.sql import as_bytes

Same = Callable[[str, str], str]
"""MySQL condition: two expressions have the same value, if in another form."""

_ALL = "TRUE"
# The functions that undo others: {} is the result, and {0}, {1} are the others' constant arguments. They also
# meet the results of a condition's other branches, which must not end the query: decimals do not overflow.
_UNDONE: Mapping[str, Sequence[str]] = {
    "conv": ("CONV({},{1},{0})", "LOWER(CONV({},{1},{0}))"),
    "hex": ("UNHEX({})", "CONV({},16,10)"),
    "unhex": ("HEX({})", "LOWER(HEX({}))"),
    "inet_aton": ("INET_NTOA({})",),
    "inet_ntoa": ("INET_ATON({})",),
    "inet6_aton": ("INET6_NTOA({})",),
    "inet6_ntoa": ("INET6_ATON({})",),
    "uuid_to_bin": ("IF(LENGTH({})=16,BIN_TO_UUID({},{0}),NULL)",),
    "bin_to_uuid": ("IF(IS_UUID({}),UUID_TO_BIN({},{0}),NULL)",),
    "tobase64": ("FROM_BASE64({})",),
    "frombase64": ("TO_BASE64({})",),
    "reverse": ("REVERSE({})",),
    "json_unquote": ("JSON_QUOTE(CONVERT(CONCAT({}) USING utf8mb4))", "{}"),
    "unixtotime": ("UNIX_TIMESTAMP({})",),
    "unix_timestamp": ("FROM_UNIXTIME({})",),
    "sec_to_time": ("TIME_TO_SEC({})",),
    "time_to_sec": ("SEC_TO_TIME({})",),
    "converttimezone": ("CONVERT_TZ({},{1},{0})",),
    "neg": ("-({}*1.0)",),
    "add": ("{}*1.0-{0}",),
    "mul": ("{}/{0}",),
    "div": ("{}*1.0*{0}",),
    "intdiv": ("{}*1.0*{0}",),
}
# They take all of a text or give NULL; a text can have other spellings of the same.
_WHOLE: Mapping[str, str] = {
    "unhex": "UNHEX({})", "inet_aton": "INET_ATON({})", "inet6_aton": "INET6_ATON({})",
    "uuid_to_bin": "IF(IS_UUID({0}),UUID_TO_BIN({0}),NULL)", "frombase64": "FROM_BASE64({})",
}  # fmt: skip
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg)
_CONDITIONS = (exp.Predicate, exp.Not, exp.And, exp.Or, exp.Xor)


def lossless(using: str, given: str, value: str, same: Same, *, rounds: bool, caseless: bool) -> str:
    """MySQL condition: a `using` has kept all of the value of a row; `given` is what it makes of it.

    It does where it gives a constant or the answer to a condition, which are the map's own words, and where
    what undoes its functions gives the value back. A function that nothing undoes has to leave the value as
    it was. `rounds`: the value is a floating-point number. `caseless`: the target's
    type has no upper and lower case.
    """
    ways = _Ways(value, same, rounds, caseless)
    back = list(dict.fromkeys(ways.of(parsed(using), given)))
    return _ALL if _ALL in back else " OR ".join(f"({way})" for way in back)


class _Ways:
    """The ways back from an expression's result, any of which is enough."""

    def __init__(self, value: str, same: Same, rounds: bool, caseless: bool) -> None:
        self._value = value
        self._same = same
        self._rounds = rounds
        self._caseless = caseless

    def of(self, node: exp.Expr | None, result: str) -> Iterator[str]:
        """Conditions: the node's operand was the value, when its result is this."""
        if node is None:
            return
        if not _varies(node):
            yield self._same(result, _sql(node))
        elif isinstance(node, exp.Column):
            yield self._same(result, self._value)
        elif isinstance(node, _CONDITIONS) or (self._rounds and isinstance(node, _ARITHMETIC)):
            yield _ALL
        elif isinstance(node, exp.If | exp.Case | exp.Coalesce | exp.Elt):
            for one in _chosen(node):
                yield from self.of(one, result)
        else:
            yield from self._of_function(node, result)

    def _of_function(self, node: exp.Expr, result: str) -> Iterator[str]:
        inner, constants = _operands(node)
        if len(inner) != 1:
            yield self._same(result, self._value)
            if isinstance(node, exp.Concat) and any(isinstance(one, exp.Column) for one in inner):
                yield f"LOCATE({as_bytes(self._value)},{as_bytes(result)})>0"
            return
        if isinstance(inner[0], exp.Column) and (again := self._again(node)):
            yield f"{as_bytes(result)}={as_bytes(again)}"
        for undone in _undone(node, inner[0], result, [_sql(one) for one in constants]):
            yield from self.of(inner[0], undone)

    def _again(self, node: exp.Expr) -> str:
        """The result for the value, of functions that a value's spelling does not matter to."""
        if isinstance(node, exp.Cast) and node.to.is_type(exp.DType.JSON):
            return f"IF(JSON_VALID({self._value}),CAST({self._value} AS JSON),NULL)"
        if self._caseless and isinstance(node, exp.Lower | exp.Upper):
            return f"{type(node).__name__.upper()}({self._value})"
        return _WHOLE.get(_name(node), "").format(self._value)


def _varies(node: exp.Expr) -> bool:
    return node.find(exp.Column) is not None


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect="mysql")


def _name(node: exp.Expr) -> str:
    return node.name.lower() if isinstance(node, exp.Anonymous) else type(node).__name__.lower()


def _chosen(node: exp.Expr) -> Iterator[exp.Expr | None]:
    """The results that an expression chooses from."""
    if isinstance(node, exp.If):
        yield from (node.args.get("true"), node.args.get("false"))
    elif isinstance(node, exp.Case):
        yield from (one.args["true"] for one in node.args["ifs"])
        yield node.args.get("default")
    else:
        yield from (() if isinstance(node, exp.Elt) else (node.this,))
        yield from node.expressions


def _operands(node: exp.Expr) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Those that have the value, then those that are constant."""
    operands = [one for one in node.iter_expressions() if not isinstance(one, exp.DataType)]
    inner = [one for one in operands if _varies(one)]
    return [_bare(one) for one in inner], [one for one in operands if not _varies(one)]


def _bare(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def _undone(node: exp.Expr, inner: exp.Expr, result: str, constants: Sequence[str]) -> Iterator[str]:
    """What the operand must have been, for all that is known of the function."""
    name = _name(node)
    if isinstance(node, exp.Concat):
        before, after = _around(node)
        length = f"CHAR_LENGTH({result})-CHAR_LENGTH({before})-CHAR_LENGTH({after})"
        yield f"SUBSTRING({result},CHAR_LENGTH({before})+1,{length})"
    elif isinstance(node, exp.StrToDate | exp.StrToTime | exp.TimeToStr):
        other = exp.StrToTime if isinstance(node, exp.TimeToStr) else exp.TimeToStr
        yield _replaced(other, node, result)
    elif isinstance(node, exp.DateAdd | exp.DateSub):
        yield _replaced(exp.DateSub if isinstance(node, exp.DateAdd) else exp.DateAdd, node, result)
    elif isinstance(node, exp.Sub):
        first = _bare(node.this) is inner
        exact = result if constants[0].startswith("INTERVAL") else f"{result}*1.0"
        yield f"({exact}+{constants[0]})" if first else f"({constants[0]}-{exact})"
    elif name == "field":
        yield f"ELT({result},{','.join(constants)})"
    elif name == "add" and constants[0].startswith("INTERVAL"):
        yield f"({result}-{constants[0]})"
    elif name in _UNDONE and not (isinstance(node, exp.Div | exp.IntDiv) and _bare(node.this) is not inner):
        yield from (f"({one.format(result, *constants, 0)})" for one in _templates(name))
    else:
        yield result


def _templates(name: str) -> Iterator[str]:
    # The result is the first of all arguments for str.format.
    return (one.replace("{1}", "{2}").replace("{0}", "{1}").replace("{}", "{0}") for one in _UNDONE[name])


def _around(node: exp.Concat) -> tuple[str, str]:
    """What stands before and after the only part that has the value."""
    place = next(place for place, one in enumerate(node.expressions) if _varies(one))
    sides = node.expressions[:place], node.expressions[place + 1 :]
    before, after = (f"CONCAT({','.join(map(_sql, side))})" if side else "''" for side in sides)
    return before, after


def _replaced(other: type[exp.Expr], node: exp.Expr, result: str) -> str:
    """Another function of the result, with the node's own constants."""
    constants = {key: one.copy() for key, one in node.args.items() if key != "this" and one is not None}
    return _sql(other(this=exp.column(COLUMN), **constants)).replace(COLUMN, result)
