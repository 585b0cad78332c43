"""How large the synthetic city is: every count at a given scale, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gridmgmt.errors import InputError

SMALLEST, LARGEST = 0.02, 3.0


@dataclass(frozen=True)
class Size:
    """Counts of the city at one scale; at scale 1 they are the figures of the published city."""

    scale: float
    grids: int
    predecessors: int
    streets: int
    rural_towns: int
    villages: int
    communities: int
    households: int
    persons: int
    workers: int
    full_time: int
    matters_a_year: int

    @property
    def length(self) -> float:
        """Factor on every large length (county, town, river), so that densities stay as they are."""
        return math.sqrt(self.scale)

    def few(self, count: int, least: int = 1) -> int:
        """Return `count` of the full-scale city brought to this scale, and not under `least`."""
        return max(least, round(count * self.scale))


def size_at(scale: float) -> Size:
    """Return the counts of the city at `scale` (0.02 to 3; 1 is the whole county).

    Raises
    ------
    InputError
        When the scale is outside what still makes a city with towns, villages and grids.
    """
    if not SMALLEST <= scale <= LARGEST:
        raise InputError("scale", scale, f"a number from {SMALLEST} to {LARGEST}")
    grids = round(1001 * scale)
    workers = grids + 1
    return Size(
        scale=scale,
        grids=grids,
        predecessors=round(777 * scale),
        streets=max(1, round(5 * scale)),
        rural_towns=max(2, round(11 * scale)),
        villages=max(9, round(450 * scale)),
        communities=max(3, round(76 * scale)),
        households=round(300_000 * scale),
        persons=round(800_000 * scale),
        workers=workers,
        full_time=round(workers * 332 / 1002),
        matters_a_year=round(60_000 * scale),
    )
