"""Alembic environment of the ledger: the `converge` schema in the target.

It runs on the connection that converge hands over in `config.attributes["connection"]`, so that no
address or password is ever written to a file. Without one (`--sql`) it writes the statements, for
`tools/ledger_sql.py`.
"""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

SCHEMA = "converge"

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(dialect_name="postgresql", version_table_schema=SCHEMA, transactional_ddl=False)
    context.run_migrations()
else:
    if not connection.scalar(text(f"SELECT to_regnamespace('{SCHEMA}') IS NOT NULL")):
        # Only then: IF NOT EXISTS asks for the right to create schemas even where there is nothing to do.
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    context.configure(connection=connection, version_table_schema=SCHEMA, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
