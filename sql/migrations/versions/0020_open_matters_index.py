"""Open matters by category: an inbox that asked for one looked every case up in the table of every year."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("CREATE INDEX ix_incident_open ON incident (category) WHERE status = 'open'")


def downgrade() -> None:
    op.execute("DROP INDEX ix_incident_open")
