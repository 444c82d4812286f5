"""What a resumed run needs under a new snapshot, and the rows that the target refused."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE converge.run ADD COLUMN position text")
    op.execute("ALTER TABLE converge.run ADD COLUMN truncates boolean NOT NULL DEFAULT false")
    op.execute(
        "COMMENT ON COLUMN converge.run.position IS 'the source''s GTIDs or binary log at the snapshot'"
    )
    op.execute("ALTER TABLE converge.chunk ADD COLUMN xid xid, ADD COLUMN rejected bigint NOT NULL DEFAULT 0")
    op.execute("COMMENT ON COLUMN converge.chunk.xid IS 'xmin of the rows that the chunk has written'")
    # Chunks without their transaction cannot be compared again: such a run begins anew.
    op.execute("UPDATE converge.run SET plan_digest = '' WHERE state <> 'finished'")
    op.execute(
        """
        CREATE TABLE converge.reject (
            run_id bigint NOT NULL,
            source_table text NOT NULL,
            chunk integer NOT NULL,
            key text NOT NULL,
            column_name text,
            value bytea NOT NULL,
            value_bytes bigint NOT NULL,
            sqlstate text NOT NULL,
            message text NOT NULL,
            FOREIGN KEY (run_id, source_table, chunk) REFERENCES converge.chunk ON DELETE CASCADE
        )
        """
    )
    op.execute("CREATE INDEX ON converge.reject (run_id, source_table, chunk)")
    op.execute("COMMENT ON COLUMN converge.reject.value IS 'as COPY got it, at most its first 64 kB'")


def downgrade() -> None:
    op.execute("DROP TABLE converge.reject")
    op.execute("ALTER TABLE converge.chunk DROP COLUMN xid, DROP COLUMN rejected")
    op.execute("ALTER TABLE converge.run DROP COLUMN position, DROP COLUMN truncates")
