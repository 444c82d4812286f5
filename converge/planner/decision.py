"""What becomes of each column's values: one decision a column, made once and asked by all parts of the plan.

A decision holds the rule that gives the type, the type, the value's MySQL expression (which copy and
comparison share), each kind of odd value (a trap) with what the maps say of it, and the changes that
follow. Rules may depend on the data (`fits`): each of them is a candidate, and the first whose every value
fits is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NoReturn

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.grammar import SECTIONS
from converge.mapping.read import DEFAULT
from converge.mapping.rules import Map, Rule, entry, literally, policies, setting
from converge.model.catalog import Catalog, Column, Index, Table
from converge.model.evidence import Count, Evidence
from converge.model.table_plan import Change
from converge.model.words import said
from converge.planner.using import begin, made_kind
from converge.types import Form, Trap, Value, base_name, check_target, family_of, form

ColumnName = tuple[str, str]
"""Table and column of the source."""
_ALIKE = 2**14
"""Columns whose values are remembered: many tables have the same, and scan and plan ask for each of them."""


class Decision:
    """What one column becomes by one rule of the maps, whatever the data holds."""

    def __init__(
        self,
        table: Table,
        column: Column,
        rules: tuple[Rule, ...],
        rule: Rule,
        known: Evidence,
        earlier: tuple[Decision, ...],
    ) -> None:
        """By one of the `rules`, after `earlier` decisions that the data may rule out."""
        self._known = known
        self.earlier = earlier
        """By rules that go before, and that hold only where every value fits."""
        self.table, self.column = table, column
        self.rules, self.rule = rules, rule
        """All that match, in their order, and the one that gives the type."""
        self.start, self._start_form, self.using = _begun(column, rules, rule)
        """The value before any policy, its form, and what a map's expression has done."""
        self.to = self.start.to
        self.traps = self._start_form.traps
        """What the type cannot hold, before any policy."""

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    def setting(self, key: str) -> Any:
        """What the first rule with this key says; None without one."""
        return setting(self.rules, key)[0]

    @cached_property
    def policies(self) -> Mapping[str, Any]:
        """What the maps say of each trap, by its name."""
        return policies(self.rules)

    @property
    def value(self) -> Value:
        """The value with what the policies make of its odd cases."""
        return self._by_policies[0]

    @cached_property
    def form(self) -> Form:
        """What this value becomes."""
        return self._start_form if self.value is self.start else form(self.value)

    @property
    def handled(self) -> tuple[tuple[Trap, Change | None], ...]:
        """Each trap with what its policy does; None without a policy that can be used."""
        return self._by_policies[1]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the maps change of the values."""
        return tuple(change for change in (self.using, *(one for _, one in self.handled)) if change)

    def count(self, trap: Trap) -> Count | None:
        """The rows that the scan has counted for a trap; None when it did not look."""
        return self._known.count(self.table.name, trap.where)

    @property
    def evidence(self) -> str:
        """What the scan saw of the values, where it decided the type or found something."""
        words: dict[str, str] = {}
        for one in (*self.earlier, self):
            for trap in one.traps:
                count = self.count(trap)
                if count is not None and (count.rows or one.rule.fits):
                    words[trap.where] = self.seen(trap)
        return "; ".join(words.values())

    def seen(self, trap: Trap) -> str:
        """``3 of 20 rows hold …``, of a trap that the scan has counted."""
        count, facts = self.count(trap), self._known.tables[self.table.name]
        assert count is not None
        return said(count.rows, trap.words, of=f"the first {count.of:,}" if count.of else f"{facts.rows:,}")

    @property
    def fits(self) -> bool:
        """Whether the target type can hold the column's default and all of its values."""
        never = self._known.never(self.table.name, (trap.where for trap in self.traps))
        return never and self._default_fits()

    def _default_fits(self) -> bool:
        """The default is a value as well, of rows to come."""
        default = self.start.column.default
        if default is None or self.start.made:
            return True
        if self.start.column.default_is_expression:
            return self.to != "boolean" or default.strip("()").lower() in ("0", "1", "false", "true")
        return self._start_form.default(default) is not None

    # ---- the decision as a map would say it --------------------------------------------------------------

    def entry(self, *lines: str) -> str:
        """A map's entry for the column, to be pasted."""
        return column_entry(self.table, self.column, *lines)

    @property
    def settings(self) -> dict[str, Any]:
        """All that the maps say of the column."""
        settings = {key: self.setting(key) for key in SECTIONS["column"].settings()}
        traps = {trap.name for trap in self.traps}
        settings["to"] = self.to
        settings["policy"] = {name: policy for name, policy in self.policies.items() if name in traps}
        return {key: value for key, value in settings.items() if value not in (None, {})}

    @property
    def open(self) -> Iterator[tuple[Trap, str]]:
        """Traps without a policy, with the rows that the scan has counted, in words."""
        for trap in self.traps:
            if trap.name not in self.policies:
                count = self.count(trap)
                yield trap, said(count.rows, trap.words) if count else f"not counted: rows that {trap.words}"

    @property
    def others(self) -> list[str]:
        """Other types that a map may choose; none where the target has its own."""
        family = family_of(self.column)
        if family is None or self._known.existing is not None:
            return []
        return sorted(family.accepts(self.column) - {base_name(self.to)})

    # ---- policies ----------------------------------------------------------------------------------------

    @cached_property
    def _by_policies(self) -> tuple[Value, tuple[tuple[Trap, Change | None], ...]]:
        value, handled = self.start, []
        for trap in self.traps:
            policy, change = self.policies.get(trap.name, trap.default), None
            if policy == "null" and not self.column.nullable:
                policy = trap.default
            if policy != "stop":
                value, change = self._apply(value, trap, policy)
            handled.append((trap, change))
        return value, tuple(handled)

    def _apply(self, value: Value, trap: Trap, policy: Any) -> tuple[Value, Change]:
        """One more policy, on the trap as it stands for the value that earlier policies have left."""
        before = form(value)
        now = next(one for one in before.traps if one.name == trap.name)
        where = f"{value.sql} IS NOT NULL" if trap.whole else trap.where
        words = f"replace {policy['replace']}" if isinstance(policy, dict) else str(policy)
        change = Change(trap.name, words, where, trap.words)
        handled = value.handled | {trap.name}
        if policy == "keep":
            return replace(value, handled=handled), change
        if isinstance(policy, dict):
            assert now.replace is not None
            try:
                new = now.replace(policy["replace"])
            except ValueError as error:
                by = next(rule for rule in self.rules if trap.name in rule.settings.get("policy", {}))
                raise UsageError(
                    f"{by.place}: {trap.name} of {self.name} cannot be replaced by "
                    f"{policy['replace']!r}, which is not a date",
                    code=Code.M005,
                    hint=f'replace = "…", a value of {self.to}',
                ) from error
        else:
            new = "NULL" if policy == "null" else now.remedies[policy]
        changed = new if trap.whole else f"IF({now.where},{new},{before.whole or value.sql})"
        null = f"({value.is_null} OR {now.where})" if policy == "null" else value.is_null
        return replace(value, changed=changed, declared_null=null, handled=handled), change


@lru_cache(_ALIKE)
def _begun(column: Column, rules: tuple[Rule, ...], rule: Rule) -> tuple[Value, Form, Change | None]:
    """The value of such a column by one of the rules, before any policy."""
    to = rule.target_type(column)
    check_target(made_kind(column, to, rules), to, rule.place, rule.labels)
    value, using = begin(Value(column, to, labels=rule.labels), rules)
    return value, form(value), using


class Decisions:
    """The decision of every column; all columns that foreign keys of the plan join get the same type."""

    def __init__(self, catalog: Catalog, map_: Map, evidence: Evidence, taken: Set[str]) -> None:
        """`taken` are the tables of the plan. The target gets no key of others, which nobody scans."""
        self._map = map_
        self._evidence = evidence
        self._sources = {table.name: table for table in catalog.tables}
        self._joined = _components(catalog, taken)
        self.identities = {
            joined
            for table in catalog.tables
            for column in table.columns
            # A bigint unsigned whose next value has left bigint's range takes its component out.
            if column.auto_increment and (table.next_value or 0) < 2**63
            for joined in self.joined(table.name, column.name)
        }
        """The columns that are AUTO_INCREMENT, or joined to such a one."""
        self._rules: dict[ColumnName, tuple[Rule, ...]] = {}
        self._candidates: dict[ColumnName, list[Decision]] = {}
        self._decided: dict[ColumnName, Decision] = {}

    def of(self, table: Table, column: Column) -> Decision:
        """By the first rule that gives a type, and whose every value fits where it wants that.

        Raises UsageError when no rule matches or a rule's type is not one that the family can make.
        """
        name = table.name, column.name
        if name not in self._decided:
            candidates = self.candidates(table, column)
            chosen = (one for one in candidates if not one.rule.fits or self._all_fit(one))
            self._decided[name] = next(chosen, None) or _no_rule(table, column)
        return self._decided[name]

    def safest(self, table: Table, column: Column) -> Decision:
        """The decision that does not hang on the data, for what is asked before and after it is known."""
        return (self.candidates(table, column) or _no_rule(table, column))[-1]

    def candidates(self, table: Table, column: Column) -> list[Decision]:
        """By each rule that may give the type: those that depend on the data, and the first that does not.

        None for a type that converge does not know.
        """
        name = table.name, column.name
        if name not in self._candidates:
            found = self._candidates[name] = []
            rules = self.rules(table, column)
            for rule in rules if family_of(column) else ():
                if "to" in rule.settings:
                    found.append(Decision(table, column, rules, rule, self._evidence, tuple(found)))
                    if not rule.fits:
                        break
        return self._candidates[name]

    def rules(self, table: Table, column: Column) -> tuple[Rule, ...]:
        """The rules that match a column, those that depend on the data among them."""
        name = table.name, column.name
        if name not in self._rules:
            self._rules[name] = self._map.for_column(table, column, identity=name in self.identities)
        return self._rules[name]

    def mapped(self, table: Table, column: Column) -> bool:
        """Whether another map than the default one says anything of the column."""
        return any(not rule.place.startswith(f"{DEFAULT} ") for rule in self.rules(table, column))

    def joined(self, table: str, column: str) -> Set[ColumnName]:
        """The columns that foreign keys join with this one, itself included: all must have the same type."""
        return self._joined.get((table, column), {(table, column)})

    def _all_fit(self, one: Decision) -> bool:
        """Whether this column and all that foreign keys join it with would get the type, and fit it."""
        for other_table, other_column in self.joined(one.table.name, one.column.name):
            table = self._sources.get(other_table)
            theirs = self.candidates(table, table.column(other_column)) if table else ()
            if not any(other.rule == one.rule and other.fits for other in theirs):
                return False
        return True


def _no_rule(table: Table, column: Column) -> NoReturn:
    raise UsageError(
        f"no rule of the maps matches {table.name}.{column.name} ({column.raw_type})", code=Code.M004
    )


def column_entry(table: Table, column: Column, *lines: str) -> str:
    """A map's entry for one column, to be pasted."""
    return entry("column", literally(table=table.name, column=column.name), *lines)


def index_entry(table: Table, index: Index, *lines: str) -> str:
    """The same for an index."""
    return entry("index", literally(table=table.name, index=index.name), *lines)


def _components(catalog: Catalog, taken: Set[str]) -> Mapping[ColumnName, Set[ColumnName]]:
    """For each column of a foreign key between these tables the columns that it is joined with, itself
    included."""
    components: dict[ColumnName, set[ColumnName]] = {}
    for table in catalog.tables:
        for key in table.foreign_keys:
            for child, parent in key.pairs:
                if key.parent_database == catalog.database and {table.name, key.parent} <= taken:
                    ends = (table.name, child), (key.parent, parent)
                    small, large = sorted((components.setdefault(end, {end}) for end in ends), key=len)
                    if small is not large:
                        large |= small
                        components |= dict.fromkeys(small, large)
    return components
