-- Tiles of buildings tell where houses stand, not who lives there; how many households only to who acts on the
-- roster of the own area. Matters are read with the rights of who asks.
REVOKE ALL ON FUNCTION tile_box(integer, integer, integer, float8) FROM public;
REVOKE ALL ON FUNCTION tile_buildings(integer, integer, integer, text) FROM public;
REVOKE ALL ON FUNCTION tile_own_buildings(integer, integer, integer) FROM public;
REVOKE ALL ON FUNCTION tile_matters(integer, integer, integer, text, text, date, date) FROM public;
GRANT EXECUTE ON FUNCTION tile_box(integer, integer, integer, float8) TO gridmgmt_reader;
GRANT EXECUTE ON FUNCTION tile_buildings(integer, integer, integer, text) TO gridmgmt_reader;
GRANT EXECUTE ON FUNCTION tile_matters(integer, integer, integer, text, text, date, date) TO gridmgmt_reader;
GRANT EXECUTE ON FUNCTION tile_own_buildings(integer, integer, integer) TO gridmgmt_roster;
