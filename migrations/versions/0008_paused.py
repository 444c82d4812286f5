"""`converge pause`: a run hands out no work while its row says so."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.run ADD paused boolean NOT NULL DEFAULT false")
    op.execute("COMMENT ON COLUMN converge.run.paused IS 'whether no work is handed out'")


def downgrade() -> None:
    op.execute("ALTER TABLE converge.run DROP paused")
