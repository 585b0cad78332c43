"""What `gridmgmt doctor` looks at: settings, program, machine and database, each a module of small checks."""
