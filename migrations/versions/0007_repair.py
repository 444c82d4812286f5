"""The transactions of `verify --repair`, so that the rows that they have written count as the run's."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE converge.repair (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            source_table text NOT NULL,
            xid xid NOT NULL,
            repaired_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    op.execute("CREATE INDEX ON converge.repair (run_id)")
    op.execute("COMMENT ON COLUMN converge.repair.xid IS 'xmin of the rows that the repair has written'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.repair")
