"""What backfills have tried, row by row."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE converge.audit (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            attempt uuid NOT NULL,
            backfill text NOT NULL,
            target_table text NOT NULL,
            target_column text NOT NULL,
            row_key text NOT NULL,
            shown text,
            resolution_status text NOT NULL CHECK (resolution_status IN ('success', 'failed')),
            reason text,
            error text,
            old_value text,
            new_value text,
            attempted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            CHECK ((resolution_status = 'failed') = (error IS NOT NULL)),
            CHECK ((error IS NULL) = (reason IS NULL))
        )
        """
    )
    op.execute("CREATE INDEX ON converge.audit (backfill, target_table, row_key, id)")
    op.execute("CREATE INDEX ON converge.audit (attempted_at)")
    op.execute(
        "COMMENT ON TABLE converge.audit IS 'each attempt to fill a row: never changed, only archived'"
    )
    op.execute("COMMENT ON COLUMN converge.audit.attempt IS 'the same for all rows of one command'")
    op.execute("COMMENT ON COLUMN converge.audit.shown IS 'what the map says people know the row by'")
    op.execute("COMMENT ON COLUMN converge.audit.error IS 'why it failed; NULL is success'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.audit")
