-- What residents may ask for: which homes a person's lines speak of, and erasing a person. Policies/065 says who may.
-- And files of the roster: whoever asks for one is not who decides on it. And sealed values put under a newer key.

-- The households that a person was entered in, and from when to when: what was seen of a household in that time was
-- seen of this person. (The clock of the data base, not of life: what nobody had entered, nobody could see.)
CREATE OR REPLACE FUNCTION rights_homes(who integer) RETURNS TABLE (household integer, since timestamptz, until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM (
        SELECT (before ->> 'household_id')::integer AS household,
            coalesce(lag(at) OVER (ORDER BY id), '-infinity') AS since, at AS until
        FROM roster_history WHERE person_id = who AND what = 'person'
        UNION ALL
        SELECT household_id, coalesce((SELECT max(at) FROM roster_history WHERE person_id = who AND what = 'person'),
            '-infinity'), 'infinity'
        FROM person WHERE id = who
    ) AS homes WHERE household IS NOT NULL
$$;

-- What has to be opened to erase a person wholly: the names and numbers there are or were, and the sealed values of
-- those households, which may speak of the person. Names stand in `sealed` as they are, without a salt.
CREATE OR REPLACE FUNCTION rights_traces(who integer) RETURNS TABLE (kind text, id integer, salt bytea, sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH homes AS (SELECT DISTINCT household FROM rights_homes(who)),
    person_now AS (SELECT * FROM person WHERE id = who),
    states AS (
        SELECT name, identity, phone FROM person_now
        UNION SELECT before ->> 'name', (before ->> 'identity')::bytea, (before ->> 'phone')::bytea
        FROM roster_history WHERE person_id = who AND what = 'person'
    )
    SELECT 'name', who, NULL::bytea, convert_to(name, 'UTF8') FROM states WHERE name IS NOT NULL
    UNION SELECT 'identity', who, p.salt, s.identity FROM states s, person_now p WHERE s.identity IS NOT NULL
    UNION SELECT 'phone', who, p.salt, s.phone FROM states s, person_now p WHERE s.phone IS NOT NULL
    UNION ALL SELECT 'change', id, salt, sealed FROM roster_change
        WHERE household_id IN (SELECT household FROM homes) AND sealed IS NOT NULL
    UNION ALL SELECT 'review', id, salt, sealed FROM roster_review
        WHERE household_id IN (SELECT household FROM homes) AND sealed IS NOT NULL
    UNION ALL SELECT 'note', id, salt, note FROM visit
        WHERE household_id IN (SELECT household FROM homes) AND note IS NOT NULL
$$;

-- Erases a person: what is left is a number and that somebody was erased. Without the salt, sealed values that
-- stand elsewhere stay closed (crypto-shredding). `of_changes`, `of_reviews` and `of_visits` are the rows that
-- speak of the person inside their sealed values, which only the program can open.
CREATE OR REPLACE FUNCTION rights_erase(who integer, why text, head integer, of_changes integer[], of_reviews integer[],
    of_visits integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    me constant text := current_setting('app.user');
    home integer;
    homes integer[];
    names text[];
    is_empty boolean;
BEGIN
    SELECT household_id INTO home FROM person WHERE id = who FOR UPDATE;
    homes := ARRAY(SELECT DISTINCT household FROM rights_homes(who));
    names := ARRAY(SELECT name FROM person WHERE id = who UNION
        SELECT before ->> 'name' FROM roster_history WHERE person_id = who AND what = 'person');
    UPDATE person SET name = '已删除', birth_on = NULL, sex = NULL, identity = NULL, identity_index = NULL, phone = NULL,
        phone_index = NULL, salt = NULL, registered_dwelling_id = NULL, household_id = NULL, relation = 'other',
        left_on = current_date, left_why = 'erased', restricted_on = NULL, updated_at = now()
    WHERE id = who;
    IF head IS NOT NULL THEN
        UPDATE person SET relation = 'head', updated_at = now() WHERE id = head AND household_id = home AND left_on IS NULL;
        INSERT INTO roster_event (kind, household_id, person_id, on_date, made_by)
            VALUES ('head', home, head, current_date, me);
    END IF;
    is_empty := NOT EXISTS (SELECT FROM person WHERE household_id = home AND left_on IS NULL);
    UPDATE household SET ended_on = current_date WHERE id = home AND is_empty AND ended_on IS NULL;
    DELETE FROM residency WHERE person_id = who;
    DELETE FROM household_care WHERE person_id = who OR (household_id = home AND person_id IS NULL AND is_empty);
    DELETE FROM roster_event WHERE person_id = who;
    UPDATE roster_change c SET person_id = NULL, payload = '{}', salt = NULL, sealed = NULL, reason = '', decision = NULL,
        on_date = CASE WHEN kind IN ('birth', 'death') THEN made_at::date ELSE on_date END,
        status = CASE status WHEN 'open' THEN 'withdrawn' ELSE status END,
        decided_at = coalesce(decided_at, now()), decided_by = coalesce(decided_by, me)
    WHERE person_id = who OR (household_id = ANY (homes) AND (id = ANY (of_changes) OR EXISTS (
        SELECT FROM unnest(names) AS n WHERE strpos(concat_ws(' ', c.payload::text, c.reason, c.decision), n) > 0)));
    DELETE FROM roster_review WHERE person_id = who OR (household_id = ANY (homes) AND id = ANY (of_reviews));
    UPDATE visit SET note = NULL, salt = NULL
    WHERE household_id = ANY (homes) AND (id = ANY (of_visits) OR (household_id = home AND is_empty));
    UPDATE visit_stop s SET reason = NULL WHERE household_id = ANY (homes) AND ((household_id = home AND is_empty)
        OR EXISTS (SELECT FROM unnest(names) AS n WHERE strpos(s.reason, n) > 0));
    DELETE FROM roster_history WHERE person_id = who;
    INSERT INTO erasure (person_id, made_by, reason) VALUES (who, me, why) ON CONFLICT (person_id) DO NOTHING;
END $$;

REVOKE ALL ON FUNCTION rights_homes(integer) FROM public;
REVOKE ALL ON FUNCTION rights_traces(integer) FROM public;
REVOKE ALL ON FUNCTION rights_erase(integer, text, integer, integer[], integer[], integer[]) FROM public;

-- Row policies say which requests one sees; this says what may become of one, whatever the program does.
CREATE OR REPLACE FUNCTION roster_export_goes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    me constant text := current_setting('app.user', true);
    decided constant boolean := OLD.status = 'open' AND NEW.status IN ('approved', 'refused') AND roster_office()
        AND NEW.made_by <> me AND NEW.decided_by = me AND (NEW.status = 'approved') = (NEW.expires_at IS NOT NULL)
        AND coalesce(NEW.expires_at <= now() + interval '24 hours', true);
    fetched constant boolean := OLD.status = 'approved' AND NEW.status = 'fetched' AND NEW.made_by = me
        AND OLD.expires_at > now() AND (OLD.decided_at, OLD.decided_by, OLD.expires_at)
            IS NOT DISTINCT FROM (NEW.decided_at, NEW.decided_by, NEW.expires_at);
BEGIN
    IF current_user = 'gridmgmt_roster' AND NOT coalesce(decided OR fetched, false) THEN
        RAISE 'request % may not go from % to % by this account', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER roster_export_goes BEFORE UPDATE ON roster_export
    FOR EACH ROW EXECUTE FUNCTION roster_export_goes();
