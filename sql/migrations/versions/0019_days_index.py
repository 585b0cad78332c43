"""The first and last day of matters, and those closed today: both read all of them."""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("CREATE INDEX ix_incident_occurred_on ON incident (occurred_on)")
    op.execute(
        "CREATE INDEX ix_incident_closed_at ON incident USING brin (closed_at)"
        " WITH (pages_per_range = 32, autosummarize = on)"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_incident_closed_at")
    op.execute("DROP INDEX ix_incident_occurred_on")
