"""Following: up to where in the source's log the target of a run has what the source had."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE converge.follow (
            run_id bigint PRIMARY KEY REFERENCES converge.run ON DELETE CASCADE,
            log jsonb NOT NULL,
            identities jsonb NOT NULL,
            epoch bigint NOT NULL DEFAULT 0,
            rows bigint NOT NULL DEFAULT 0,
            seen_at timestamptz,
            proof jsonb,
            certificate jsonb
        )
        """
    )
    for column, words in (
        ("log", "the target has all that the source had committed before this place in its binary log"),
        ("identities", "what the tables of the source were then"),
        ("epoch", "how often the target was made equal to the source since the run"),
        ("rows", "rows that were replaced in all"),
        ("seen_at", "when the source was as the target is now, by the clock of the source"),
        ("proof", "the last comparison of every row"),
        ("certificate", "of the cutover, after which the application writes to the target"),
    ):
        op.execute(f"COMMENT ON COLUMN converge.follow.{column} IS '{words}'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.follow")
