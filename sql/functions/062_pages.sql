-- How many numbers whoever acts has had shown in full within the hour; grid staff cannot read the log itself.
CREATE OR REPLACE FUNCTION roster_reveals() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT count(*)::integer FROM audit_log
    WHERE at > now() - interval '1 hour' AND what = 'person.reveal' AND who = current_setting('app.user', true)
$$;
REVOKE ALL ON FUNCTION roster_reveals() FROM public;
