"""What a load is about to set sequences to, so that `recover` knows them from what others have taken."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.run ADD COLUMN next_values jsonb NOT NULL DEFAULT '{}'")
    op.execute("COMMENT ON COLUMN converge.run.next_values IS 'next values that a load sets, by sequence'")


def downgrade() -> None:
    op.execute("ALTER TABLE converge.run DROP COLUMN next_values")
