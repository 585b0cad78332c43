-- The role that writes for the web: it may read what the reader may, hand out and close tasks, and nothing else.
-- Who acts and where stands in app.user and app.area, set at the start of every transaction.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gridmgmt_writer') THEN
        CREATE ROLE gridmgmt_writer NOLOGIN;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM gridmgmt_writer;
GRANT gridmgmt_reader TO gridmgmt_writer;
GRANT SELECT ON seasonal_task, seasonal_task_step, seasonal_task_photo TO gridmgmt_writer;
GRANT INSERT (year, item_id, level, area, category, start_on, end_on, due_on, action, expected, worker_id,
    parent_id, handed_out_by), UPDATE (due_on, status, closed_at, done_on, closed_by, reason, note)
    ON seasonal_task TO gridmgmt_writer;
-- Steps are only ever added; the clock is the server's.
GRANT INSERT (task_id, who, what, detail) ON seasonal_task_step TO gridmgmt_writer;
GRANT INSERT (task_id, sha256, added_by) ON seasonal_task_photo TO gridmgmt_writer;

-- Analysis compares what was treated with what was not, all over the city, so the reader sees every task;
-- but not what somebody wrote (reason, note), nor who, nor photos.
GRANT SELECT (id, year, item_id, level, area, category, start_on, end_on, due_on, action, expected, worker_id,
    parent_id, status, done_on) ON seasonal_task TO gridmgmt_reader;

ALTER TABLE seasonal_task ENABLE ROW LEVEL SECURITY;
ALTER TABLE seasonal_task_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE seasonal_task_photo ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS everything ON seasonal_task;
CREATE POLICY everything ON seasonal_task TO gridmgmt_reader USING (true);

-- The writer is a member of the reader, so what narrows it must be restrictive. An area of '' is the whole
-- city. A setting of an earlier transaction comes back as '', not as NULL, once the session has known it:
-- without the user beside it a transaction that set nothing would see the city.
DROP POLICY IF EXISTS own_area ON seasonal_task;
CREATE POLICY own_area ON seasonal_task AS RESTRICTIVE TO gridmgmt_writer USING (
    current_setting('app.user', true) <> '' AND starts_with(area, current_setting('app.area', true))
);

-- Steps and photos follow their task, because this subquery sees only the tasks that its role may see.
DROP POLICY IF EXISTS of_own_task ON seasonal_task_step;
CREATE POLICY of_own_task ON seasonal_task_step TO gridmgmt_writer
    USING (EXISTS (SELECT FROM seasonal_task t WHERE t.id = task_id))
    WITH CHECK (EXISTS (SELECT FROM seasonal_task t WHERE t.id = task_id)
        AND who = current_setting('app.user', true));
DROP POLICY IF EXISTS of_own_task ON seasonal_task_photo;
CREATE POLICY of_own_task ON seasonal_task_photo TO gridmgmt_writer
    USING (EXISTS (SELECT FROM seasonal_task t WHERE t.id = task_id))
    WITH CHECK (EXISTS (SELECT FROM seasonal_task t WHERE t.id = task_id)
        AND added_by = current_setting('app.user', true));
