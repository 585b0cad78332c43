"""What treating beforehand did: observed against expected, a row a category and place."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("""
    CREATE TABLE seasonal_effect (
        year integer NOT NULL,
        scope text NOT NULL,
        category text NOT NULL,
        start_on date,
        end_on date,
        known_to date NOT NULL,
        n_treated integer NOT NULL,
        n_untreated integer NOT NULL,
        observed_treated double precision NOT NULL,
        expected_treated double precision NOT NULL,
        observed_untreated double precision NOT NULL,
        expected_untreated double precision NOT NULL,
        effect double precision,
        low double precision,
        high double precision,
        p double precision,
        published double precision,
        placebo jsonb,
        learnt double precision,
        learnt_low double precision,
        learnt_high double precision,
        verdict text NOT NULL CONSTRAINT ck_seasonal_effect_verdict
            CHECK (verdict IN ('helped', 'no_effect_seen', 'worse', 'cannot_say')),
        reason text CONSTRAINT ck_seasonal_effect_reason CHECK (reason IN
            ('not_over', 'no_treated', 'no_untreated', 'few_grids', 'few_matters', 'placebo')),
        measured_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_seasonal_effect PRIMARY KEY (year, scope, category)
    );
    """)


def downgrade() -> None:
    op.execute("DROP TABLE seasonal_effect")
