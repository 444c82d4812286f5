"""`converge worker`: the workers of other machines, and the mailbox between them and the run."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.run ADD joins jsonb")
    op.execute(
        "COMMENT ON COLUMN converge.run.joins IS 'what a worker must know to join; null: none is awaited'"
    )
    op.execute(
        """
        CREATE TABLE converge.worker (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            attempt text NOT NULL,
            host text NOT NULL,
            process integer NOT NULL,
            jobs integer NOT NULL,
            ready boolean NOT NULL DEFAULT false,
            taken boolean NOT NULL DEFAULT false,
            tasks bigint NOT NULL DEFAULT 0,
            rows bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0,
            joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            left_at timestamptz,
            reason text
        )
        """
    )
    op.execute("CREATE INDEX ON converge.worker (run_id)")
    op.execute("COMMENT ON COLUMN converge.worker.attempt IS 'process and start of the run it has joined'")
    # Messages of a moment, which nobody needs after a crash.
    op.execute(
        """
        CREATE TABLE converge.task (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            worker_id integer NOT NULL REFERENCES converge.worker ON DELETE CASCADE,
            task text NOT NULL,
            answer text
        )
        """
    )
    op.execute("CREATE INDEX ON converge.task (worker_id)")


def downgrade() -> None:
    op.execute("DROP TABLE converge.task, converge.worker")
    op.execute("ALTER TABLE converge.run DROP joins")
