"""Next values of identity columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from converge.model.plan import Plan
from converge.model.quote import pg_name


def set_next_values(connection: psycopg.Connection[Any], plan: Plan, counters: Mapping[str, int]) -> None:
    """The next value becomes max(the source's AUTO_INCREMENT, max(column) + 1), and never less than it is.

    `counters` are the AUTO_INCREMENT values by the source's tables, as they are now.

    A column that has reached its type's end stays there: the next insert fails, as it does in MySQL.
    """
    for identity in plan.identities:
        table = plan.table(identity.table)
        column = next(column for column in table.columns if column.source == identity.column)
        next_value = counters.get(identity.table, 1) if identity.auto_increment else 1
        # A query with parameters reads % as their beginning.
        # Several columns may share a sequence of the target's own.
        names = (pg_name(column.target), pg_name(plan.schema, table.target), column.sequence)
        of_column, of_table, of_sequence = (name.replace("%", "%%") for name in names)
        connection.execute(
            f"""
            SELECT setval(s.name, least(n.next, q.seqmax)::bigint, n.next > q.seqmax)
              FROM (SELECT greatest(%(next)s::numeric, floor(max({of_column})::numeric) + 1,
                                    (SELECT last_value + is_called::int FROM {of_sequence})::numeric)
                      FROM {of_table}) n(next),
                   (SELECT %(sequence)s::regclass) s(name)
              JOIN pg_sequence q ON q.seqrelid = s.name
            """.encode(),
            {"next": next_value, "sequence": column.sequence},
        )
