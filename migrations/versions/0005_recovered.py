"""Which tables a run fills, and runs of load mode that are taken back."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATES = "'running', 'interrupted', 'failed', 'finished'"


def upgrade() -> None:
    op.execute("ALTER TABLE converge.run ADD COLUMN targets jsonb NOT NULL DEFAULT '{}'")
    op.execute("COMMENT ON COLUMN converge.run.targets IS 'source table: table of the target schema'")
    op.execute(
        "COMMENT ON COLUMN converge.run.evidence IS "
        "'what the scan and the trials have shown; in load mode the target''s tables as they were'"
    )
    _allow(f"{_STATES}, 'recovering', 'recovered'")


def downgrade() -> None:
    op.execute("UPDATE converge.run SET state = 'failed' WHERE state IN ('recovering', 'recovered')")
    _allow(_STATES)
    op.execute("ALTER TABLE converge.run DROP COLUMN targets")


def _allow(states: str) -> None:
    op.execute("ALTER TABLE converge.run DROP CONSTRAINT run_state_check")
    op.execute(f"ALTER TABLE converge.run ADD CONSTRAINT run_state_check CHECK (state IN ({states}))")
