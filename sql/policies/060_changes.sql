-- What a change needs beyond the row policies: an empty home to ask for, a telephone noted at the door, and people
-- who come from another town. Each checks the area of whoever acts and that the audit log has its line.

-- The number of the next household, so that the line of the audit log, written first, can name it.
CREATE OR REPLACE FUNCTION roster_household_number() RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT nextval(pg_get_serial_sequence('household', 'id'))::integer
$$;

-- A code that no household has: that of the building and the door, as an import without codes makes it.
CREATE OR REPLACE FUNCTION roster_home_code(which integer) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.code || '-' || d.door || CASE n WHEN 1 THEN '' ELSE '-' || n END
    FROM dwelling d JOIN building b ON b.id = d.building_id CROSS JOIN generate_series(1, 1000) AS n
    WHERE d.id = which AND b.grid_id = ANY (roster_grids()) AND NOT EXISTS (
        SELECT FROM household WHERE code = b.code || '-' || d.door || CASE n WHEN 1 THEN '' ELSE '-' || n END)
    ORDER BY n LIMIT 1
$$;

-- A household without people, ended before it began, so that nothing counts it until the office approves.
CREATE OR REPLACE FUNCTION roster_empty_home(number integer, which integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    made text := roster_home_code(which);
BEGIN
    IF made IS NULL OR NOT audited() THEN
        RETURN false;
    END IF;
    INSERT INTO household (id, code, dwelling_id, persons, ended_on)
    VALUES (number, made, which, 0, (now() AT TIME ZONE 'Asia/Shanghai')::date);
    RETURN true;
END $$;

-- A telephone is what grid staff may write themselves: of somebody present in their grid, with a line in the log.
CREATE OR REPLACE FUNCTION roster_set_phone(who integer, sealed bytea, index uuid, fresh_salt bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    home integer;
BEGIN
    IF NOT audited() THEN
        RETURN false;
    END IF;
    UPDATE person p SET phone = sealed, phone_index = index, salt = coalesce(p.salt, fresh_salt), updated_at = now()
    WHERE p.id = who AND p.left_on IS NULL AND p.grid_id = ANY (roster_grids())
    RETURNING p.household_id INTO home;
    IF home IS NULL THEN
        RETURN false;
    END IF;
    INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)
    VALUES ('correct', home, who, (now() AT TIME ZONE 'Asia/Shanghai')::date,
        current_setting('app.user'));
    RETURN true;
END $$;

-- Whether the office that acts decides on this household, now and in the log.
CREATE OR REPLACE FUNCTION roster_decides(home integer) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT roster_office() AND audited()
        AND EXISTS (SELECT FROM household WHERE id = home AND grid_id = ANY (roster_grids()))
$$;

-- How somebody stands whose number is typed in: 'present', why gone, or nothing. Not who, and not where.
CREATE OR REPLACE FUNCTION roster_number_stands(index uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(left_why, 'present') FROM person
    WHERE identity_index = index AND roster_office() AND audited()
$$;

-- Takes in somebody who had moved away, from wherever that was.
CREATE OR REPLACE FUNCTION roster_take_back(index uuid, home integer, kin text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    who integer;
BEGIN
    IF roster_decides(home) THEN
        UPDATE person SET household_id = home, relation = kin, left_on = NULL, left_why = NULL, updated_at = now()
        WHERE identity_index = index AND left_why = 'moved' RETURNING id INTO who;
    END IF;
    RETURN who;
END $$;

-- Moves the person whom a row under review names to a household of the office that decides, also from another town:
-- 'moved', or why not: 'head' of others who stay, 'later' stay on record, nothing when there is nobody to move.
CREATE OR REPLACE FUNCTION roster_move_here(review integer, home integer, kin text, day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    them person;
    alone boolean;
BEGIN
    SELECT p.* INTO them FROM roster_review r JOIN person p ON p.id = r.person_id
    WHERE r.id = review AND r.status = 'open' AND r.area LIKE roster_area() || '%' AND roster_decides(home)
        AND (p.left_why = 'moved' OR (p.left_why IS NULL AND p.household_id <> home))
    FOR UPDATE OF p;
    IF them.id IS NULL THEN
        RETURN NULL;
    END IF;
    alone := NOT EXISTS (SELECT FROM person
        WHERE household_id = them.household_id AND left_on IS NULL AND id <> them.id);
    IF them.left_on IS NULL AND them.relation = 'head' AND NOT alone THEN
        RETURN 'head';
    END IF;
    IF EXISTS (SELECT FROM residency WHERE person_id = them.id AND greatest(valid_from, valid_to) > day) THEN
        RETURN 'later';
    END IF;
    UPDATE residency SET valid_to = day WHERE person_id = them.id AND valid_to IS NULL;
    WITH ended AS (
        UPDATE household_care SET ended_on = greatest(day, valid_from)
        WHERE person_id = them.id AND ended_on IS NULL RETURNING *
    )
    INSERT INTO household_care (household_id, person_id, category, basis, valid_from, expires)
    SELECT home, person_id, category, basis, day, expires FROM ended WHERE expires > day;
    UPDATE person SET household_id = home, relation = kin, left_on = NULL, left_why = NULL, updated_at = now()
    WHERE id = them.id;
    IF them.left_on IS NULL THEN
        INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)
        VALUES ('move_out', them.household_id, them.id, day, current_setting('app.user'));
        IF alone THEN
            UPDATE household_care SET ended_on = greatest(day, valid_from)
            WHERE household_id = them.household_id AND ended_on IS NULL;
            UPDATE household SET ended_on = day WHERE id = them.household_id;
        END IF;
    END IF;
    RETURN 'moved';
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['roster_household_number()', 'roster_home_code(integer)',
        'roster_empty_home(integer, integer)', 'roster_set_phone(integer, bytea, uuid, bytea)',
        'roster_decides(integer)', 'roster_number_stands(uuid)', 'roster_take_back(uuid, integer, text)',
        'roster_move_here(integer, integer, text, date)'] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM public', name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO gridmgmt_roster', name);
    END LOOP;
END $$;
