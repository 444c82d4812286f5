"""What the data has in store for a column's target type: traps, the maps' policies, suggestions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.write import entry, literally
from converge.model.catalog import Column, Table
from converge.model.evidence import Count
from converge.model.plan import Change
from converge.model.quote import my_name, toml_text
from converge.planner.choice import Choice, candidates
from converge.planner.draft import Draft
from converge.planner.hints import hint
from converge.planner.reading import begin, made_equal, target
from converge.types import Family, Trap, Value


@dataclass(frozen=True, slots=True)
class Decided:
    """A column's value with what the maps make of its odd cases."""

    family: Family
    """Of the value, which a map's expression can have made of another kind."""
    value: Value
    changes: tuple[Change, ...]
    traps: tuple[tuple[Trap, Change | None], ...]
    """Each trap as it stood before its policy, and what that does; None without a policy that can be used."""


def settle(draft: Draft, table: Table, column: Column, family: Family, choice: Choice) -> Decided:
    """The value with what the maps say becomes of its odd cases; adds the findings."""
    decided = decide(column, family, choice)
    for trap, change in decided.traps:
        count = draft.evidence.count(table.name, trap.where)
        if count and count.rows:
            _find(draft, table, column, choice, trap, count, change)
    _note_made_equal(draft, table, column, family, choice)
    _suggest(draft, table, column, family, choice)
    return decided


def _note_made_equal(draft: Draft, table: Table, column: Column, family: Family, choice: Choice) -> None:
    """A loss: values that were different are the same behind a map's expression."""
    _, value, using = begin(family, Value(column, choice.to, labels=choice.rule.labels), choice.rules)
    facts = draft.evidence.table(table.name)
    if using is None or facts is None:
        return
    count = facts.found.get(made_equal(table, value).name)
    if count and count.rows:
        draft.find(
            Code.V161, "lossy", f"{table.name}.{column.name}",
            said(count.rows, f"hold different values that the map's expression makes equal: {using.policy}"),
            evidence=rows_words(table, count),
        )  # fmt: skip


def decide(column: Column, family: Family, choice: Choice) -> Decided:
    """The value as the maps leave it, whatever the data holds."""
    family, value, using = begin(family, Value(column, choice.to, labels=choice.rule.labels), choice.rules)
    traps: list[tuple[Trap, Change | None]] = []
    for trap in family.every_trap(value):
        policy = choice.policies.get(trap.name, "stop")
        change = None
        if policy != "stop" and (policy != "null" or column.nullable):
            value, change = _apply(value, family, trap, policy, choice)
        traps.append((trap, change))
    made = [using, *(change for _, change in traps)]
    return Decided(family, value, tuple(change for change in made if change), tuple(traps))


def evidence(draft: Draft, table: Table, column: Column, family: Family, choice: Choice) -> str:
    """What the scan saw of the values, where it decided the type or found something."""
    facts = draft.evidence.table(table.name)
    if facts is None:
        return ""
    words = {}
    for rule in candidates(choice.rules):
        to = Value(column, target(family, column, rule, choice.rules), labels=rule.labels)
        made, value, _ = begin(family, to, choice.rules)
        for trap in made.every_trap(value):
            count = draft.evidence.count(table.name, trap.where)
            if count is not None and (count.rows or rule.fits):
                words[trap.where] = f"{count.rows:,} of {facts.rows:,} rows {trap.kind.words}"
        if rule is choice.rule:
            break
    return "; ".join(words.values())


def example(table: Table, column: Column, line: str) -> str:
    """A map's entry for one column, to be pasted."""
    return entry("column", literally(table=table.name, column=column.name), line)


def _apply(value: Value, family: Family, trap: Trap, policy: Any, choice: Choice) -> tuple[Value, Change]:
    """The trap as it stands for the value that earlier policies have left."""
    now = next(one for one in family.every_trap(value) if one.name == trap.name)
    where = f"{value.sql} IS NOT NULL" if trap.whole else trap.where
    change = Change(trap.name, _policy_words(policy), where, trap.kind.words)
    if policy == "keep":
        return replace(value, handled=value.handled | {trap.name}), change
    if isinstance(policy, dict):
        assert now.replace is not None
        try:
            new = now.replace(policy["replace"])
        except ValueError as error:
            raise UsageError(
                f"{choice.rule.place}: {trap.name} cannot be replaced by {policy['replace']!r}: {error}",
                code=Code.M005,
            ) from error
    else:
        new = "NULL" if policy == "null" else now.remedies[policy]
    changed = new if trap.whole else f"IF({now.where},{new},{family.whole(value)})"
    null = f"({value.is_null} OR {now.where})" if policy == "null" else value.is_null
    return (
        replace(value, changed=changed, declared_null=null, handled=value.handled | {trap.name}),
        change,
    )


def _find(
    draft: Draft,
    table: Table,
    column: Column,
    choice: Choice,
    trap: Trap,
    count: Count,
    change: Change | None,
) -> None:
    place = f"{table.name}.{column.name}"
    kind = trap.kind
    what = said(count.rows, kind.words)
    if change:
        draft.find(
            kind.code,
            "lossy",
            place,
            f"{what}; the map makes it: {change.policy}",
            evidence=rows_words(table, count),
        )
        return
    severity = trap.harm or kind.harm
    if choice.policies.get(trap.name) == "null":
        what += "; the map says NULL, but the column is NOT NULL"
    elif trap.name == "no_result" and not column.nullable:
        what += ", and the column is NOT NULL"
    elif trap.stops:
        what += f", and the column would become {choice.to}"
    draft.find(
        kind.code,
        severity,
        place,
        what,
        _hint(draft, table, column, choice, trap),
        evidence=rows_words(table, count),
    )


def _hint(draft: Draft, table: Table, column: Column, choice: Choice, trap: Trap) -> str:
    """A map's entry for each way out."""
    ways = [
        f"policy = {{ {trap.name} = {_policytoml_text(policy)} }}"
        for policy in trap.kind.policies
        if policy != "null" or column.nullable
    ]
    other = trap.kind.other.format(fsp=column.fsp)
    if draft.loading is not None:
        # The target has its type: only another value is a way out.
        made = hint(draft, table, column, choice.to) if trap.name == "not_canonical" else ""
        ways += [f"using = {toml_text(made)}"] if made and not choice.setting("using") else []
    elif other and other != choice.to:
        ways.append(f"to = {toml_text(other)}")
    if not ways:
        return "repair the rows in the source" if draft.loading else ""
    return example(table, column, "\n# or: ".join(ways))


def _suggest(draft: Draft, table: Table, column: Column, family: Family, choice: Choice) -> None:
    """Notes the types that every value would fit, too; the draft says them all at once."""
    filled = draft.evidence.count(table.name, f"{my_name(column.name)} IS NOT NULL")
    for to in family.suggestions(column) if filled and filled.rows and not draft.loading else ():
        traps = family.traps(Value(column, to))
        counts = [draft.evidence.count(table.name, trap.where) for trap in traps]
        if to != choice.to and counts and all(count is not None and not count.rows for count in counts):
            draft.suggestions.setdefault((column.type, column.length or 0, to), []).append(
                f"{table.name}.{column.name}"
            )


def note_suggestions(draft: Draft) -> None:
    """One finding for each type that many columns could have."""
    for (type_, length, to), places in draft.suggestions.items():
        listed = ", ".join(places)
        draft.find(
            Code.V025, "note", f"{type_}({length})",
            f"every value of {len(places)} such columns fits {to}, which is smaller and checked: {listed}",
            entry("type", {"type": type_, "length": length, "fits": True}, f"to = {toml_text(to)}"),
        )  # fmt: skip


def note_unseen(draft: Draft, tables: Sequence[Table]) -> None:
    """Notes what was decided without a look at the data."""
    unknown = "their types hold every value, but what PostgreSQL cannot hold at all would stop the copy"
    missing = [table.name for table in tables if draft.evidence.table(table.name) is None]
    if missing and len(missing) == len(tables):
        draft.find(
            Code.V026, "note", "scan", f"no table was scanned: {unknown}", "converge plan, without --no-scan"
        )
    elif missing:
        draft.find(
            Code.V026, "note", "scan", f"these tables were not scanned: {', '.join(missing)}; {unknown}"
        )
    for table in tables:
        facts = draft.evidence.table(table.name)
        if facts and facts.unseen:
            hint = f"--scan-seconds {facts.seconds * 10:.0f}"
            draft.find(
                Code.V027, "note", table.name, f"{facts.unseen}: what was not seen counts as unknown", hint
            )


def rows_words(table: Table, count: Count) -> str:
    """``rows id 17, 204, …``: the keys that the scan has kept."""
    if not count.keys:
        return ""
    columns = table.primary_key.columns if table.primary_key else ()
    more = ", …" if count.rows > len(count.keys) else ""
    return f"rows {'/'.join(columns)} {', '.join(map(_printable, count.keys))}{more}"


def _printable(key: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in key)


def said(rows: int, words: str) -> str:
    """``3 rows hold …`` or ``1 row holds …``."""
    if rows != 1:
        return f"{rows:,} rows {words}"
    verb, _, rest = words.partition(" ")
    return f"1 row {'is' if verb == 'are' else verb + 's'} {rest}"


def _policy_words(policy: Any) -> str:
    return f"replace {policy['replace']}" if isinstance(policy, dict) else str(policy)


def _policytoml_text(policy: str) -> str:
    return '{ replace = "…" }' if policy == "replace" else toml_text(policy)
