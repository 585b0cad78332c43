-- A matter told at a visit. The writer has no right to insert matters: this is the one door, and what it does not
-- take from the caller (place, grid, moment) it takes from the visit, which must be the caller's own and in the
-- caller's area. Sent twice it stands once.
INSERT INTO channel (code, name) VALUES ('grid_round', '网格排查') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION visit_matter(visit_key uuid, kind text, summary text, words text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    place record;
    number bigint;
    day date;
BEGIN
    SELECT v.visited_at, v.recorded_at, b.geom, b.address, b.grid_id INTO place
    FROM visit v JOIN dwelling d ON d.id = v.dwelling_id JOIN building b ON b.id = d.building_id
    WHERE v.key = visit_key AND v.made_by = current_setting('app.user', true)
        AND b.grid_id = ANY (roster_grids())
    FOR UPDATE OF v;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT id INTO number FROM incident WHERE source = 'visit' AND external_id = visit_key::text;
    IF FOUND THEN
        RETURN number;
    END IF;
    day := (place.visited_at AT TIME ZONE 'Asia/Shanghai')::date;
    IF to_regclass('incident_' || extract(year FROM day)::integer) IS NULL THEN
        PERFORM ensure_incident_year(extract(year FROM day)::integer);
    END IF;
    INSERT INTO incident (source, external_id, ledger, channel, category, occurred_at, occurred_on, reported_at,
        geom, address, grid_id, title, text, status, digest)
    VALUES ('visit', visit_key::text, 'demand', (SELECT code FROM channel WHERE name = '网格排查'), kind,
        place.visited_at, day, place.recorded_at, place.geom, place.address, place.grid_id, summary, words, 'open',
        md5(concat_ws('|', visit_key, kind, words))::uuid)
    RETURNING id INTO number;
    RETURN number;
END $$;

REVOKE ALL ON FUNCTION visit_matter(uuid, text, text, text) FROM public;
GRANT EXECUTE ON FUNCTION visit_matter(uuid, text, text, text) TO gridmgmt_writer;
