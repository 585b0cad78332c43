"""The desk of the index (平安指数): scores and why, talks, bulletins, and what departments send in."""

from gridmgmt.web.index import board, bulletins, compare, entry, talks, units

__all__ = ["MODULES", "compare", "units"]  # the last two add their routes to the board's blueprint
MODULES = (board, talks, bulletins, entry)
