"""Alembic environment of the ledger: the `converge` schema in the target, which is there.

It runs on the connection that converge hands over in `config.attributes["connection"]`, so that no
address or password is ever written to a file. Without one (`--sql`) it writes the statements, for
`tools/ledger_sql.py`.
"""

from __future__ import annotations

from alembic import context

connection = context.config.attributes.get("connection")
context.configure(
    connection=connection,
    dialect_name="postgresql",
    version_table_schema="converge",
    # Whoever carries out the written statements has a transaction.
    transactional_ddl=connection is not None,
)
with context.begin_transaction():
    context.run_migrations()
