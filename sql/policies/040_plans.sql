-- Plans of grids: who sees maps may read them; the writer draws them, and only when it is known who acts.
GRANT SELECT ON plan, plan_grid, plan_edit, plan_comment TO gridmgmt_reader;
GRANT INSERT (name, parent_id, scope, author, base_on, version),
    UPDATE (name, base_on, version, status, locked_by) ON plan TO gridmgmt_writer;
GRANT INSERT, UPDATE, DELETE ON plan_grid TO gridmgmt_writer;
-- Undoing marks an edit, a new one drops those that were undone, rebasing writes them anew. Nobody changes
-- who did what and when.
GRANT INSERT, UPDATE (before, after, undone), DELETE ON plan_edit TO gridmgmt_writer;
GRANT INSERT (plan_id, author, text, geom) ON plan_comment TO gridmgmt_writer;

ALTER TABLE plan ENABLE ROW LEVEL SECURITY;
ALTER TABLE plan_grid ENABLE ROW LEVEL SECURITY;
ALTER TABLE plan_edit ENABLE ROW LEVEL SECURITY;
ALTER TABLE plan_comment ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS everybody_reads ON plan;
CREATE POLICY everybody_reads ON plan FOR SELECT TO gridmgmt_reader USING (true);
DROP POLICY IF EXISTS everybody_reads ON plan_grid;
CREATE POLICY everybody_reads ON plan_grid FOR SELECT TO gridmgmt_reader USING (true);
DROP POLICY IF EXISTS everybody_reads ON plan_edit;
CREATE POLICY everybody_reads ON plan_edit FOR SELECT TO gridmgmt_reader USING (true);
DROP POLICY IF EXISTS everybody_reads ON plan_comment;
CREATE POLICY everybody_reads ON plan_comment FOR SELECT TO gridmgmt_reader USING (true);

-- What is published or given up is frozen: only a draft may change, and publishing is not the writer's.
DROP POLICY IF EXISTS somebody_begins ON plan;
CREATE POLICY somebody_begins ON plan FOR INSERT TO gridmgmt_writer
    WITH CHECK (author = current_setting('app.user', true) AND author <> '' AND status = 'draft');
DROP POLICY IF EXISTS somebody_changes ON plan;
CREATE POLICY somebody_changes ON plan FOR UPDATE TO gridmgmt_writer
    USING (current_setting('app.user', true) <> '' AND status = 'draft')
    WITH CHECK (current_setting('app.user', true) <> '' AND status IN ('draft', 'retired'));
DROP POLICY IF EXISTS somebody_draws ON plan_grid;
CREATE POLICY somebody_draws ON plan_grid TO gridmgmt_writer
    USING (current_setting('app.user', true) <> ''
        AND EXISTS (SELECT FROM plan p WHERE p.id = plan_id AND p.status = 'draft'));
DROP POLICY IF EXISTS somebody_draws ON plan_edit;
CREATE POLICY somebody_draws ON plan_edit TO gridmgmt_writer
    USING (current_setting('app.user', true) <> ''
        AND EXISTS (SELECT FROM plan p WHERE p.id = plan_id AND p.status = 'draft'));
DROP POLICY IF EXISTS own_words ON plan_comment;
CREATE POLICY own_words ON plan_comment FOR INSERT TO gridmgmt_writer
    WITH CHECK (author = current_setting('app.user', true) AND author <> '');

-- Households and persons inside shapes (WKB, degrees CGCS2000), as sums. A building counts once in a layer,
-- in the first shape that covers it. Buildings know their grid, so the grids near are the index of place.
-- For an edit's few shapes the planner must not read all buildings, nor compile: that takes ten times as long.
CREATE OR REPLACE FUNCTION plan_households(shapes bytea[], layers integer[])
RETURNS TABLE (shape integer, households integer, persons integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH given AS MATERIALIZED (
        SELECT n::integer AS n, layer, ST_SetSRID(ST_GeomFromWKB(wkb), 4490) AS geom
        FROM unnest(shapes, layers) WITH ORDINALITY AS s(wkb, layer, n)
    ), nowhere AS MATERIALIZED (
        SELECT b.id, b.geom FROM building b
        WHERE b.grid_id IS NULL AND b.geom && (SELECT ST_SetSRID(ST_Extent(geom), 4490) FROM given)
    ), held AS (
        SELECT b.id, s.layer, s.n FROM given s JOIN grid g ON g.geom && s.geom
        JOIN building b ON b.grid_id = g.id AND b.geom && s.geom AND ST_Covers(s.geom, b.geom)
        UNION ALL
        SELECT b.id, s.layer, s.n FROM given s
        JOIN nowhere b ON b.geom && s.geom AND ST_Covers(s.geom, b.geom)
    ), placed AS MATERIALIZED (
        SELECT DISTINCT ON (id, layer) id, n FROM held ORDER BY id, layer, n
    )
    SELECT p.n, count(*)::integer, sum(h.persons)::integer
    FROM placed p JOIN dwelling d ON d.building_id = p.id JOIN household h ON h.dwelling_id = d.id AND h.ended_on IS NULL
    GROUP BY p.n
$$;

-- Matters of a period inside shapes, counted likewise, with the rights of who asks. A matter has the grid of the
-- day it was reported on: those that ever were near are the index of place.
CREATE OR REPLACE FUNCTION plan_matters(shapes bytea[], layers integer[], since date, until date)
RETURNS TABLE (shape integer, matters integer)
LANGUAGE sql STABLE SET search_path = public, pg_temp
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH given AS MATERIALIZED (
        SELECT n::integer AS n, layer, ST_SetSRID(ST_GeomFromWKB(wkb), 4490) AS geom
        FROM unnest(shapes, layers) WITH ORDINALITY AS s(wkb, layer, n)
    ), nowhere AS MATERIALIZED (
        SELECT i.id, i.geom FROM incident i
        WHERE i.grid_id IS NULL AND i.occurred_on >= since AND i.occurred_on < until
            AND i.geom && (SELECT ST_SetSRID(ST_Extent(geom), 4490) FROM given)
    ), held AS (
        SELECT i.id, s.layer, s.n FROM given s JOIN grid g ON g.geom && s.geom
        JOIN incident i ON i.grid_id = g.id AND i.occurred_on >= since AND i.occurred_on < until
            AND i.geom && s.geom AND ST_Covers(s.geom, i.geom)
        UNION ALL
        SELECT i.id, s.layer, s.n FROM given s
        JOIN nowhere i ON i.geom && s.geom AND ST_Covers(s.geom, i.geom)
    ), placed AS (
        SELECT DISTINCT ON (id, layer) n FROM held ORDER BY id, layer, n
    )
    SELECT n, count(*)::integer FROM placed GROUP BY n
$$;

-- Where the households of a shape live, to divide it: for who draws, not for maps.
CREATE OR REPLACE FUNCTION plan_buildings(shape bytea)
RETURNS TABLE (id integer, lon double precision, lat double precision, households integer, persons integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
SET jit = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH given AS MATERIALIZED (
        SELECT ST_SetSRID(ST_GeomFromWKB(shape), 4490) AS geom
    ), house AS MATERIALIZED (
        SELECT b.id, b.geom FROM given s JOIN grid g ON g.geom && s.geom JOIN building b ON b.grid_id = g.id
        UNION
        SELECT b.id, b.geom FROM given s JOIN building b ON b.grid_id IS NULL AND b.geom && s.geom
    )
    SELECT b.id, ST_X(b.geom), ST_Y(b.geom), count(h.id)::integer, coalesce(sum(h.persons), 0)::integer
    FROM given s JOIN house b ON ST_Covers(s.geom, b.geom)
    LEFT JOIN dwelling d ON d.building_id = b.id LEFT JOIN household h ON h.dwelling_id = d.id
        AND h.ended_on IS NULL
    GROUP BY b.id, b.geom
$$;

REVOKE ALL ON FUNCTION plan_households(bytea[], integer[]) FROM public;
REVOKE ALL ON FUNCTION plan_buildings(bytea) FROM public;
GRANT EXECUTE ON FUNCTION plan_households(bytea[], integer[]) TO gridmgmt_reader;
GRANT EXECUTE ON FUNCTION plan_buildings(bytea) TO gridmgmt_writer;
