"""What a run has planned and made, so that `verify` compares by it; and what came of each `verify`."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # json and not jsonb: a map or a comment may hold \\u0000. Not in converge.run, which is read often.
    op.execute(
        """
        CREATE TABLE converge.plan (
            run_id bigint PRIMARY KEY REFERENCES converge.run ON DELETE CASCADE,
            options json NOT NULL,
            plan json NOT NULL,
            there json,
            made json
        )
        """
    )
    op.execute("COMMENT ON COLUMN converge.plan.options IS 'mode, selection, and what the maps held'")
    op.execute("COMMENT ON COLUMN converge.plan.there IS 'names of the schema''s objects before the run'")
    op.execute("COMMENT ON COLUMN converge.plan.made IS 'a text for each object that the plan has made'")
    op.execute(
        """
        CREATE TABLE converge.verification (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            run_id bigint NOT NULL REFERENCES converge.run ON DELETE CASCADE,
            level text NOT NULL,
            verdict text NOT NULL,
            report json NOT NULL,
            verified_at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    op.execute("CREATE INDEX ON converge.verification (run_id, id)")


def downgrade() -> None:
    op.execute("DROP TABLE converge.verification, converge.plan")
