"""A department's lines by how they stand: counting what waits for it read every line it ever had."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("DROP INDEX ix_incident_hand_unit_due_at")
    op.execute("CREATE INDEX ix_incident_hand_unit_status ON incident_hand (unit, status, id)")


def downgrade() -> None:
    op.execute("DROP INDEX ix_incident_hand_unit_status")
    op.execute("CREATE INDEX ix_incident_hand_unit_due_at ON incident_hand (unit, due_at)")
