"""Views, plain and materialized."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from converge.model.definitions import Definition
from converge.model.quote import pg_name
from converge.planner.difference.kinds.kind import (
    Change,
    Kind,
    changed_options,
    differing,
    options,
    own_name,
    with_options,
)


class View(Kind):
    rank = 12
    comment_on = "VIEW"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        yield _create("CREATE VIEW", it)

    def change(self, old: Definition, new: Definition) -> Change | None:
        before, after = old.facts.get("columns", []), new.facts.get("columns", [])
        if after[: len(before)] != before:
            return None
        return Change((_create("CREATE OR REPLACE VIEW", new),))

    def comments(self, it: Definition) -> Mapping[str, str | None]:
        said = it.facts.get("column comments", {})
        of = (name for name, *_ in it.facts.get("columns", ()))
        parts = {f"COLUMN {own_name(it)}.{pg_name(name)}": said.get(name) for name in of}
        return {self.named(it): it.facts.get("comment"), **parts}


class MaterializedView(View):
    comment_on = "MATERIALIZED VIEW"

    def make(self, it: Definition, parts: Sequence[Definition]) -> Iterator[str]:
        empty = "\n WITH NO DATA" if "empty" in it.facts else ""
        yield _create("CREATE MATERIALIZED VIEW", it) + empty

    def change(self, old: Definition, new: Definition) -> Change | None:
        other = differing(old, new)
        if other - {"options", "empty", "comment", "column comments"}:
            return None
        statements = list(changed_options(f"ALTER {self.named(new)}", old.facts, new.facts))
        if "empty" in other:
            statements.append(f"REFRESH {self.named(new)}{' WITH NO DATA' if 'empty' in new.facts else ''}")
        return Change(tuple(statements))


def _create(start: str, it: Definition) -> str:
    method = f" USING {it.facts['method']}" if "method" in it.facts else ""
    said = f" WITH {with_options(options(it.facts))}" if "options" in it.facts else ""
    return f"{start} {own_name(it)}{method}{said} AS\n{it.facts['query']}"
