-- The role that handles matters: those of the area of whoever acts ('' for the centre, a town's 9 digits, a
-- village's 12, a grid's 15), or those that the department of whoever acts has or had in its hands.
-- It reads what people wrote; who they are it reads only where the matter is in its hands, and every write of
-- that stands on a line of the audit log (040_roster.sql).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gridmgmt_matters') THEN
        CREATE ROLE gridmgmt_matters NOLOGIN;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM gridmgmt_matters;
GRANT gridmgmt_reader TO gridmgmt_matters;
GRANT EXECUTE ON FUNCTION audit(text, text, integer[], integer, text, jsonb) TO gridmgmt_matters;
GRANT EXECUTE ON FUNCTION matter_followed(bytea) TO gridmgmt_matters;
GRANT EXECUTE ON FUNCTION mediator_load(integer) TO gridmgmt_matters;
GRANT EXECUTE ON FUNCTION matter_in_hand(bigint, boolean) TO gridmgmt_matters;
GRANT USAGE ON SEQUENCE incident_number, matter_paper_number TO gridmgmt_matters;

CREATE OR REPLACE FUNCTION matter_unit() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('app.unit', true), '') WHERE coalesce(current_setting('app.user', true), '') <> ''
$$;
-- NULL where no area was said, or where a department acts: then every policy by area says no.
CREATE OR REPLACE FUNCTION matter_area() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT area FROM current_setting('app.area', true) AS area
    WHERE coalesce(current_setting('app.user', true), '') <> '' AND matter_unit() IS NULL
        AND (area = '' OR (length(area) IN (9, 12, 15) AND area ~ '^[0-9]+$'))
$$;
CREATE OR REPLACE FUNCTION matter_grids() RETURNS integer[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(id), '{}') FROM grid
    WHERE length(matter_area()) = 15 AND code15 = (SELECT matter_area())
$$;

GRANT SELECT ON incident, incident_case, incident_step, incident_hand, incident_visit, incident_key,
    incident_party, incident_attachment, mediation_panel, mediator, mediation, mediation_mediator,
    mediation_session, deliberation, matter_meeting, matter_meeting_item, matter_paper TO gridmgmt_matters;
GRANT INSERT ON incident, incident_case, incident_hand, incident_visit, incident_key, incident_party,
    incident_attachment, mediator, mediation, mediation_mediator, mediation_session, deliberation,
    matter_meeting, matter_meeting_item, matter_paper TO gridmgmt_matters;
-- Steps are only ever added; their transaction is the server's.
GRANT INSERT (case_id, n, at, who, act, from_stage, to_stage, unit, due_at, note, detail) ON incident_step
    TO gridmgmt_matters;
GRANT UPDATE (ledger, category, title, text, address, geom, grid_id, village, status, stage, level, satisfaction,
    due_at, closed_at) ON incident TO gridmgmt_matters;
GRANT UPDATE (stage, stage_since, step_due_at, next_due_at, level, settled_level, open, answer, suspended_at, supervised_at,
    escalated_at, reopened, duplicate_of, follow_hash, version) ON incident_case TO gridmgmt_matters;
GRANT UPDATE (status, due_at, accepted_at, accepted_by, answered_at, answered_by, answer, reason, verified_at,
    verified_by) ON incident_hand TO gridmgmt_matters;
GRANT UPDATE (salt, name, phone, phone_index, erased_at) ON incident_party TO gridmgmt_matters;
GRANT UPDATE (panel, specialities, active) ON mediator TO gridmgmt_matters;
GRANT UPDATE (status, ended_at, ended_by, reason, salt, agreement, follow_up_on, followed_up_on, kept, version)
    ON mediation TO gridmgmt_matters;
GRANT UPDATE (status, present, votes_for, votes_against, abstained, advice, minutes) ON deliberation
    TO gridmgmt_matters;
GRANT UPDATE (status, attended, report) ON matter_meeting TO gridmgmt_matters;

-- The reader sees every matter and case, by place, day and category (010_reader.sql); who is a member of it and
-- handles matters is narrowed again.
ALTER TABLE incident ENABLE ROW LEVEL SECURITY;
ALTER TABLE incident_case ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS everything ON incident;
CREATE POLICY everything ON incident FOR SELECT TO gridmgmt_reader USING (true);
DROP POLICY IF EXISTS everything ON incident_case;
CREATE POLICY everything ON incident_case FOR SELECT TO gridmgmt_reader USING (true);

DO $$
DECLARE
    here constant text := '((SELECT matter_area()) = '''' OR starts_with(village, (SELECT matter_area()))
        OR grid_id = ANY ((SELECT matter_grids())::integer[])
        OR ((SELECT matter_unit()) IS NOT NULL AND matter_in_hand(id, false)))';
    mine constant text := 'starts_with(area, (SELECT matter_area()))';
    case_ constant text := 'EXISTS (SELECT FROM incident_case c WHERE c.id = case_id)';
    -- A department's own lines are found without a look at every case.
    line constant text := '(unit = (SELECT matter_unit()) OR ' || case_ || ')';
    told constant text := ' AND %s = current_setting(''app.user'', true)';
    -- Who a matter is about: the area's own staff, the department that has it now, the centre at city level.
    held constant text := 'EXISTS (SELECT FROM incident_case c WHERE c.id = case_id
        AND ((SELECT matter_area()) <> '''' OR c.level = ''city'' OR matter_in_hand(c.id, true)))
        AND current_setting(''app.user'', true) <> ''resident''';
    of_mediation constant text := 'EXISTS (SELECT FROM mediation m WHERE m.id = mediation_id)';
    of_meeting constant text := 'EXISTS (SELECT FROM matter_meeting m WHERE m.id = meeting_id)';
    rule record;
BEGIN
    FOR rule IN SELECT * FROM (VALUES ('incident'), ('incident_case')) AS t (name) LOOP
        EXECUTE format('DROP POLICY IF EXISTS matters_here ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS matters_writes ON %I', rule.name);
        EXECUTE format('CREATE POLICY matters_writes ON %I TO gridmgmt_matters USING (true)', rule.name);
        EXECUTE format('CREATE POLICY matters_here ON %I AS RESTRICTIVE TO gridmgmt_matters USING (%s)',
            rule.name, here);
    END LOOP;
    FOR rule IN SELECT * FROM (VALUES
        ('incident_step', case_, case_ || format(told, 'who'), NULL),
        ('incident_hand', line, case_ || format(told, 'asked_by'), line),
        ('incident_visit', '(' || mine || ' OR (case_id IS NOT NULL AND ' || case_ || '))',
            '(' || mine || ' OR (case_id IS NOT NULL AND ' || case_ || '))' || format(told, 'made_by'), NULL),
        ('incident_key', 'who = current_setting(''app.user'', true)', case_ || format(told, 'who'), NULL),
        ('incident_party', held, case_ || format(told, 'made_by'), held),
        ('incident_attachment', case_, case_ || format(told, 'added_by'), NULL),
        ('mediator', 'true', mine, mine),
        ('mediation', case_, case_ || format(told, 'opened_by'), case_),
        ('mediation_mediator', of_mediation, of_mediation, NULL),
        ('mediation_session', of_mediation, of_mediation || format(told, 'made_by'), NULL),
        ('deliberation', case_, case_ || format(told, 'made_by'), case_),
        ('matter_meeting', mine, mine || format(told, 'made_by'), mine),
        ('matter_meeting_item', of_meeting, of_meeting || ' AND ' || case_, NULL),
        ('matter_paper', mine || ' OR (case_id IS NOT NULL AND ' || case_ || ')',
            '(' || mine || ' OR (case_id IS NOT NULL AND ' || case_ || '))' || format(told, 'issued_by'), NULL)
    ) AS t (name, see, add, change) LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS matters_sees ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS matters_adds ON %I', rule.name);
        EXECUTE format('DROP POLICY IF EXISTS matters_changes ON %I', rule.name);
        EXECUTE format('CREATE POLICY matters_sees ON %I FOR SELECT TO gridmgmt_matters USING (%s)', rule.name, rule.see);
        EXECUTE format('CREATE POLICY matters_adds ON %I FOR INSERT TO gridmgmt_matters WITH CHECK (%s)',
            rule.name, rule.add);
        IF rule.change IS NOT NULL THEN
            EXECUTE format('CREATE POLICY matters_changes ON %I FOR UPDATE TO gridmgmt_matters USING (%s) WITH CHECK (%s)',
                rule.name, rule.change, rule.change);
        END IF;
    END LOOP;
END $$;
