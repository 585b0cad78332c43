-- The owner acts as each of these roles (db/engine.py). A superuser may anyway; another owner must be a member,
-- and was made one by whoever made the roles (deploy/database.sh), or may grant them itself.
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['gridmgmt_reader', 'gridmgmt_writer', 'gridmgmt_roster', 'gridmgmt_auditor',
        'gridmgmt_matters']
    LOOP
        IF NOT pg_has_role(current_user, role, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', role);
        END IF;
    END LOOP;
END $$;
