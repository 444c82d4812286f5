"""What a run's plan was decided by, so that a resumed run and a later comparison decide the same."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Text of the source may hold \\u0000, which json keeps and jsonb refuses.
    op.execute("ALTER TABLE converge.run ADD COLUMN evidence json, ALTER COLUMN report TYPE json")
    op.execute("COMMENT ON COLUMN converge.run.evidence IS 'what the scan and the trials have shown'")


def downgrade() -> None:
    op.execute("ALTER TABLE converge.run DROP COLUMN evidence, ALTER COLUMN report TYPE jsonb")
