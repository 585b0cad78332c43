"""Papers of a matter as DOCX and PDF."""
