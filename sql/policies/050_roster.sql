-- The role of the roster: it sees and writes the people of one area, of whoever acts (app.user, app.area: a grid's
-- 15 digits or a town's 9; the whole city is nobody's). Grid staff read, visit and ask for changes; the town office
-- decides. Every write needs a line in the audit log (040_roster.sql in functions).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gridmgmt_roster') THEN
        CREATE ROLE gridmgmt_roster NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gridmgmt_auditor') THEN
        CREATE ROLE gridmgmt_auditor NOLOGIN;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM gridmgmt_roster, gridmgmt_auditor;
GRANT gridmgmt_reader TO gridmgmt_roster;
GRANT USAGE ON SCHEMA public TO gridmgmt_auditor;
GRANT SELECT ON audit_log, audit_head, import_run, alembic_version TO gridmgmt_auditor;
GRANT EXECUTE ON FUNCTION audit_faults() TO gridmgmt_auditor;
GRANT EXECUTE ON FUNCTION audit(text, text, integer[], integer, text, jsonb) TO gridmgmt_roster, gridmgmt_auditor;

-- The area of whoever acts, NULL where it is none: then every policy says no.
CREATE OR REPLACE FUNCTION roster_area() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT area FROM current_setting('app.area', true) AS area
    WHERE length(area) IN (9, 15) AND area ~ '^[0-9]+$' AND coalesce(current_setting('app.user', true), '') <> ''
$$;
CREATE OR REPLACE FUNCTION roster_office() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(length(roster_area()) = 9, false)
$$;
-- The grids of that area, past ones too; asked once a statement.
CREATE OR REPLACE FUNCTION roster_grids() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(id), '{}') FROM grid WHERE code15 LIKE (SELECT roster_area()) || '%'
$$;

GRANT SELECT ON building, dwelling, household, person, residency, household_care, visit, visit_round, visit_stop,
    survey, roster_change, roster_event, roster_history, roster_review, roster_export TO gridmgmt_roster;
GRANT SELECT ON audit_log TO gridmgmt_roster;
GRANT INSERT ON dwelling, household, person, residency, household_care, visit, visit_round, visit_stop, survey,
    roster_change, roster_event, roster_export TO gridmgmt_roster;
GRANT UPDATE (verified_on, verified_by) ON dwelling TO gridmgmt_roster;
GRANT UPDATE (dwelling_id, ended_on) ON household TO gridmgmt_roster;
GRANT UPDATE (household_id, relation, name, birth_on, sex, identity, identity_index, phone, phone_index, salt,
    registered_dwelling_id, left_on, left_why, restricted_on, updated_at) ON person TO gridmgmt_roster;
GRANT UPDATE (valid_to) ON residency TO gridmgmt_roster;
GRANT UPDATE (ended_on, expires) ON household_care TO gridmgmt_roster;
GRANT UPDATE (status, reason, visit_id, closed_at, closed_by) ON visit_stop TO gridmgmt_roster;
GRANT UPDATE (status, decided_at, decided_by, decision) ON roster_change TO gridmgmt_roster;
GRANT UPDATE (status, decided_at, decided_by, salt, sealed) ON roster_review TO gridmgmt_roster;
GRANT UPDATE (status, decided_at, decided_by, expires_at, rows) ON roster_export TO gridmgmt_roster;

-- name, read, insert, update: what a row must be for each; NULL gives no right. `see` of a table that hangs on
-- another asks whether that one is seen, so that its policy holds for both.
DO $$
DECLARE
    here constant text := 'grid_id = ANY ((SELECT roster_grids())::integer[])';
    office constant text := '(SELECT roster_office())';
    own constant text := ' AND made_by = current_setting(''app.user'', true)';
    door constant text := 'EXISTS (SELECT FROM dwelling d WHERE d.id = dwelling_id)';
    home constant text := 'EXISTS (SELECT FROM household h WHERE h.id = household_id)';
    someone constant text := 'EXISTS (SELECT FROM person p WHERE p.id = person_id)';
    theirs constant text := '(person_id IS NULL OR EXISTS (SELECT FROM person p WHERE p.id = person_id))';
    other constant text := '(other_household_id IS NULL OR EXISTS (SELECT FROM household h WHERE h.id = other_household_id))';
    visited constant text := '(visit_id IS NULL OR EXISTS (SELECT FROM visit v WHERE v.id = visit_id))';
    mine constant text := 'area LIKE (SELECT roster_area()) || ''%''';
    near constant text := '(area LIKE (SELECT roster_area()) || ''%'' OR (SELECT roster_area()) LIKE area || ''%'')';
    rule record;
BEGIN
    FOR rule IN SELECT * FROM (VALUES
        ('building', here, NULL, NULL),
        ('dwelling', 'EXISTS (SELECT FROM building b WHERE b.id = building_id)',
            office || ' AND EXISTS (SELECT FROM building b WHERE b.id = building_id)',
            'EXISTS (SELECT FROM building b WHERE b.id = building_id)'),
        ('household', here, office || ' AND ' || here || ' AND ' || door, office || ' AND ' || here || ' AND ' || door),
        ('person', here, office || ' AND ' || here || ' AND ' || home,
            office || ' AND ' || here || ' AND ' || home),
        ('residency', someone, office || ' AND ' || someone || ' AND ' || door, office || ' AND ' || someone),
        ('household_care', home, office || ' AND ' || home || ' AND ' || theirs, office || ' AND ' || home),
        ('visit', door, door || ' AND (household_id IS NULL OR ' || home || ')' || own, NULL),
        ('visit_round', near, office || ' AND ' || mine || ' AND created_by = current_setting(''app.user'', true)', NULL),
        ('visit_stop', home, office || ' AND ' || home, home || ' AND ' || visited),
        ('survey', near, office || ' AND ' || mine || ' AND created_by = current_setting(''app.user'', true)', NULL),
        ('roster_change', home, home || ' AND ' || theirs || own || ' AND status = ''open''',
            home || ' AND (' || office || ' OR (made_by = current_setting(''app.user'', true) AND status IN (''open'', ''withdrawn'')))'),
        ('roster_event', home, office || ' AND ' || home || ' AND ' || theirs || ' AND ' || other || own, NULL),
        ('roster_history', office || ' AND ' || home, NULL, NULL),
        ('roster_review', office || ' AND ' || mine, NULL, office || ' AND ' || mine),
        ('roster_export', mine || ' AND (' || office || ' OR made_by = current_setting(''app.user'', true))',
            mine || own || ' AND status = ''open''', mine || ' AND (' || office || ' OR made_by = current_setting(''app.user'', true))'),
        ('audit_log', office || ' AND ' || mine, NULL, NULL)
    ) AS t (name, see, add, change) LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS roster_sees ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS roster_adds ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS roster_changes ON %I', rule.name);
        EXECUTE format('CREATE POLICY roster_sees ON %I FOR SELECT TO gridmgmt_roster USING (%s)', rule.name, rule.see);
        IF rule.add IS NOT NULL THEN
            EXECUTE format('CREATE POLICY roster_adds ON %I FOR INSERT TO gridmgmt_roster WITH CHECK (%s)',
                rule.name, rule.add);
        END IF;
        IF rule.change IS NOT NULL THEN
            EXECUTE format('CREATE POLICY roster_changes ON %I FOR UPDATE TO gridmgmt_roster USING (%s) WITH CHECK (%s)',
                rule.name, rule.change, rule.change);
        END IF;
    END LOOP;
END $$;

DROP POLICY IF EXISTS auditor_reads ON audit_log;
CREATE POLICY auditor_reads ON audit_log FOR SELECT TO gridmgmt_auditor USING (true);
