"""Backups that the server itself cannot read, the log between them, and the way back."""
