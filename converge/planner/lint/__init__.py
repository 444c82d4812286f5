"""What bites after the cutover, though all rows are equal: found in both catalogs and the data beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from converge.model.catalog import Table
from converge.planner.draft import Draft
from converge.planner.lint.keys import note_keys
from converge.planner.lint.servers import note_servers
from converge.planner.lint.sql import note_sql
from converge.planner.lint.texts import note_texts


def note_lint(draft: Draft, tables: Sequence[Table]) -> None:
    """The findings about planned tables, and about the servers."""
    note_texts(draft, tables)
    note_sql(draft, tables)
    note_keys(draft, tables)
    note_servers(draft, tables)
