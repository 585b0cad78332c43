-- How surveys and rounds stand, as numbers only: what the command centre and the maps may know of doors and visits.
-- A grid with fewer than 5 dwellings gives none, except to its own staff; nor is it part of any sum, so that no sum
-- less the others gives it away. A round with fewer than 5 stops gives none either.
CREATE OR REPLACE FUNCTION surveys_of(within text)
RETURNS TABLE (id integer, area text, name text, start_on date, due_on date)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.id, s.area, s.name, s.start_on, s.due_on FROM survey s
    WHERE starts_with(s.area, within) OR starts_with(within, s.area)
    ORDER BY s.start_on DESC, s.id DESC
$$;

CREATE OR REPLACE FUNCTION survey_progress(number integer, within text)
RETURNS TABLE (area text, dwellings integer, verified integer)
-- A town has some sixty grids: told a thousand, the planner reads every dwelling of the city instead.
LANGUAGE sql STABLE SECURITY DEFINER ROWS 60 SET search_path = public, pg_temp SET jit = off AS $$
    SELECT g.code15, CASE WHEN c.shown THEN c.dwellings END, CASE WHEN c.shown THEN c.verified END
    FROM survey s JOIN grid g ON starts_with(g.code15, s.area) AND starts_with(g.code15, within)
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS dwellings, count(*) >= 5 OR g.code15 = roster_area() AS shown,
            (count(*) FILTER (WHERE d.verified_on >= s.start_on))::integer AS verified
        FROM building b JOIN dwelling d ON d.building_id = b.id WHERE b.grid_id = g.id
    ) c
    WHERE s.id = number AND c.dwellings > 0 ORDER BY g.code15
$$;

CREATE OR REPLACE FUNCTION survey_days(number integer, within text)
RETURNS TABLE (day date, verified integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp SET jit = off AS $$
    SELECT d.verified_on, count(*)::integer
    FROM survey s JOIN survey_progress(number, within) p ON p.dwellings IS NOT NULL
    JOIN grid g ON g.code15 = p.area JOIN building b ON b.grid_id = g.id
    JOIN dwelling d ON d.building_id = b.id AND d.verified_on >= s.start_on
    WHERE s.id = number GROUP BY d.verified_on ORDER BY d.verified_on
$$;

CREATE OR REPLACE FUNCTION round_counts(within text)
RETURNS TABLE (id integer, area text, title text, due_on date, stops integer, done integer, not_done integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.id, left(r.area, 9), r.title, r.due_on, CASE WHEN c.stops >= 5 THEN c.stops END,
        CASE WHEN c.stops >= 5 THEN c.done END, CASE WHEN c.stops >= 5 THEN c.not_done END
    FROM visit_round r CROSS JOIN LATERAL (
        SELECT count(*)::integer AS stops, (count(*) FILTER (WHERE status = 'done'))::integer AS done,
            (count(*) FILTER (WHERE status = 'not_done'))::integer AS not_done
        FROM visit_stop WHERE round_id = r.id
    ) c
    WHERE starts_with(r.area, within) ORDER BY r.due_on DESC, r.id DESC
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['surveys_of(text)', 'survey_progress(integer, text)', 'survey_days(integer, text)',
        'round_counts(text)'] LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM public', name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO gridmgmt_reader', name);
    END LOOP;
END $$;
