"""Sessions that can be ended, second factors and sign-in elsewhere, and long work that a page can follow."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute("""
    ALTER TABLE account
        ADD COLUMN must_change boolean NOT NULL DEFAULT false,
        ADD COLUMN totp_sealed bytea,
        ADD COLUMN totp_salt bytea,
        ADD COLUMN totp_step bigint,
        ADD COLUMN oidc_issuer text,
        ADD COLUMN oidc_subject text,
        ADD COLUMN signed_in_at timestamptz,
        ADD CONSTRAINT ck_account_totp CHECK ((totp_sealed IS NULL) = (totp_salt IS NULL)),
        ADD CONSTRAINT ck_account_oidc CHECK ((oidc_issuer IS NULL) = (oidc_subject IS NULL)),
        ADD CONSTRAINT uq_account_oidc_issuer_oidc_subject UNIQUE (oidc_issuer, oidc_subject);
    CREATE TABLE account_session (
        id bytea CONSTRAINT pk_account_session PRIMARY KEY,
        username text NOT NULL CONSTRAINT fk_account_session_username_account
            REFERENCES account ON DELETE CASCADE,
        started_at timestamptz NOT NULL DEFAULT now(),
        seen_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        ended_why text CONSTRAINT ck_account_session_ended_why
            CHECK (ended_why IN ('signed_out', 'idle', 'revoked', 'password')),
        agent text,
        CONSTRAINT ck_account_session_ended CHECK ((ended_at IS NULL) = (ended_why IS NULL))
    );
    CREATE INDEX ix_account_session_username ON account_session (username);
    CREATE TABLE job (
        id integer GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_job PRIMARY KEY,
        kind text NOT NULL
            CONSTRAINT ck_job_kind CHECK (kind IN ('import', 'hotspots', 'clusters', 'seasonal')),
        title text NOT NULL,
        parameters jsonb NOT NULL,
        asked_by text NOT NULL,
        asked_at timestamptz NOT NULL DEFAULT now(),
        status text NOT NULL DEFAULT 'waiting' CONSTRAINT ck_job_status
            CHECK (status IN ('waiting', 'running', 'done', 'failed')),
        doing text,
        at bigint,
        total bigint,
        started_at timestamptz,
        beat_at timestamptz,
        finished_at timestamptz,
        result jsonb,
        error text
    );
    CREATE INDEX ix_job_status ON job (status) WHERE status IN ('waiting', 'running');
    ALTER TABLE import_run ADD COLUMN rejects text;
    -- The board asks of every task whether the list has items inside its place.
    CREATE INDEX ix_seasonal_item_season ON seasonal_item (year, category, start_on, area);
    -- Every page with a map asks how many areas of each run are hot.
    CREATE INDEX ix_hotspot_result_hot ON hotspot_result (run_id, area) WHERE gi_class >= 2;
    """)


def downgrade() -> None:
    op.execute("""
    DROP INDEX ix_hotspot_result_hot, ix_seasonal_item_season;
    ALTER TABLE import_run DROP COLUMN rejects;
    DROP TABLE job, account_session;
    ALTER TABLE account DROP COLUMN must_change, DROP COLUMN totp_sealed, DROP COLUMN totp_salt,
        DROP COLUMN totp_step, DROP COLUMN oidc_issuer, DROP COLUMN oidc_subject, DROP COLUMN signed_in_at;
    """)
