"""Long work goes through a queue: procrastinate's tables in their own schema, and what `job` shows of it."""

from alembic import op

from gridmgmt.config import sql_folder

revision = "0016"
down_revision = "0015"

KINDS = "'import', 'hotspots', 'clusters', 'seasonal', 'index'"
UPKEEP = "'settle', 'retention', 'tick', 'delivery', 'learn', 'verify', 'backup', 'tidy'"
STATUSES = "'waiting', 'running', 'done', 'failed'"


def upgrade() -> None:
    _lay_queue()
    op.execute("""
    ALTER TABLE job ADD COLUMN queue_id bigint, ADD COLUMN attempt integer NOT NULL DEFAULT 0,
        ADD COLUMN stopped_by text;
    CREATE TABLE job_plan (
        work text CONSTRAINT pk_job_plan PRIMARY KEY,
        due_at timestamptz NOT NULL
    );
    -- No queue holds what was asked for before there was one.
    UPDATE job SET status = 'failed', finished_at = now(), doing = NULL,
        error = '已中断，请重新发起。没有做完的部分没有留下任何改动。'
        WHERE status IN ('waiting', 'running');
    """)
    _allow(f"{KINDS}, {UPKEEP}", f"{STATUSES}, 'stopped'")


def downgrade() -> None:
    op.execute(f"""
    DELETE FROM job WHERE kind IN ({UPKEEP});
    UPDATE job SET status = 'failed', error = '已停止' WHERE status = 'stopped';
    DROP TABLE job_plan;
    ALTER TABLE job DROP COLUMN queue_id, DROP COLUMN attempt, DROP COLUMN stopped_by;
    DROP SCHEMA queue CASCADE;
    """)
    _allow(KINDS, STATUSES)


def _lay_queue() -> None:
    """Lay the library's own SQL, unchanged; its functions find their tables whoever calls them."""
    laid = (sql_folder() / "queue" / "procrastinate.sql").read_text(encoding="utf-8").replace("%", "%%")
    connection = op.get_bind()
    connection.exec_driver_sql("CREATE SCHEMA queue; SET LOCAL search_path TO queue")
    connection.exec_driver_sql(laid)
    connection.exec_driver_sql("SET LOCAL search_path TO public")
    op.execute("""
    DO $$
    DECLARE
        each regprocedure;
    BEGIN
        FOR each IN SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'queue'::regnamespace LOOP
            EXECUTE format('ALTER FUNCTION %s SET search_path = queue, pg_temp', each);
        END LOOP;
    END $$
    """)


def _allow(kinds: str, statuses: str) -> None:
    op.execute(f"""
    ALTER TABLE job DROP CONSTRAINT ck_job_kind, DROP CONSTRAINT ck_job_status,
        ADD CONSTRAINT ck_job_kind CHECK (kind IN ({kinds})),
        ADD CONSTRAINT ck_job_status CHECK (status IN ({statuses}))
    """)
