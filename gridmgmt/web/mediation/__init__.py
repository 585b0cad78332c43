"""Mediation, deliberation, meetings and the talent pool."""

from gridmgmt.web.mediation import matter, meetings, pool
from gridmgmt.web.mediation.blueprint import OFFICES, pages

__all__ = ["OFFICES", "matter", "meetings", "pages", "pool"]
