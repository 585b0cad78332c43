-- Makes the yearly partition of `incident` that holds a date; does nothing where it stands.
CREATE OR REPLACE FUNCTION ensure_incident_year(which integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF incident FOR VALUES FROM (%L) TO (%L)',
        'incident_' || which, make_date(which, 1, 1), make_date(which + 1, 1, 1));
END $$;
