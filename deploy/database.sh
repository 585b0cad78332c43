#!/bin/sh
# database.sh: makes the role and the database of gridmgmt in this machine's PostgreSQL. Safe to repeat; as root.
#
# The role is no superuser and makes no roles: it owns its database, may act as the roles that `gridmgmt db up`
# hands rights to, and may stream the log for `gridmgmt db archive`. Those roles and PostGIS are made here.
set -eu
psql() { runuser -u postgres -- psql -qAtX -v ON_ERROR_STOP=1 "$@"; }
cd /
[ -n "$(psql -c "SELECT 1 FROM pg_roles WHERE rolname = 'gridmgmt'")" ] ||
    psql -c 'CREATE ROLE gridmgmt LOGIN REPLICATION'
for role in reader writer roster auditor matters; do
    [ -n "$(psql -c "SELECT 1 FROM pg_roles WHERE rolname = 'gridmgmt_$role'")" ] || psql -c "CREATE ROLE gridmgmt_$role NOLOGIN"
    psql -c "GRANT gridmgmt_$role TO gridmgmt WITH ADMIN OPTION"
done
[ -n "$(psql -c "SELECT 1 FROM pg_database WHERE datname = 'gridmgmt'")" ] ||
    psql -c "CREATE DATABASE gridmgmt OWNER gridmgmt TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
psql -d gridmgmt -c 'CREATE EXTENSION IF NOT EXISTS postgis'
# For a restore drill (`gridmgmt db drill`).
psql -d gridmgmt -c 'GRANT EXECUTE ON FUNCTION pg_create_restore_point(text), pg_switch_wal() TO gridmgmt'
# Values of a failed statement may be personal: they must not reach the server's log.
psql -c "ALTER DATABASE gridmgmt SET log_parameter_max_length_on_error = 0"
psql -c "ALTER DATABASE gridmgmt SET log_min_error_statement = 'panic'"
psql -c "ALTER DATABASE gridmgmt SET jit = off"
