"""A second person confirms what opens an administrator's account; recovery codes of second factors."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE account
        ADD COLUMN proposed_by text,
        ADD COLUMN proposed_why text[] NOT NULL DEFAULT '{}',
        ADD COLUMN recovery text[] NOT NULL DEFAULT '{}',
        ADD CONSTRAINT ck_account_proposed
            CHECK (proposed_by IS NULL OR (NOT active AND proposed_why <> '{}')),
        ADD CONSTRAINT ck_account_recovery CHECK (recovery = '{}' OR totp_sealed IS NOT NULL)
    """)


def downgrade() -> None:
    # What waits for a second person stays closed: it was never confirmed.
    op.execute("ALTER TABLE account DROP COLUMN proposed_by, DROP COLUMN proposed_why, DROP COLUMN recovery")
