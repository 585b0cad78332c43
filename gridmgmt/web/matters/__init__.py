"""The office's inbox, the page of a matter, and what can be done there."""

from gridmgmt.web.matters import acts, export, lists, page, service_days
from gridmgmt.web.matters.blueprint import pages

__all__ = ["acts", "export", "lists", "page", "pages", "service_days"]
