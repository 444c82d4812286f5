"""What becomes of each column's values: one decision a column, made once and asked by all parts of the plan.

A decision holds the rule that gives the type, the type, the value's MySQL expression (which copy and
comparison share), each kind of odd value (a trap) with what the maps say of it, and the changes that
follow. Rules may depend on the data (`fits`): each of them is a candidate, and the first whose every value
fits is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from converge.codes import Code
from converge.errors import UsageError
from converge.mapping.read import DEFAULT
from converge.mapping.rules import Map, Rule, policies, setting
from converge.model.catalog import Catalog, Column, Table
from converge.model.evidence import Count, Evidence
from converge.model.plan import Change
from converge.planner.using import begin, made_kind
from converge.types import Trap, Value, check_target, family_of, form

Place = tuple[str, str]
"""Table and column of the source."""


class Decision:
    """What one column becomes by one rule of the maps, whatever the data holds."""

    __slots__ = (
        "_handled", "column", "policies", "rule", "rules", "start", "table", "to", "traps", "using"
    )  # fmt: skip

    def __init__(self, table: Table, column: Column, rules: tuple[Rule, ...], rule: Rule) -> None:
        self.table, self.column = table, column
        self.rules, self.rule = rules, rule
        """All that match, in their order, and the one that gives the type."""
        self.to = rule.target_type(column)
        check_target(made_kind(column, self.to, rules), self.to, rule.place, rule.labels)
        value = Value(column, self.to, labels=rule.labels)
        self.start, self.using = begin(value, rules)
        """The value before any policy, and what a map's expression has done."""
        self.traps = form(self.start).traps
        """What the type cannot hold, before any policy."""
        self.policies: Mapping[str, Any] = policies(rules)
        self._handled: tuple[Value, tuple[tuple[Trap, Change | None], ...]] | None = None

    @property
    def name(self) -> str:
        return f"{self.table.name}.{self.column.name}"

    def setting(self, key: str) -> Any:
        """What the first rule with this key says; None without one."""
        return setting(self.rules, key)[0]

    @property
    def value(self) -> Value:
        """The value with what the policies make of its odd cases."""
        return self._by_policies()[0]

    @property
    def handled(self) -> tuple[tuple[Trap, Change | None], ...]:
        """Each trap with what its policy does; None without a policy that can be used."""
        return self._by_policies()[1]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the maps change of the values."""
        return tuple(change for change in (self.using, *(one for _, one in self.handled)) if change)

    def _by_policies(self) -> tuple[Value, tuple[tuple[Trap, Change | None], ...]]:
        if self._handled is None:
            value, handled = self.start, []
            for trap in self.traps:
                policy, change = self.policies.get(trap.name, "stop"), None
                if policy != "stop" and (policy != "null" or self.column.nullable):
                    value, change = self._apply(value, trap, policy)
                handled.append((trap, change))
            self._handled = value, tuple(handled)
        return self._handled

    def _apply(self, value: Value, trap: Trap, policy: Any) -> tuple[Value, Change]:
        """One more policy, on the trap as it stands for the value that earlier policies have left."""
        made = form(value)
        now = next(one for one in made.traps if one.name == trap.name)
        where = f"{value.sql} IS NOT NULL" if trap.whole else trap.where
        words = f"replace {policy['replace']}" if isinstance(policy, dict) else str(policy)
        change = Change(trap.name, words, where, trap.kind.words)
        handled = value.handled | {trap.name}
        if policy == "keep":
            return replace(value, handled=handled), change
        if isinstance(policy, dict):
            assert now.replace is not None
            try:
                new = now.replace(policy["replace"])
            except ValueError as error:
                raise UsageError(
                    f"{self.rule.place}: {trap.name} cannot be replaced by {policy['replace']!r}: {error}",
                    code=Code.M005,
                ) from error
        else:
            new = "NULL" if policy == "null" else now.remedies[policy]
        changed = new if trap.whole else f"IF({now.where},{new},{made.whole or value.sql})"
        null = f"({value.is_null} OR {now.where})" if policy == "null" else value.is_null
        return replace(value, changed=changed, declared_null=null, handled=handled), change


class Decisions:
    """The decision of every column; all columns that foreign keys join get the same type."""

    def __init__(self, catalog: Catalog, map_: Map, evidence: Evidence) -> None:
        self._map = map_
        self._evidence = evidence
        self._sources = {table.name: table for table in catalog.tables}
        self._joined = _components(catalog)
        identities = {
            (table.name, column.name)
            for table in catalog.tables
            for column in table.columns
            # A bigint unsigned whose next value has left bigint's range takes its component out.
            if column.auto_increment and (table.next_value or 0) < 2**63
        }
        self._identities = {place for identity in identities for place in self.joined(*identity)}
        self._rules: dict[Place, tuple[Rule, ...]] = {}
        self._candidates: dict[Place, tuple[Decision, ...]] = {}
        self._decided: dict[Place, Decision] = {}

    def of(self, table: Table, column: Column) -> Decision:
        """By the first rule that gives a type, and whose every value fits where it wants that.

        Raises UsageError when no rule matches or a rule's type is not one that the family can make.
        """
        place = table.name, column.name
        if place not in self._decided:
            for one in self.candidates(table, column):
                if not one.rule.fits or self._all_fit(one):
                    self._decided[place] = one
                    break
            else:
                raise _no_rule(table, column)
        return self._decided[place]

    def safest(self, table: Table, column: Column) -> Decision:
        """The decision that does not hang on the data, for what is asked before and after it is known.

        Raises UsageError like `of`.
        """
        for one in self.candidates(table, column):
            if not one.rule.fits:
                return one
        raise _no_rule(table, column)

    def candidates(self, table: Table, column: Column) -> tuple[Decision, ...]:
        """By each rule that may give the type: those that depend on the data, and the first that does not.

        None for a type that converge does not know.
        """
        place = table.name, column.name
        if place not in self._candidates:
            self._candidates[place] = tuple(self._candidates_of(table, column))
        return self._candidates[place]

    def rules(self, table: Table, column: Column) -> tuple[Rule, ...]:
        """The rules that match a column, those that depend on the data among them."""
        place = table.name, column.name
        if place not in self._rules:
            self._rules[place] = self._map.for_column(table, column, identity=self.identity(*place))
        return self._rules[place]

    def mapped(self, table: Table, column: Column) -> bool:
        """Whether another map than the default one says anything of the column."""
        return any(not rule.place.startswith(f"{DEFAULT} ") for rule in self.rules(table, column))

    def joined(self, table: str, column: str) -> frozenset[Place]:
        """The columns that foreign keys join with this one, itself included: all must have the same type."""
        return self._joined.get((table, column), frozenset({(table, column)}))

    def identity(self, table: str, column: str) -> bool:
        """Whether the column is AUTO_INCREMENT, or joined to such a one."""
        return (table, column) in self._identities

    def count(self, one: Decision, trap: Trap) -> Count | None:
        """The rows that the scan has counted for a trap; None when it did not look."""
        return self._evidence.count(one.table.name, trap.where)

    def evidence(self, decided: Decision) -> str:
        """What the scan saw of the values, where it decided the type or found something."""
        facts = self._evidence.table(decided.table.name)
        words: dict[str, str] = {}
        for one in self.candidates(decided.table, decided.column) if facts else ():
            for trap in one.traps:
                count = self.count(one, trap)
                if facts and count is not None and (count.rows or one.rule.fits):
                    words[trap.where] = f"{count.rows:,} of {facts.rows:,} rows {trap.kind.words}"
            if one is decided:
                break
        return "; ".join(words.values())

    def _candidates_of(self, table: Table, column: Column) -> Iterator[Decision]:
        rules = self.rules(table, column)
        for rule in rules if family_of(column) else ():
            if "to" in rule.settings:
                yield Decision(table, column, rules, rule)
                if not rule.fits:
                    return

    def _all_fit(self, one: Decision) -> bool:
        """Whether this column and all that foreign keys join it with would get the type, and fit it."""
        for other_table, other_column in self.joined(one.table.name, one.column.name):
            table = self._sources.get(other_table)
            theirs = self.candidates(table, table.column(other_column)) if table else ()
            if not any(other.rule == one.rule and self._fits(other) for other in theirs):
                return False
        return True

    def _fits(self, one: Decision) -> bool:
        """Whether the target type can hold the column's default and all of its values."""
        counts = (self.count(one, trap) for trap in one.traps)
        return _default_fits(one) and all(count is not None and not count.rows for count in counts)


def _default_fits(one: Decision) -> bool:
    """The default is a value as well, of rows to come."""
    default = one.start.column.default
    if default is None or one.start.made:
        return True
    if one.start.column.default_is_expression:
        return one.to != "boolean" or default.strip("()").lower() in ("0", "1", "false", "true")
    return form(one.start).default(default) is not None


def _no_rule(table: Table, column: Column) -> UsageError:
    return UsageError(
        f"no rule of the maps matches {table.name}.{column.name} ({column.raw_type})", code=Code.M004
    )


def _components(catalog: Catalog) -> Mapping[Place, frozenset[Place]]:
    """For each column of a foreign key the columns that it is joined with, itself included."""
    edges: dict[Place, set[Place]] = {}
    for table in catalog.tables:
        for key in table.foreign_keys:
            if key.parent_database == catalog.database:
                for child, parent in zip(key.columns, key.parent_columns, strict=True):
                    edges.setdefault((table.name, child), set()).add((key.parent, parent))
                    edges.setdefault((key.parent, parent), set()).add((table.name, child))
    components: dict[Place, frozenset[Place]] = {}
    for start in edges:
        if start not in components:
            component, waiting = set(), [start]
            while waiting:
                place = waiting.pop()
                if place not in component:
                    component.add(place)
                    waiting += edges[place]
            components |= dict.fromkeys(component, frozenset(component))
    return components
