"""The security administrator: who gives out accounts and keys neither runs the system nor audits it."""

from alembic import op

revision = "0015"
down_revision = "0014"

ROLES = "'grid_worker', 'town_officer', 'command', 'planner', 'auditor', 'admin', 'department'"


def upgrade() -> None:
    _allow(f"{ROLES}, 'security'")


def downgrade() -> None:
    # An account that the old schema does not know cannot stay, and must not become an administrator's.
    op.execute("DELETE FROM account WHERE role = 'security'")
    _allow(ROLES)


def _allow(roles: str) -> None:
    op.execute(f"""
    ALTER TABLE account DROP CONSTRAINT ck_account_role,
        ADD CONSTRAINT ck_account_role CHECK (role IN ({roles}))
    """)
