"""The ledger: runs, their chunks and their statements."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE converge.run (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            source text NOT NULL,
            target_schema text NOT NULL,
            plan_digest text NOT NULL,
            state text NOT NULL CHECK (state IN ('running', 'interrupted', 'failed', 'finished')),
            snapshot text,
            report jsonb,
            started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            finished_at timestamptz
        )
        """
    )
    op.execute(
        """
        CREATE TABLE converge.chunk (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            source_table text NOT NULL,
            number integer NOT NULL,
            low jsonb,
            high jsonb,
            rows bigint,
            bytes bigint,
            seconds double precision,
            done_at timestamptz,
            PRIMARY KEY (run_id, source_table, number)
        )
        """
    )
    op.execute("COMMENT ON COLUMN converge.chunk.low IS 'source key literals; rows with low < key <= high'")
    op.execute("COMMENT ON COLUMN converge.chunk.done_at IS 'set in the transaction that holds the rows'")
    op.execute(
        """
        CREATE TABLE converge.step (
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            number integer NOT NULL,
            phase text NOT NULL,
            object text NOT NULL,
            sql text NOT NULL,
            refused text,
            done_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (run_id, number)
        )
        """
    )
    op.execute("COMMENT ON COLUMN converge.step.refused IS 'why the server refused an optional statement'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.step, converge.chunk, converge.run")
