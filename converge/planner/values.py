"""What the data holds of odd values: findings with the maps' lines that are a way out, and suggestions.

A line `using = …` that makes what a target's type takes is tried on the data before it is shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from converge.codes import Code
from converge.mapping.rules import Rule, entry
from converge.model.catalog import Column, Table
from converge.model.quote import my_name, my_text, toml_text
from converge.model.table_plan import Change
from converge.model.words import counted
from converge.planner.decision import Decision
from converge.planner.draft import Draft, rows_words
from converge.planner.using import begin, made_equal, round_line
from converge.types import Trap, Value, accepts, base_name, family_of, form
from converge.types.as_number import scale_of
from converge.types.floating import Floating
from converge.types.integer import Integer
from converge.types.sql import as_bytes
from converge.types.temporal import Time
from converge.types.text import Text

_REPLACE = '{ replace = "…" }'
_PAIRS = (("0", "1"), ("n", "y"), ("no", "yes"), ("f", "t"), ("false", "true"), ("off", "on"))
"""Words for false and true."""
_BYTES = frozenset({"binary", "varbinary"})
_INTEGERS = frozenset({"int", "bigint"})
_FORMATS = {
    "date": ("%Y%m%d", "%Y-%m-%d"),
    "timestamp": ("%Y%m%d%H%i%s", "%Y-%m-%d %H:%i:%s"),
    "timestamp with time zone": ("%Y%m%d%H%i%s", "%Y-%m-%d %H:%i:%s"),
}
_LEAST_SECONDS = 100_000_000
"""Of a number that is surely one of seconds since 1970: in 1973."""


def note_values(draft: Draft, decided: Decision) -> None:
    """Findings about a column's odd values, and what the maps say becomes of them."""
    for trap, change in decided.handled:
        _note_trap(draft, decided, trap, change)
    for one in decided.earlier:
        _note_passed_over(draft, decided, one)
    if decided.using:
        table, words = decided.table, "hold different values that the map's expression makes equal"
        count = draft.evidence.found(table.name, made_equal(table, decided.start))
        draft.find_rows(Code.V161, decided.name, table, count, f"{words}: {decided.using.policy}")


def shows_values(column: Column) -> bool:
    """Whether the values that break a rule are shown: numbers and times, which are nobody's secret."""
    return column.type in Integer.types | Time.types


def _note_passed_over(draft: Draft, decided: Decision, other: Decision) -> None:
    """A rule that holds only where every value fits, and the rows that do not."""
    table, column = decided.table, decided.column
    for trap in other.traps:
        if (count := other.count(trap)) and count.rows:
            shown = f"values {', '.join(count.keys)}" if shows_values(column) else rows_words(table, count)
            cause = f"{decided.to}, not {other.to}, because of rows that {trap.words}"
            message = f"becomes {decided.to}, not {other.to}: {other.seen(trap)}"
            hint = decided.entry(f"to = {toml_text(other.to)}", "\n# or: ".join(_policies(other, trap)))
            draft.find(Code.V049, decided.name, message, hint, evidence=shown, cause=cause)


def _note_trap(draft: Draft, decided: Decision, trap: Trap, change: Change | None) -> None:
    count = decided.count(trap)
    if not count or not count.rows:
        return
    words, severity, hint = trap.words, trap.harm or trap.kind.harm, ""
    if change:
        severity = "lossy"
    if change and change.policy != trap.default:
        words += f"; the map's policy: {change.policy}"
    else:
        hint = _ways_out(draft, decided, trap)
        if decided.policies.get(trap.name) == "null":
            words += "; the map says NULL, but the column is NOT NULL"
        elif trap.name == "no_result" and not decided.column.nullable:
            words += ", and the column is NOT NULL"
        elif trap.stops:
            words += f", and the column would become {decided.to}"
    draft.find_rows(trap.kind.code, decided.name, decided.table, count, words, hint, severity=severity)


def _ways_out(draft: Draft, decided: Decision, trap: Trap) -> str:
    """A map's entry for each way out."""
    table, column = decided.table, decided.column
    ways = _policies(decided, trap)
    if trap.name == "fraction" and column.type in Floating.types and not decided.setting("using"):
        # Of a double's 2.4699999999999998 for 2.47 the policies make 2.46 or nothing.
        ways.insert(0, round_line(scale_of(decided.to) or 0))
    other, separator = trap.kind.other.format(fsp=column.fsp), "\n# or: "
    if draft.loading is not None:
        # The target has its type: only another value is a way out.
        using = hint(draft, table, column, decided.to) if trap.name == "not_canonical" else ""
        ways += [f"using = {toml_text(using)}"] if using and not decided.setting("using") else []
    elif other and other != decided.to:
        ways.append(f"to = {toml_text(other)}")
    key = table.primary_key.columns if table.primary_key else ()
    if (
        draft.loading is None
        and "null" in trap.kind.policies
        and not column.nullable
        and column.name not in key
    ):
        nullable = f"ALTER TABLE {my_name(table.name)} MODIFY {my_name(column.name)} … NULL in the source"
        policy = f'policy = {{ {trap.name} = "null" }}'
        if not ways:
            return f"{nullable}, then:\n{decided.entry(policy)}"
        return f"{decided.entry(separator.join(ways))}\n# or, after {nullable}: {policy}"
    if not ways:
        return "repair the rows in the source" if draft.loading else ""
    return decided.entry(separator.join(ways))


def _policies(decided: Decision, trap: Trap) -> list[str]:
    """The policies that a map may declare, each as its line."""
    return [
        f"policy = {{ {trap.name} = {_REPLACE if policy == 'replace' else toml_text(policy)} }}"
        for policy in trap.kind.policies
        if policy != decided.policies.get(trap.name, trap.default)
        and (policy != "null" or decided.column.nullable)
    ]


def note_suggestions(draft: Draft, planned: Sequence[Table]) -> None:
    """One finding for each smaller type that every value of some columns would fit, too."""
    fitting: defaultdict[tuple[str, int, str], list[str]] = defaultdict(list)
    for table in planned if draft.loading is None else ():
        for plan in draft.tables[table.name].columns:
            column = table.column(plan.source)
            decided, family = draft.decision(table, column), family_of(column)
            for to in family.suggestions(column) if family else ():
                filled = draft.evidence.count(table.name, f"{my_name(column.name)} IS NOT NULL")
                odd = [trap.where for trap in form(Value(column, to)).traps]
                fits = odd and draft.evidence.never(table.name, odd)
                if to != decided.to and fits and filled and filled.rows:
                    fitting[column.type, column.length or 0, to].append(decided.name)
    for (type_, length, to), names in fitting.items():
        listed = ", ".join(names)
        draft.find(
            Code.V025, f"{type_}({length})",
            f"every value of {counted(len(names), 'column')} fits {to}, smaller and checked: {listed}",
            entry("type", {"type": type_, "length": length, "fits": True}, f"to = {toml_text(to)}"),
        )  # fmt: skip


# ---- expressions that make what the target's type takes ------------------------------------------------


def hint_conditions(column: Column, to: str) -> Iterator[str]:
    """What the scan should count, so that `hint` has an answer."""
    return (one for _, asked in _tried(column, to) for one in asked)


def hint(draft: Draft, table: Table, column: Column, to: str) -> str:
    """An expression that makes a value that is right of every one in the data; empty where none is known."""
    for using, asked in _tried(column, to):
        if draft.evidence.never(table.name, asked):
            return using
    return ""


def _tried(column: Column, to: str) -> Iterator[tuple[str, Sequence[str]]]:
    """Each candidate with the conditions that no row may meet."""
    for using, differs in _candidates(column, base_name(to)):
        rule = Rule("column", "a hint", {}, {"using": using}, "")
        value, _ = begin(Value(column, to), [rule])
        if accepts(value.column, to):
            traps = (trap for trap in form(value).traps if trap.kind.harm != "note")
            yield using, [differs.replace("{}", column.sql), *(trap.where for trap in traps)]


def _candidates(column: Column, to: str) -> Iterator[tuple[str, str]]:
    """Expressions with MySQL conditions: the value is not what the expression takes it for."""
    texts, numbers = column.type in Text.types | _BYTES, column.type in _INTEGERS
    labels = {label.lower(): label for label in column.labels}
    for no, yes in _PAIRS if to == "boolean" else ():
        # An ENUM with words for false and true, in whatever case, is just that.
        is_enum = column.type == "enum" and labels.keys() == {no, yes} and len(column.labels) == len(labels)
        if is_enum:
            # NULL and the error value are neither.
            yield f"IF({{}}={my_text(labels[yes])},'true','false')", "({} IS NULL OR {}+0=0)"
        if is_enum or texts:
            yield f"ELT(FIELD({{}}, '{no}', '{yes}'), 'false', 'true')", "FALSE"
    if to == "inet" and (texts or numbers):
        of_text = "INET6_NTOA({})" if column.type in _BYTES else "LOWER(INET6_NTOA(INET6_ATON({})))"
        yield "INET_NTOA({})" if numbers else of_text, "FALSE"
    for format_ in _FORMATS.get(to, ()) if texts or numbers else ():
        time = f"STR_TO_DATE({{}}, '{format_}')"
        # What follows a time is not looked at.
        back = as_bytes(f"DATE_FORMAT({time},'{format_}')")
        zoned = to.endswith("zone") and column.type in Text.types
        differs = f"NOT ({back}<=>{as_bytes('CONVERT({} USING utf8mb4)')})"
        yield f"CONCAT({time}, '+00')" if zoned else time, differs
    if to in _FORMATS and to != "date" and numbers:
        yield "FROM_UNIXTIME({})", f"{{}}<{_LEAST_SECONDS}"
