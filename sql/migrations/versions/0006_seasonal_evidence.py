"""What a list item rests on, what became of every category, and the expected matters by grid and 旬."""

from alembic import op

revision = "0006"
down_revision = "0005"

RUN = (
    "run_id integer NOT NULL CONSTRAINT fk_{0}_run_id_analysis_run REFERENCES analysis_run ON DELETE CASCADE"
)


def upgrade() -> None:
    # Lists made before cannot be filled in; the next build makes them anew.
    op.execute("DELETE FROM analysis_run WHERE kind = 'seasonal'")
    op.execute("""
    ALTER TABLE seasonal_item
        ADD COLUMN usual double precision NOT NULL,
        ADD COLUMN lead_days integer NOT NULL,
        ADD COLUMN lead_learnt boolean NOT NULL,
        ADD COLUMN stable integer NOT NULL,
        ADD COLUMN cut boolean NOT NULL;
    """)
    op.execute(f"""
    CREATE TABLE seasonal_verdict (
        {RUN.format("seasonal_verdict")},
        category text NOT NULL CONSTRAINT fk_seasonal_verdict_category_category REFERENCES category,
        verdict text NOT NULL CONSTRAINT ck_seasonal_verdict_verdict
            CHECK (verdict IN ('seasonal', 'weak', 'no_season', 'not_enough', 'no_matters')),
        problems integer NOT NULL,
        told integer NOT NULL,
        clock text CONSTRAINT ck_seasonal_verdict_clock CHECK (clock IN ('gregorian', 'solar_term', 'lunar')),
        q_scan double precision,
        p_walter_elwood double precision,
        p_harmonic double precision,
        stable integer,
        CONSTRAINT pk_seasonal_verdict PRIMARY KEY (run_id, category)
    );
    CREATE TABLE seasonal_expected (
        {RUN.format("seasonal_expected")},
        category text NOT NULL CONSTRAINT fk_seasonal_expected_category_category REFERENCES category,
        area text NOT NULL,
        cells real[] NOT NULL,
        CONSTRAINT pk_seasonal_expected PRIMARY KEY (run_id, category, area)
    );
    """)


def downgrade() -> None:
    op.execute("""
    DROP TABLE seasonal_expected, seasonal_verdict;
    ALTER TABLE seasonal_item
        DROP COLUMN usual, DROP COLUMN lead_days, DROP COLUMN lead_learnt, DROP COLUMN stable,
        DROP COLUMN cut;
    """)
