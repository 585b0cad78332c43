-- The index: its values are of towns, departments and the city, never of people, so the reader sees them all;
-- pages show others what a bulletin has issued. The centre writes everything, a department the indicators that
-- it fills in and the answers to talks with itself, a town those to its own.
GRANT SELECT ON index_tree, indicator, index_month, index_entry, indicator_value TO gridmgmt_reader;
GRANT SELECT ON index_talk, index_talk_step, bulletin TO gridmgmt_writer;
GRANT SELECT (id, span, month, status, number, data, issued_at) ON bulletin TO gridmgmt_reader;
GRANT INSERT (file, sha256, department, cells, added_by) ON index_entry TO gridmgmt_writer;
GRANT INSERT (indicator, unit, month, level, status, value, carried, carried_from, entry_id, made_by),
    UPDATE (status, value, part, whole, carried, carried_from, entry_id, at, made_by) ON indicator_value
    TO gridmgmt_writer;
GRANT INSERT (kind, level, unit, span, month, reason, evidence, made_by),
    UPDATE (status, reason, evidence, due_on, answer, version) ON index_talk TO gridmgmt_writer;
GRANT INSERT (talk_id, who, act, note) ON index_talk_step TO gridmgmt_writer;
GRANT INSERT (span, month, data, remarks, made_by),
    UPDATE (status, number, remarks, data, made_at, made_by, approved_at, approved_by, issued_at, issued_by, docx, pdf),
    DELETE ON bulletin TO gridmgmt_writer;
GRANT UPDATE (issued_at) ON index_month TO gridmgmt_writer;

CREATE OR REPLACE FUNCTION index_centre() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('app.user', true), '') <> '' AND current_setting('app.area', true) = ''
        AND coalesce(current_setting('app.unit', true), '') = ''
$$;
-- The town or department of whoever acts; NULL for the centre and for nobody.
CREATE OR REPLACE FUNCTION index_own() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('app.unit', true), ''), nullif(current_setting('app.area', true), ''))
    WHERE coalesce(current_setting('app.user', true), '') <> ''
$$;

ALTER TABLE index_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE indicator_value ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_month ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_talk ENABLE ROW LEVEL SECURITY;
ALTER TABLE index_talk_step ENABLE ROW LEVEL SECURITY;
ALTER TABLE bulletin ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    centre constant text := '(SELECT index_centre())';
    filled_in constant text := '(' || centre || ' OR EXISTS (SELECT FROM indicator i WHERE i.code = indicator
        AND i.department = nullif(current_setting(''app.unit'', true), '''')))';
    -- A unit sees a talk once it was called to it, and may answer, nothing else.
    mine constant text := '(' || centre || ' OR unit = (SELECT index_own()) AND status %s)';
    told constant text := ' AND %s = current_setting(''app.user'', true)';
    rule record;
BEGIN
    FOR rule IN SELECT * FROM (VALUES
        ('index_entry', 'true',
            '(' || centre || ' OR department = nullif(current_setting(''app.unit'', true), ''''))'
            || format(told, 'added_by'), NULL, NULL, NULL),
        ('indicator_value', 'true', filled_in || format(told, 'made_by'), filled_in, filled_in, NULL),
        ('index_month', 'true', NULL, centre, centre, NULL),
        ('index_talk', format(mine, 'NOT IN (''proposed'', ''dropped'')'), centre || format(told, 'made_by'),
            format(mine, 'IN (''called'', ''returned'')'), format(mine, '= ''answered'''), NULL),
        ('index_talk_step', 'EXISTS (SELECT FROM index_talk t WHERE t.id = talk_id)',
            'EXISTS (SELECT FROM index_talk t WHERE t.id = talk_id) AND (act = ''answered'' OR ' || centre || ')'
            || format(told, 'who'), NULL, NULL, NULL),
        ('bulletin', 'status = ''issued'' OR ' || centre, centre || format(told, 'made_by'), centre, centre, centre)
    ) AS t (name, see, add, change, becomes, take) LOOP
        EXECUTE format('DROP POLICY IF EXISTS index_sees ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS index_adds ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS index_changes ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS index_takes ON %I', rule.name);
        EXECUTE format('CREATE POLICY index_sees ON %I FOR SELECT TO gridmgmt_reader USING (%s)', rule.name, rule.see);
        IF rule.add IS NOT NULL THEN
            EXECUTE format('CREATE POLICY index_adds ON %I FOR INSERT TO gridmgmt_writer WITH CHECK (%s)',
                rule.name, rule.add);
        END IF;
        IF rule.change IS NOT NULL THEN
            EXECUTE format('CREATE POLICY index_changes ON %I FOR UPDATE TO gridmgmt_writer USING (%s) WITH CHECK (%s)',
                rule.name, rule.change, rule.becomes);
        END IF;
        IF rule.take IS NOT NULL THEN
            EXECUTE format('CREATE POLICY index_takes ON %I FOR DELETE TO gridmgmt_writer USING (%s)',
                rule.name, rule.take);
        END IF;
    END LOOP;
END $$;
