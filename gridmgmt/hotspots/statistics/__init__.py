"""Spatial statistics on arrays: numbers in, frozen results out, nothing of the database.

Methods, their assumptions and sources are in docs/methods.
"""

from gridmgmt.hotspots.statistics import getis_ord, significance, weights

__all__ = ["getis_ord", "significance", "warm_up", "weights"]


def warm_up() -> None:
    """Load every compiled kernel from the cache on disk, or compile it; call once when a process starts."""
    getis_ord.warm_up()
