-- The town office erases people of its town, and reads who looked at a household or a person, from wherever they looked.

CREATE OR REPLACE FUNCTION roster_erase(who integer, why text, head integer, of_changes integer[], of_reviews integer[],
    of_visits integer[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT roster_office() OR NOT audited()
        OR NOT EXISTS (SELECT FROM person WHERE id = who AND grid_id = ANY (roster_grids())) THEN
        RAISE 'person % may not be erased by this account', who USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM rights_erase(who, why, head, of_changes, of_reviews, of_visits);
END $$;
REVOKE ALL ON FUNCTION roster_erase(integer, text, integer, integer[], integer[], integer[]) FROM public;
GRANT EXECUTE ON FUNCTION roster_erase(integer, text, integer, integer[], integer[], integer[]) TO gridmgmt_roster;

CREATE OR REPLACE FUNCTION roster_traces(who integer) RETURNS TABLE (kind text, id integer, salt bytea, sealed bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM rights_traces(who)
    WHERE roster_office() AND EXISTS (SELECT FROM person p WHERE p.id = who AND p.grid_id = ANY (roster_grids()))
$$;
REVOKE ALL ON FUNCTION roster_traces(integer) FROM public;
GRANT EXECUTE ON FUNCTION roster_traces(integer) TO gridmgmt_roster;

-- One of the two is given. `field` is the one that was revealed.
CREATE OR REPLACE FUNCTION roster_access(of_household integer, of_person integer)
RETURNS TABLE (line integer, at timestamptz, who text, area text, what text, purpose text, field text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.id, l.at, l.who, l.area, l.what, l.purpose, l.detail ->> 'field'
    FROM audit_log l
    WHERE roster_office() AND l.id IN (
        SELECT id FROM audit_log WHERE households @> ARRAY[of_household]
            AND EXISTS (SELECT FROM household WHERE id = of_household AND grid_id = ANY (roster_grids()))
        UNION ALL
        SELECT id FROM audit_log WHERE person_id = of_person
            AND EXISTS (SELECT FROM person WHERE id = of_person AND grid_id = ANY (roster_grids()))
        UNION ALL
        SELECT m.id FROM rights_homes(of_person) h JOIN audit_log m
            ON m.households @> ARRAY[h.household] AND m.person_id IS NULL AND m.at >= h.since AND m.at < h.until
        WHERE EXISTS (SELECT FROM person WHERE id = of_person AND grid_id = ANY (roster_grids())))
    ORDER BY l.id DESC
$$;
REVOKE ALL ON FUNCTION roster_access(integer, integer) FROM public;
GRANT EXECUTE ON FUNCTION roster_access(integer, integer) TO gridmgmt_roster;

-- The matters in which somebody of the roster stands by telephone, for the copy that this person may ask for. The
-- town office alone may ask, of its own people.
CREATE OR REPLACE FUNCTION matters_of_person(who integer)
RETURNS TABLE (number text, told_at timestamptz, category text, part text, status text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT c.number, i.reported_at, k.name, a.part, i.status
    FROM person p JOIN incident_party a ON a.phone_index = p.phone_index
    JOIN incident_case c ON c.id = a.case_id JOIN incident i ON i.id = c.id JOIN category k ON k.code = i.category
    WHERE p.id = who AND roster_office() AND p.grid_id = ANY (roster_grids()) ORDER BY i.reported_at
$$;
REVOKE ALL ON FUNCTION matters_of_person(integer) FROM public;
GRANT EXECUTE ON FUNCTION matters_of_person(integer) TO gridmgmt_roster;
