-- The audit log: one line a reading or writing of personal data. Each line's hash covers the line before, so that
-- no single line can be changed or taken out unseen; the head is kept apart, so that neither can the last.

CREATE OR REPLACE FUNCTION audit_hash(previous bytea, line audit_log) RETURNS bytea
LANGUAGE sql STABLE SET search_path = public, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(line.id, line.at::text, line.txid, line.who, line.what,
        line.area, line.households, line.person_id, line.purpose, line.detail)::text, 'UTF8'))
$$;

-- Lines are numbered without a gap: whoever writes one waits for the transaction that wrote the line before.
CREATE OR REPLACE FUNCTION audit(what text, area text DEFAULT '', households integer[] DEFAULT '{}',
    person integer DEFAULT NULL, purpose text DEFAULT NULL, detail jsonb DEFAULT '{}') RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head audit_head;
    line audit_log;
BEGIN
    IF coalesce(current_setting('app.user', true), '') = '' THEN
        RAISE 'it is not said who acts' USING ERRCODE = 'insufficient_privilege';
    END IF;
    SELECT * INTO head FROM audit_head FOR UPDATE;
    line.id := head.id + 1;
    line.at := now();
    line.txid := pg_current_xact_id()::text::bigint;
    line.who := current_setting('app.user');
    line.what := what;
    line.area := area;
    line.households := households;
    line.person_id := person;
    line.purpose := purpose;
    line.detail := detail;
    line.hash := audit_hash(head.hash, line);
    INSERT INTO audit_log SELECT (line).*;
    UPDATE audit_head SET id = line.id, hash = line.hash;
    RETURN line.id;
END $$;

-- Lines whose hash is not what the line before and their own words make, and gaps; nothing when all is well.
CREATE OR REPLACE FUNCTION audit_faults() RETURNS TABLE (line integer, fault text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH chained AS (
        SELECT l.id, l.hash, lag(l.id, 1, 0) OVER w AS before,
            audit_hash(lag(l.hash, 1, ''::bytea) OVER w, l) AS right_hash
        FROM audit_log l WINDOW w AS (ORDER BY l.id)
    )
    SELECT id, CASE WHEN before <> id - 1 THEN 'missing before' ELSE 'changed' END
    FROM chained WHERE before <> id - 1 OR hash <> right_hash
    UNION ALL
    SELECT h.id, 'missing at the end' FROM audit_head h LEFT JOIN audit_log l ON l.id = h.id AND l.hash = h.hash
    WHERE l.id IS NULL AND h.id > 0
    UNION ALL
    SELECT l.id, 'beyond the head' FROM audit_log l, audit_head h WHERE l.id > h.id
$$;

-- Whether this transaction has its line. Without one the role of the roster writes nothing.
CREATE OR REPLACE FUNCTION audited() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM audit_log
        WHERE txid = pg_current_xact_id_if_assigned()::text::bigint AND at = now())
$$;

CREATE OR REPLACE FUNCTION audit_stands() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    RAISE 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER audit_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_stands();

REVOKE ALL ON FUNCTION audit(text, text, integer[], integer, text, jsonb) FROM public;
REVOKE ALL ON FUNCTION audit_faults() FROM public;
