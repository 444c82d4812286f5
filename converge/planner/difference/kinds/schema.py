"""The schema, and the extensions that it uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from converge.model.definitions import Definition
from converge.model.quote import pg_name
from converge.planner.difference.kinds.kind import Change, Kind

_PUBLIC = "public"


class Schema(Kind):
    rank = 0
    comment_on = "SCHEMA"

    def named(self, it: Definition) -> str:
        return f"SCHEMA {pg_name(it.facts['name'])}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        if it.facts["name"] != _PUBLIC:
            yield f"CREATE {self.named(it)}"
        elif "comment" not in it.facts:
            yield f"COMMENT ON {self.named(it)} IS NULL"

    def drop(self, it: Definition) -> Iterator[str]:
        if it.facts["name"] == _PUBLIC:
            yield f"COMMENT ON {self.named(it)} IS 'standard public schema'"
        else:
            yield f"DROP {self.named(it)}"


class Extension(Kind):
    rank = 1
    comment_on = "EXTENSION"

    def named(self, it: Definition) -> str:
        return f"EXTENSION {pg_name(it.facts['name'])}"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        if it.facts["schema"] != _PUBLIC and not it.needs:
            # It is neither the usual schema nor the one that is described.
            yield f"CREATE SCHEMA IF NOT EXISTS {it.facts['schema']}"
        yield f"CREATE EXTENSION IF NOT EXISTS {pg_name(it.facts['name'])} WITH SCHEMA {it.facts['schema']}"

    def change(self, old: Definition, new: Definition) -> Change | None:
        return Change((f"ALTER {self.named(new)} SET SCHEMA {new.facts['schema']}",))

    def comments(self, it: Definition) -> dict[str, str | None]:
        return {}
