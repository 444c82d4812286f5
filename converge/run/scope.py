"""What of a plan is compared, and what is left out of it."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from converge.codes import Code
from converge.model.finding import Finding
from converge.model.result import NotCompared
from converge.model.table_plan import TablePlan
from converge.model.words import counted
from converge.postgres.digest import no_digest
from converge.postgres.privileges import require_readable
from converge.postgres.query import rows
from converge.run.compared import Compared, narrowed

_NEW = "the plan does not have it: new since then"


class Scope:
    """What of a plan is compared: what both sides still have as planned.

    Raises BlockedError when the role may not read all of it.
    """

    def __init__(self, both: Compared) -> None:
        self._both = both
        self._made = both.run.made if both.run else None
        self.whole = both.run.plan if both.run else both.plan
        """Of the run, also where only some of its tables are meant."""
        self._here = {table.name: {one.name for one in table.columns} for table in both.catalog.tables}
        # Each column's type, and its name in the catalog's texts.
        self._there: defaultdict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        for table, column, type_, name in rows(both.target, "table_columns", schema=both.plan.schema):
            self._there[table][column] = type_, name
        self._hiding = {name for (name,) in rows(both.target, "row_security", schema=both.plan.schema)}
        reasons = {table.source: why for table in both.plan.tables if (why := self._reason(table))}
        there = [table for table in both.plan.tables if table.source not in reasons]
        require_readable(both.target, both.facts, [table.target for table in there])
        if both.run is None:
            message = "its types in the target are not as planned ({}); --mode load plans by the target's"
            reasons |= {
                table.source: message.format(why)
                for table in there if (why := no_digest(both.target, both.plan.schema, table))
            }  # fmt: skip
        self.plan = narrowed(both.plan, {table.source for table in both.plan.tables} - reasons.keys())
        self.gone = [
            Finding(Code.V115, "block", name, f"cannot be compared: {why}") for name, why in reasons.items()
        ]

    def _reason(self, table: TablePlan) -> str:
        """Why the table cannot be compared; empty where it can."""
        here, there = self._here.get(table.source), self._there.get(table.target)
        if here is None:
            return "the source no longer has the table"
        if there is None:
            has = "no longer has" if self._made else "does not have"
            return f"the target {has} the table {table.target}"
        for column in table.columns:
            if column.source not in here:
                return f"the source no longer has the column {column.source}"
            if column.target not in there:
                return f"the target no longer has the column {column.target}"
            kind, name = there[column.target]
            text = self._made.objects.get(name, "{}") if self._made else "{}"
            if (was := json.loads(text).get("type", kind)) != kind:
                return f"{column.target} of the target was {was} and is {kind}"
        if table.target in self._hiding:
            role = self._both.facts.role
            return f"row security may hide rows from the role {role}; one with BYPASSRLS sees all"
        return ""

    def new(self, left_out: Sequence[NotCompared], *, come: bool) -> list[Finding]:
        """Tables and columns that the source did not have when the run was planned: a finding for each, which
        is a note for tables that are to `come`.

        Where only some tables are meant, nobody has asked for new ones.
        """
        found, estimates = [], {one.name: one.rows_estimate for one in self._both.catalog.tables}
        for one in left_out if self.partly is None else ():
            words = f"the source has this {one.kind}, and the run did not"
            if come and one.kind == "table" and one.why == _NEW:
                rows = counted(estimates.get(one.name, 0), "row")
                words = f"{one.name} is new: sync plans, makes and fills it, {rows} by the source's estimate"
                found.append(Finding(Code.V124, "note", one.name, words))
            elif one.why.startswith(_NEW):
                found.append(Finding(Code.V124, "block", one.name, words))
        return found

    def takes(self, name: str) -> bool:
        """Whether a table of this name, which is new, is meant."""
        return self.partly is None and self._both.takes(name)

    @property
    def partly(self) -> str | None:
        """How many of the run's tables are meant, in words; None where all are."""
        count, of = len(self._both.plan.tables), len(self.whole.tables)
        return None if count == of else f"{count:,} of {counted(of, 'table')}"

    def not_compared(self) -> Iterator[NotCompared]:
        """Tables and columns of both sides that are left out."""
        known = {(one.kind, one.name): one.why for one in self.whole.outcomes}
        elsewhere = self._both.run.elsewhere if self._both.run else {}
        for name, run in elsewhere.items():
            known["table", name] = f"run {run} has migrated it: --run {run}"
        compared = {table.source: table for table in self.plan.tables}
        planned = {table.source for table in self.whole.tables}
        free = {name.lower() for name in self._there} - {table.target.lower() for table in self.whole.tables}
        for name, columns in self._here.items():
            if table := compared.get(name):
                for column in sorted(columns - {one.source for one in table.columns}):
                    full = f"{name}.{column}"
                    yield NotCompared("column", full, known.get(("column", full), _NEW))
                others = self._there[table.target].keys() - {one.target for one in table.columns}
                for column in sorted(others):
                    yield NotCompared("column", f"{name}.{column}", "only the target has it")
            elif name in planned:
                why = known.get(("table", name), "left out of this comparison")
                yield NotCompared("table", name, why)
            else:
                left_out = "the maps or options leave it out"
                why = known.get(("table", name), _NEW if self._both.takes(name) else left_out)
                if name.lower() in free and name not in elsewhere:
                    why += "; the target has a table of this name, too"
                yield NotCompared("table", name, why)
        for one in self.whole.computed:
            if one not in self.plan.computed:
                yield NotCompared(one.kind, one.source, "it reads a table that is not compared")
