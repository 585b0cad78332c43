-- What keeps matters whole whoever writes them: the village follows the grid, a case follows its matter, every
-- change of a case has its step, and a step is never changed.

CREATE OR REPLACE FUNCTION incident_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT g.village INTO NEW.village FROM grid g WHERE g.id = NEW.grid_id;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER incident_stands BEFORE INSERT OR UPDATE OF grid_id ON incident
    FOR EACH ROW WHEN (NEW.grid_id IS NOT NULL) EXECUTE FUNCTION incident_stands();

CREATE OR REPLACE FUNCTION incident_moves() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE incident_case c SET village = n.village, grid_id = n.grid_id FROM moved n
    WHERE n.id = c.id AND (c.village, c.grid_id) IS DISTINCT FROM (n.village, n.grid_id);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER incident_moves AFTER UPDATE ON incident REFERENCING NEW TABLE AS moved
    FOR EACH STATEMENT EXECUTE FUNCTION incident_moves();

CREATE OR REPLACE FUNCTION incident_case_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    SELECT i.village, i.grid_id INTO NEW.village, NEW.grid_id FROM incident i WHERE i.id = NEW.id;
    IF NOT FOUND THEN
        RAISE 'no matter % to handle', NEW.id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER incident_case_stands BEFORE INSERT ON incident_case
    FOR EACH ROW EXECUTE FUNCTION incident_case_stands();

-- Following the matter to another place is no act of handling; everything else is, and is the next version.
CREATE OR REPLACE FUNCTION incident_case_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    aside constant text[] := ARRAY['village', 'grid_id', 'version'];
BEGIN
    IF to_jsonb(OLD) - aside = to_jsonb(NEW) - aside AND NEW.version = OLD.version THEN
        RETURN NEW;
    END IF;
    IF NEW.version <> OLD.version + 1 OR NEW.id <> OLD.id OR NEW.number <> OLD.number THEN
        RAISE 'case % goes from version % to %', OLD.id, OLD.version, NEW.version
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER incident_case_counts BEFORE UPDATE ON incident_case
    FOR EACH ROW EXECUTE FUNCTION incident_case_counts();

CREATE OR REPLACE FUNCTION incident_case_told() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM incident_step WHERE case_id = NEW.id AND n = NEW.version) THEN
        RAISE 'case % has no step %', NEW.id, NEW.version USING ERRCODE = 'check_violation',
            CONSTRAINT = 'incident_case_told';
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS incident_case_told ON incident_case;
CREATE CONSTRAINT TRIGGER incident_case_told AFTER INSERT OR UPDATE ON incident_case
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION incident_case_told();

CREATE OR REPLACE FUNCTION incident_step_counted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM incident_case WHERE id = NEW.case_id AND version >= NEW.n) THEN
        RAISE 'step % of case % is beyond its version', NEW.n, NEW.case_id USING ERRCODE = 'check_violation',
            CONSTRAINT = 'incident_step_counted';
    END IF;
    RETURN NULL;
END $$;
DROP TRIGGER IF EXISTS incident_step_counted ON incident_step;
CREATE CONSTRAINT TRIGGER incident_step_counted AFTER INSERT ON incident_step
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION incident_step_counted();

CREATE OR REPLACE FUNCTION incident_step_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RAISE 'the steps of a matter are only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER incident_step_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON incident_step
    FOR EACH STATEMENT EXECUTE FUNCTION incident_step_stands();

-- The next reference number of a matter: the day in China and five digits that do not repeat within it.
CREATE OR REPLACE FUNCTION matter_number(told_at timestamptz) RETURNS text LANGUAGE sql AS $$
    SELECT to_char(told_at AT TIME ZONE 'Asia/Shanghai', 'YYYYMMDD')
        || lpad((nextval('incident_number') % 100000)::text, 5, '0')
$$;

-- Whoever follows a matter by its secret link: the case and where it lies; nothing without the right hash.
CREATE OR REPLACE FUNCTION matter_followed(hash bytea) RETURNS TABLE (case_id bigint, area text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT id, coalesce(village, '') FROM incident_case WHERE follow_hash = hash
$$;
-- Whether the department that acts has ever had a case in its hands, and whether it has now.
CREATE OR REPLACE FUNCTION matter_in_hand(number bigint, now_only boolean) RETURNS boolean
LANGUAGE sql STABLE COST 2000 SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM incident_hand WHERE case_id = number AND unit = current_setting('app.unit', true)
        AND (NOT now_only OR status IN ('asked', 'accepted', 'answered', 'returned')))
$$;
-- How many mediations somebody of the talent pool has, wherever they are.
CREATE OR REPLACE FUNCTION mediator_load(number integer) RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*)::integer FROM mediation_mediator l JOIN mediation o ON o.id = l.mediation_id
    WHERE l.mediator_id = number AND o.status = 'open'
$$;
REVOKE ALL ON FUNCTION mediator_load(integer) FROM public;
REVOKE ALL ON FUNCTION matter_followed(bytea) FROM public;
REVOKE ALL ON FUNCTION matter_in_hand(bigint, boolean) FROM public;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['incident_party', 'mediation', 'mediation_session'] LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER roster_audited BEFORE INSERT OR UPDATE OR DELETE ON %I
            FOR EACH STATEMENT EXECUTE FUNCTION roster_audited()', name);
    END LOOP;
END $$;
