"""`converge rollback --prepare`: what each table was when its changes began to be noted."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE TABLE converge.prepared (target_table text PRIMARY KEY, run_id bigint, mark text NOT NULL)"
    )
    op.execute(
        "COMMENT ON TABLE converge.prepared IS 'tables of which rollback --prepare lets changes be noted'"
    )
    for column, words in (
        ("target_table", "schema and table, quoted"),
        ("run_id", "the run by whose plan it was prepared"),
        ("mark", "relation, file, and a digest of the columns: others, and all rows are read"),
    ):
        op.execute(f"COMMENT ON COLUMN converge.prepared.{column} IS '{words}'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.prepared")
