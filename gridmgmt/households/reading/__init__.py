"""What grid staff and town offices see of the roster: each reading leaves one line in the audit log."""
