-- The role of maps, tiles and analysis: it sees places, times, categories and counts, and no personal table.
-- Of a matter it may not read what somebody wrote (title, text) nor the address.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'gridmgmt_reader') THEN
        CREATE ROLE gridmgmt_reader NOLOGIN;
    END IF;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM gridmgmt_reader;
GRANT USAGE ON SCHEMA public TO gridmgmt_reader;
GRANT SELECT ON division, grid, grid_lineage, map_layer, department, category, channel, import_run,
    analysis_run, hotspot_result, hotspot_year, hotspot_field, hotspot_peak, hotspot_cluster, seasonal_item,
    seasonal_verdict, seasonal_expected, grid_households, holiday, incident_flow, alembic_version, spatial_ref_sys
    TO gridmgmt_reader;
GRANT SELECT (id, source, ledger, channel, category, occurred_at, occurred_on, reported_at, geom, grid_id,
    status, stage, level, village, due_at, closed_at) ON incident TO gridmgmt_reader;
GRANT SELECT (id, village, grid_id, level, open, next_due_at, suspended_at, supervised_at) ON incident_case
    TO gridmgmt_reader;
-- The contact of a grid is shown on its card; schooling and age of workers are not.
GRANT SELECT (id, name) ON worker TO gridmgmt_reader;
GRANT SELECT ON assignment TO gridmgmt_reader;
