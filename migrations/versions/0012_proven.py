"""The rolling proof: in which epoch each table that is followed was compared."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.follow DROP COLUMN proof, ADD COLUMN keys bigint NOT NULL DEFAULT 0")
    op.execute(
        """
        CREATE TABLE converge.proven (
            run_id bigint NOT NULL REFERENCES converge.follow ON DELETE CASCADE,
            source_table text NOT NULL,
            replaced bigint NOT NULL DEFAULT 0,
            proof jsonb,
            began jsonb,
            upto text[],
            PRIMARY KEY (run_id, source_table)
        )
        """
    )
    op.execute("COMMENT ON COLUMN converge.follow.keys IS 'keys of the last epoch'")
    op.execute("COMMENT ON TABLE converge.proven IS 'when tables that are followed were compared'")
    for column, words in (
        ("replaced", "rows that epochs have replaced, and compared"),
        (
            "proof",
            "the last comparison: epoch, time and replaced rows when it began, and rows",
        ),
        ("began", "the same of the comparison that is going on"),
        ("upto", "the key up to which it has come"),
    ):
        op.execute(f"COMMENT ON COLUMN converge.proven.{column} IS '{words}'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.proven")
    op.execute("ALTER TABLE converge.follow DROP COLUMN keys, ADD COLUMN proof jsonb")
