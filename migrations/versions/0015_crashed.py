"""Following: up to which crash of the source the proof was made again."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.follow ADD crashed text NOT NULL DEFAULT ''")
    op.execute(
        "COMMENT ON COLUMN converge.follow.crashed IS "
        "'binary log file that the source began after its last crash; all tables are compared again after it'"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE converge.follow DROP crashed")
