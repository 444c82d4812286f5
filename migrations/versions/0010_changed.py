"""`converge rollback --prepare`: which rows of the target have changed since the cutover."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TABLE converge.changed (target_table text NOT NULL, key text[])")
    op.execute("COMMENT ON TABLE converge.changed IS 'rows that have changed since rollback --prepare'")
    op.execute("COMMENT ON COLUMN converge.changed.target_table IS 'schema and table, quoted'")
    op.execute("COMMENT ON COLUMN converge.changed.key IS 'the key''s values; NULL: the table as a whole'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.changed")
