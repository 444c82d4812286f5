"""Rules of `schema_maps/*.toml`: ordered; for each setting the first rule that matches and has it decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from converge.codes import Code
from converge.errors import UsageError
from converge.model.catalog import Column, ForeignKey, Index, Table
from converge.model.check import Application, Check, Hook
from converge.model.quote import toml_text
from converge.types.sql import normal

_OWN = ("length", "precision", "scale", "fsp")
# Whole words, in brackets only numbers or a geometry's shape: the type is written into SQL as it is.
_TYPE = re.compile(r"[a-z][a-z0-9_ ]*(\((\d+|[A-Za-z]+)(, ?\d+)?\)[a-z ]*)?(\[\])?")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One entry of a map, with the place where it stands for messages."""

    section: str
    place: str
    match: Mapping[str, Any]
    settings: Mapping[str, Any]
    why: str
    note: str = ""
    shipped: bool = False
    """Whether it comes with converge: such a rule need not match anything."""

    @property
    def fits(self) -> bool:
        """Whether the rule holds only when every value fits its type."""
        return bool(self.match.get("fits"))

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the enum that the target has already, where the rule stands for one of its columns."""
        return tuple(self.settings.get("labels", ()))

    def matches(self, **known: Any) -> bool:
        """Whether what is known of an object is what the rule wants; nothing else is asked, as of `fits`."""
        return all(_holds(wanted, known[key]) for key, wanted in self.match.items() if key in known)

    def target_type(self, column: Column) -> str:
        """`to` with the column's own length, precision, scale and fractional-second digits."""
        to = str(self.settings["to"])
        known = {name: str(getattr(column, name)) for name in _OWN}
        made = re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), to)
        if not _TYPE.fullmatch(made):
            hint = "{length}, {precision}, {scale} and {fsp} stand for the column's own"
            raise UsageError(f"{self.place}: to = {to!r}", code=Code.M002, hint=hint)
        return normal(made)


@dataclass(frozen=True)
class Map:
    """All rules in the order in which they are asked, and what is checked when the rows are there."""

    rules: tuple[Rule, ...] = field(default=())
    own: Mapping[tuple[str, str], Rule] = field(default_factory=dict)
    """By table and column: what the target's own column asks, before all rules."""
    checks: tuple[Check, ...] = ()
    hooks: tuple[Hook, ...] = ()
    applications: tuple[Application, ...] = ()
    """Of the maps themselves."""
    shipped: tuple[Application, ...] = ()
    """Of all shipped maps, each by the name that --map takes."""
    _by_kind: dict[tuple[Any, ...], tuple[Rule, ...]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def for_column(self, table: Table, column: Column, *, identity: bool) -> tuple[Rule, ...]:
        """The rules that match a column, `fits` aside."""
        kind = {
            "type": column.type,
            "unsigned": column.unsigned,
            "nullable": column.nullable,
            "identity": identity,
            "length": column.precision if column.length is None else column.length,
            "width": _width(column.raw_type),
            "charset": column.charset,
            "collation": column.collation,
        }
        own = self.own.get((table.name, column.name))
        candidates = self._of_kind(kind)
        found = tuple(rule for rule in candidates if rule.matches(table=table.name, column=column.name))
        return found if own is None else (own, *found)

    def for_table(self, table: Table) -> tuple[Rule, ...]:
        """The rules that match a table."""
        return self._of("table", table=table.name)

    def skips(self, table: str) -> bool:
        """Whether a table of this name is not migrated."""
        return bool(setting(self._of("table", table=table), "skip")[0])

    def for_index(self, table: Table, index: Index) -> tuple[Rule, ...]:
        """The rules that match an index."""
        return self._of("index", table=table.name, index=index.name, kind=index.kind)

    def for_foreign_key(self, table: Table, key: ForeignKey) -> tuple[Rule, ...]:
        """The rules that match a foreign key."""
        return self._of("foreign_key", table=table.name, foreign_key=key.name)

    def keeps(self, table: str, column: str | None = None) -> bool:
        """Whether a map says that what only the target has may stay: a table, or a column of one."""
        return bool(self.for_target(table, column))

    def for_target(self, table: str, column: str | None) -> tuple[Rule, ...]:
        """The rules that match a table of the target itself, or one of its columns."""
        found = self._of("target", table=table, column=column)
        return tuple(rule for rule in found if ("column" in rule.match) == (column is not None))

    def _of(self, section: str, **known: Any) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.section == section and rule.matches(**known))

    def _of_kind(self, kind: Mapping[str, Any]) -> tuple[Rule, ...]:
        """Thousands of columns ask: all but their names is matched once for those of one kind."""
        key = tuple(kind.values())
        if key not in self._by_kind:
            of_columns = (rule for rule in self.rules if rule.section in ("column", "type"))
            self._by_kind[key] = tuple(rule for rule in of_columns if rule.matches(**kind))
        return self._by_kind[key]


def setting(rules: Sequence[Rule], key: str) -> tuple[Any, Rule | None]:
    """The value that the first rule with this key gives it, and the rule; (None, None) without one."""
    for rule in rules:
        if key in rule.settings:
            return rule.settings[key], rule
    return None, None


def policies(rules: Iterable[Rule]) -> dict[str, Any]:
    """The policy of every trap that the rules name: the first that names it decides."""
    found: dict[str, Any] = {}
    for rule in rules:
        for trap, policy in rule.settings.get("policy", {}).items():
            found.setdefault(trap, policy)
    return found


def _holds(wanted: Any, is_: Any) -> bool:
    if isinstance(wanted, list):
        return is_ in wanted
    if isinstance(wanted, str):
        return is_ is not None and fnmatchcase(is_, wanted)
    return bool(is_ == wanted)


def _width(raw_type: str) -> int | None:
    """The display width of an integer: servers from 8.0.19 print only that of ``tinyint(1)``."""
    found = re.match(r"\w*int\((\d+)\)", raw_type)
    return int(found[1]) if found else None


def entry(section: str, match: Mapping[str, Any], *lines: str) -> str:
    """``[[section]]`` with its match and these lines."""
    return "\n".join([f"[[{section}]]", f"match = {value(match)}", *lines])


def literally(**names: str) -> dict[str, str]:
    """Names as patterns that match nothing else."""
    return {
        key: "".join(f"[{char}]" if char in "*?[" else char for char in name) for key, name in names.items()
    }


def value(of: Any) -> str:
    """A TOML value: text, number, truth, or an inline table of them."""
    if isinstance(of, bool):
        return str(of).lower()
    if isinstance(of, Mapping):
        return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in of.items()) + " }"
    return str(of) if isinstance(of, int) else toml_text(str(of))
