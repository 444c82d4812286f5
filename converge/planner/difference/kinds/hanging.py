"""What hangs on tables and views: triggers, rules, policies, statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.model.definitions import Definition
from converge.model.quote import pg_name
from converge.planner.difference.kinds.kind import Change, Kind, differing, own_name, table_name

_SWITCH = {"O": "ENABLE", "D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}
"""By pg_trigger.tgenabled and pg_rewrite.ev_enabled."""
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
_STATISTICS = {"d": "ndistinct", "f": "dependencies", "m": "mcv"}


class _Hanging(Kind):
    def named(self, it: Definition) -> str:
        return f"{self.comment_on} {pg_name(it.facts['name'])} ON {table_name(it)}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield it.facts["definition"]


class _Switched(_Hanging):
    def settle(self, it: Definition) -> Iterator[str]:
        if "enabled" in it.facts:
            yield self._switch(it)

    def change(self, old: Definition, new: Definition) -> Change | None:
        if differing(old, new) - {"enabled", "comment"}:
            return None
        return Change((self._switch(new),))

    def _switch(self, it: Definition) -> str:
        how = _SWITCH[it.facts.get("enabled", "O")]
        return f"ALTER TABLE {table_name(it)} {how} {self.comment_on} {pg_name(it.facts['name'])}"


class Trigger(_Switched):
    rank = 15
    comment_on = "TRIGGER"


class Rule(_Switched):
    rank = 14
    comment_on = "RULE"


class Policy(_Hanging):
    rank = 16
    comment_on = "POLICY"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        roles = ", ".join(pg_name(role) if role else "PUBLIC" for role in it.facts["roles"])
        words = [
            f"CREATE {self.named(it)} AS {'PERMISSIVE' if it.facts['permissive'] else 'RESTRICTIVE'}",
            f"FOR {_COMMANDS[it.facts['command']]} TO {roles}",
        ]
        if "using" in it.facts:
            words.append(f"USING ({it.facts['using']})")
        if "check" in it.facts:
            words.append(f"WITH CHECK ({it.facts['check']})")
        yield " ".join(words)


class Statistics(Kind):
    rank = 11
    comment_on = "STATISTICS"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        kinds = [_STATISTICS[kind] for kind in it.facts.get("kinds", ())]
        # A single expression has none that could be named.
        some = f" ({', '.join(kinds)})" if 0 < len(kinds) < len(_STATISTICS) else ""
        on = [pg_name(column) for column in it.facts.get("columns", ())]
        on += [f"({expression})" for expression in it.facts.get("expressions", ())]
        yield f"CREATE {self.named(it)}{some} ON {', '.join(on)} FROM {table_name(it)}"

    def settle(self, it: Definition) -> Iterator[str]:
        if "target" in it.facts:
            yield self._target(it)

    def change(self, old: Definition, new: Definition) -> Change | None:
        if differing(old, new) - {"target", "comment"}:
            return None
        return Change((self._target(new),))

    def _target(self, it: Definition) -> str:
        return f"ALTER STATISTICS {own_name(it)} SET STATISTICS {it.facts.get('target', -1)}"
