-- Points of vector tiles. A tile is 4096 units wide; what stands up to 64 beside it (8 pixels of a screen) comes
-- too, so that a dot on the edge is whole on both sides. Web Mercator is arithmetic on degrees: the geodetic
-- datum of CGCS2000 (EPSG:4490) is that of WGS 84 to less than a millimetre on the globe.

-- The degrees of a tile with a margin, which is a share of its width.
CREATE OR REPLACE FUNCTION tile_box(z integer, x integer, y integer, margin float8) RETURNS geometry
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ST_MakeEnvelope(
        (x - margin) / 2 ^ z * 360 - 180, degrees(atan(sinh(pi() * (1 - 2 * (y + 1 + margin) / 2 ^ z)))),
        (x + 1 + margin) / 2 ^ z * 360 - 180, degrees(atan(sinh(pi() * (1 - 2 * (y - margin) / 2 ^ z)))), 4490)
$$;

-- Buildings: where they stand and what is known of the house, nothing of who lives there. It runs with its
-- owner's rights, because maps may not read the roster. Below zoom 14 houses that would lie on one another
-- (8 pixels) are one dot with their number.
CREATE OR REPLACE FUNCTION tile_buildings(z integer, x integer, y integer, area text) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    box constant geometry := tile_box(z, x, y, 1 / 64.0);
    wide constant float8 := 4096 * 2 ^ z / 360;
    high constant float8 := 4096 * 2 ^ z / (2 * pi());
    west constant float8 := 4096 * x - 180 * wide;
    north constant float8 := 4096 * y - pi() * high;
    mine integer[] := CASE WHEN area <> '' THEN ARRAY(SELECT g.id FROM grid g WHERE starts_with(g.code15, area)) END;
BEGIN
    IF z < 14 THEN
        RETURN (
            SELECT ST_AsMVT(t, 'buildings', 4096, 'geom') FROM (
                SELECT count(*)::integer AS n, nullif(bool_or(low_lying), false) AS low_lying,
                    nullif(bool_or(dilapidated), false) AS dilapidated,
                    nullif(bool_or(self_built), false) AS self_built,
                    ST_Point(floor(avg(px)), floor(avg(py))) AS geom
                FROM (
                    SELECT b.low_lying, b.dilapidated, b.self_built,
                        floor(ST_X(b.geom) * wide - west) AS px,
                        floor(-ln(tan(pi() / 4 + radians(ST_Y(b.geom)) / 2)) * high - north) AS py
                    FROM building b WHERE b.geom && box AND (mine IS NULL OR b.grid_id = ANY (mine))
                ) p WHERE px >= -64 AND px < 4160 AND py >= -64 AND py < 4160
                GROUP BY floor(px / 64), floor(py / 64)
            ) t
        );
    END IF;
    RETURN (
        SELECT ST_AsMVT(t, 'buildings', 4096, 'geom', 'id') FROM (
            SELECT b.id, nullif(b.low_lying, false) AS low_lying, nullif(b.dilapidated, false) AS dilapidated,
                nullif(b.self_built, false) AS self_built,
                ST_Point(floor(ST_X(b.geom) * wide - west),
                    floor(-ln(tan(pi() / 4 + radians(ST_Y(b.geom)) / 2)) * high - north)) AS geom
            FROM building b WHERE b.geom && box AND (mine IS NULL OR b.grid_id = ANY (mine))
        ) t
    );
END $$;

-- The same for a grid's own staff, with how many households live in each; narrowed to the area of who acts.
CREATE OR REPLACE FUNCTION tile_own_buildings(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    box constant geometry := tile_box(z, x, y, 1 / 64.0);
    wide constant float8 := 4096 * 2 ^ z / 360;
    high constant float8 := 4096 * 2 ^ z / (2 * pi());
    west constant float8 := 4096 * x - 180 * wide;
    north constant float8 := 4096 * y - pi() * high;
    mine constant integer[] := roster_grids();
BEGIN
    RETURN (
        SELECT ST_AsMVT(t, 'buildings', 4096, 'geom', 'id') FROM (
            SELECT b.id, nullif(b.low_lying, false) AS low_lying, nullif(b.dilapidated, false) AS dilapidated,
                nullif(b.self_built, false) AS self_built,
                (SELECT count(*)::integer FROM dwelling d JOIN household h ON h.dwelling_id = d.id
                 WHERE d.building_id = b.id AND h.ended_on IS NULL) AS households,
                ST_Point(floor(ST_X(b.geom) * wide - west),
                    floor(-ln(tan(pi() / 4 + radians(ST_Y(b.geom)) / 2)) * high - north)) AS geom
            FROM building b WHERE b.geom && box AND b.grid_id = ANY (mine)
        ) t
    );
END $$;

-- Matters of a period (NULL: since ever, until now) and a category ('': all): day, category and grid, and whether
-- one is open; those that are handled here have the number of their page. From zoom 14 each stands by itself,
-- unless a tile holds more than 5,000; else one that is alone in its cell of 256 units (32 pixels) does, and of
-- the others it is said how many there are. Cells at the edge are whole in both tiles. With the rights of who
-- asks; planned anew each time, because a tile of the whole city and one of a street want other ways, and a
-- period some years only.
CREATE OR REPLACE FUNCTION tile_matters(
    z integer, x integer, y integer, area text, wanted text, since date, until date
) RETURNS bytea
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    wide constant float8 := 4096 * 2 ^ z / 360;
    high constant float8 := 4096 * 2 ^ z / (2 * pi());
    west constant float8 := 4096 * x - 180 * wide;
    north constant float8 := 4096 * y - pi() * high;
    box geometry := tile_box(z, x, y, 1 / 64.0);
    mine constant integer[] :=
        CASE WHEN area <> '' THEN ARRAY(SELECT g.id FROM grid g WHERE starts_with(g.code15, area)) END;
    kinds constant text[] := CASE WHEN wanted <> '' THEN ARRAY(
        WITH RECURSIVE below AS (
            SELECT code FROM category WHERE code = wanted
            UNION SELECT c.code FROM category c JOIN below b ON c.parent = b.code
        ) SELECT code FROM below) END;
    first constant date := coalesce(since, '-infinity');
    last constant date := coalesce(until, 'infinity');
BEGIN
    IF z >= 14 AND (SELECT count(*) FROM (
        SELECT FROM incident i WHERE i.geom && box AND i.occurred_on BETWEEN first AND last
            AND (kinds IS NULL OR i.category = ANY (kinds))
            AND (mine IS NULL OR i.grid_id = ANY (mine) OR starts_with(i.village, area))
        LIMIT 5001) few) <= 5000
    THEN
        RETURN (
            SELECT ST_AsMVT(t, 'matters', 4096, 'geom', 'id') FROM (
                SELECT c.id, i.category, i.occurred_on::text AS day, g.code15 AS grid,
                    nullif(i.status = 'open', false) AS open,
                    ST_Point(floor(ST_X(i.geom) * wide - west),
                        floor(-ln(tan(pi() / 4 + radians(ST_Y(i.geom)) / 2)) * high - north)) AS geom
                FROM incident i LEFT JOIN grid g ON g.id = i.grid_id LEFT JOIN incident_case c ON c.id = i.id
                WHERE i.geom && box AND i.occurred_on BETWEEN first AND last
                    AND (kinds IS NULL OR i.category = ANY (kinds))
                    AND (mine IS NULL OR i.grid_id = ANY (mine) OR starts_with(i.village, area))
            ) t
        );
    END IF;
    box := tile_box(z, x, y, 1 / 16.0);
    RETURN (
        SELECT ST_AsMVT(t, 'matters', 4096, 'geom', 'id') FROM (
            SELECT c.id, nullif(n, 1) AS n, CASE WHEN n > 1 THEN nullif(n_open, 0) END AS n_open,
                CASE WHEN n = 1 THEN s.category END AS category, CASE WHEN n = 1 THEN s.day::text END AS day,
                g.code15 AS grid, CASE WHEN n = 1 AND n_open = 1 THEN true END AS open,
                ST_Point(floor(s.px), floor(s.py)) AS geom
            FROM (
                SELECT count(*)::integer AS n, count(*) FILTER (WHERE open)::integer AS n_open, min(id) AS id,
                    min(category) AS category, min(day) AS day, min(grid_id) AS grid_id, avg(px) AS px, avg(py) AS py
                FROM (
                    SELECT i.id, i.category, i.occurred_on AS day, i.grid_id, i.status = 'open' AS open,
                        floor(ST_X(i.geom) * wide - west) AS px,
                        floor(-ln(tan(pi() / 4 + radians(ST_Y(i.geom)) / 2)) * high - north) AS py
                    FROM incident i WHERE i.geom && box AND i.occurred_on BETWEEN first AND last
                        AND (kinds IS NULL OR i.category = ANY (kinds))
                        AND (mine IS NULL OR i.grid_id = ANY (mine) OR starts_with(i.village, area))
                ) p
                WHERE px >= -256 AND px < 4352 AND py >= -256 AND py < 4352
                GROUP BY floor(px / 256), floor(py / 256)
            ) s LEFT JOIN incident_case c ON s.n = 1 AND c.id = s.id LEFT JOIN grid g ON s.n = 1 AND g.id = s.grid_id
        ) t
    );
END $$;
