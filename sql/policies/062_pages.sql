GRANT EXECUTE ON FUNCTION roster_reveals() TO gridmgmt_roster;
