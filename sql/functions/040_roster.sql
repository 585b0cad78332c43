-- What keeps the roster whole whoever writes it: people stand in the grid of their building, one head a household,
-- what a row said before is kept, and nobody of the web writes without a line in the audit log.
-- Who writes many rows at once sets app.bulk and sees to it itself: 'on' for an import, 'place' for a redrawing,
-- 'reseal' for a rotation of keys.

-- `role` is what SET ROLE said; current_user is the owner inside a function that has its owner's rights.
CREATE OR REPLACE FUNCTION roster_in_bulk() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(current_setting('app.bulk', true), '') <> '' AND current_setting('role') <> 'gridmgmt_roster'
$$;
-- A redrawing of grids and a rotation of keys say of nobody anything else than before.
CREATE OR REPLACE FUNCTION roster_says_the_same() RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT roster_in_bulk() AND current_setting('app.bulk', true) IN ('place', 'reseal')
$$;

CREATE OR REPLACE FUNCTION building_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE household h SET grid_id = NEW.grid_id FROM dwelling d
    WHERE d.building_id = NEW.id AND h.dwelling_id = d.id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER building_moves AFTER UPDATE OF grid_id ON building FOR EACH ROW
    WHEN (OLD.grid_id IS DISTINCT FROM NEW.grid_id AND NOT roster_in_bulk()) EXECUTE FUNCTION building_moves();

CREATE OR REPLACE FUNCTION household_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT b.grid_id INTO NEW.grid_id FROM dwelling d JOIN building b ON b.id = d.building_id
    WHERE d.id = NEW.dwelling_id;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER household_stands BEFORE INSERT ON household FOR EACH ROW
    WHEN (NEW.grid_id IS NULL OR NOT roster_in_bulk()) EXECUTE FUNCTION household_stands();
CREATE OR REPLACE TRIGGER household_moves_in BEFORE UPDATE OF dwelling_id ON household FOR EACH ROW
    WHEN (OLD.dwelling_id <> NEW.dwelling_id) EXECUTE FUNCTION household_stands();

CREATE OR REPLACE FUNCTION household_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE person SET grid_id = NEW.grid_id WHERE household_id = NEW.id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER household_moves AFTER UPDATE ON household FOR EACH ROW
    WHEN (OLD.grid_id IS DISTINCT FROM NEW.grid_id AND NOT roster_in_bulk()) EXECUTE FUNCTION household_moves();

CREATE OR REPLACE FUNCTION person_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT grid_id INTO NEW.grid_id FROM household WHERE id = NEW.household_id;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER person_stands BEFORE INSERT ON person FOR EACH ROW
    WHEN (NEW.grid_id IS NULL OR NOT roster_in_bulk()) EXECUTE FUNCTION person_stands();
CREATE OR REPLACE TRIGGER person_moves BEFORE UPDATE OF household_id ON person FOR EACH ROW
    WHEN (OLD.household_id IS DISTINCT FROM NEW.household_id) EXECUTE FUNCTION person_stands();

-- `household.persons` is what maps and plans count; where people are known it is their number.
CREATE OR REPLACE FUNCTION household_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    touched integer[] := CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.household_id]
        WHEN 'DELETE' THEN ARRAY[OLD.household_id] ELSE ARRAY[OLD.household_id, NEW.household_id] END;
BEGIN
    UPDATE household h SET persons = c.persons FROM (
        SELECT t.id, count(p.id)::integer AS persons FROM (SELECT DISTINCT unnest(touched)) AS t (id)
        LEFT JOIN person p ON p.household_id = t.id AND p.left_on IS NULL GROUP BY t.id
    ) c WHERE h.id = c.id AND h.persons <> c.persons;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER household_counts AFTER INSERT OR DELETE OR UPDATE OF household_id, left_on ON person
    FOR EACH ROW WHEN (NOT roster_in_bulk()) EXECUTE FUNCTION household_counts();

-- Two heads are refused at once (ux_person_head), none at the end of the transaction.
CREATE OR REPLACE FUNCTION household_has_head() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    headless integer;
BEGIN
    SELECT h.id INTO headless
    FROM unnest(CASE TG_OP WHEN 'INSERT' THEN ARRAY[NEW.household_id]
        WHEN 'DELETE' THEN ARRAY[OLD.household_id] ELSE ARRAY[OLD.household_id, NEW.household_id] END) AS h (id)
    WHERE EXISTS (SELECT FROM person WHERE household_id = h.id AND left_on IS NULL)
        AND NOT EXISTS (SELECT FROM person WHERE household_id = h.id AND left_on IS NULL AND relation = 'head');
    IF headless IS NOT NULL THEN
        RAISE 'household % has people and no head', headless USING ERRCODE = 'check_violation',
            CONSTRAINT = 'household_has_head';
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS household_has_head ON person;
CREATE CONSTRAINT TRIGGER household_has_head
    AFTER INSERT OR DELETE OR UPDATE OF household_id, relation, left_on ON person
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NOT roster_in_bulk()) EXECUTE FUNCTION household_has_head();

-- What a row said before; never the salt, so that an erased person's old values stay closed.
CREATE OR REPLACE FUNCTION roster_remember() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    unsaid text[] := ARRAY['salt', 'grid_id', 'persons', 'updated_at', 'given'];
    old_row jsonb := to_jsonb(OLD) - unsaid;
BEGIN
    IF TG_OP = 'UPDATE' AND old_row = to_jsonb(NEW) - unsaid THEN
        RETURN NULL;
    END IF;
    INSERT INTO roster_history (what, row_id, household_id, person_id, before, txid, made_by)
    VALUES (TG_TABLE_NAME, OLD.id,
        CASE WHEN TG_TABLE_NAME = 'household' THEN OLD.id ELSE (old_row ->> 'household_id')::integer END,
        CASE WHEN TG_TABLE_NAME = 'person' THEN OLD.id ELSE (old_row ->> 'person_id')::integer END,
        old_row, pg_current_xact_id()::text::bigint,
        coalesce(nullif(current_setting('app.user', true), ''), session_user));
    RETURN NULL;
END $$;

-- A write of personal data through a role of the web stands on a line of the audit log in the same transaction.
CREATE OR REPLACE FUNCTION roster_audited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('role') IN ('gridmgmt_roster', 'gridmgmt_matters') AND NOT audited() THEN
        RAISE '% is not written without a line in the audit log', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['household', 'person', 'residency', 'household_care'] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER roster_remember AFTER UPDATE OR DELETE ON %I
            FOR EACH ROW WHEN (NOT roster_says_the_same()) EXECUTE FUNCTION roster_remember()', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['dwelling', 'household', 'person', 'residency', 'household_care', 'visit',
        'visit_round', 'visit_stop', 'survey', 'roster_change', 'roster_event', 'roster_review',
        'roster_export'] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER roster_audited BEFORE INSERT OR UPDATE OR DELETE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION roster_audited()', name);
    END LOOP;
END $$;
