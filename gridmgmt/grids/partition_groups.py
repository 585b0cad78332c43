"""Which grids of a village are kept, put together or divided, so that each fits the household band."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gridmgmt.errors import InputError

# Parts come out a few per cent uneven: a weight fits when its even share keeps this far inside the band,
# as a share of the band's width.
MARGIN = 0.1
# A rural grid follows a villagers' group, however small; it is put with another one only below this share of
# the band's lower end.
TINY = 1 / 6


@dataclass(frozen=True)
class Group:
    """Grids whose ground together is divided into `parts`; one grid and one part: it stays as it is."""

    keys: tuple[str, ...]
    parts: int

    @property
    def kept(self) -> bool:
        return len(self.keys) == 1 and self.parts == 1


def parts_for(weight: float, low: int, high: int) -> int:
    """Return into how many parts a weight is best divided: the nearest to the middle of the band each.

    At least 1. Some weights fit no number (501 to 599 for a band of 300 to 500): then the number that leaves
    the band least. Raises InputError when the band is none.

    >>> parts_for(1000, 300, 500), parts_for(560, 300, 500), parts_for(12, 300, 500)
    (3, 2, 1)
    """
    if not 0 < low < high:
        raise InputError("low, high", (low, high), "a band from low to high, both above 0")
    few = max(1, int(weight // ((low + high) / 2)))
    each = weight / np.array([few, few + 1])
    outside = np.maximum(np.maximum(low - each, each - high), 0)
    off = np.abs(each - (low + high) / 2)
    return few + int(np.lexsort((off, outside))[0])


def town_groups(
    weights: Mapping[str, float], neighbours: Mapping[str, Iterable[str]], low: int, high: int
) -> list[Group]:
    """Return what to do with the grids of a town's community so that as many as can lie in the band.

    What lies in the band stays. What does not is divided on its own when its parts fit, else together with
    the neighbouring grids with which they fit best, those outside the band first.

    Parameters
    ----------
    weights : mapping of key -> households
    neighbours : mapping of key -> keys that share an edge
        Others than the keys of `weights` are left out.
    """
    groups = {key: frozenset([key]) for key in sorted(weights)}
    wrong = {key for key, weight in weights.items() if not low <= weight <= high}

    def held(group: frozenset[str]) -> float:
        return sum(weights[key] for key in group)

    def settled(group: frozenset[str]) -> bool:
        return not group & wrong or _fits(held(group), low, high)

    stuck: set[frozenset[str]] = set()
    while open_ := sorted((g for g in set(groups.values()) - stuck if not settled(g)), key=_order(held)):
        group = open_[0]
        beside = {groups[k] for key in group for k in neighbours.get(key, ()) if k in groups} - {group}
        if not beside:
            stuck.add(group)
            continue
        best = min(beside, key=lambda other: _badness(held(group | other), low, high, group, other, wrong))
        for key in group | best:
            groups[key] = group | best
    return [
        Group(tuple(sorted(group)), parts_for(held(group), low, high) if group & wrong else 1)
        for group in sorted(set(groups.values()), key=sorted)
    ]


def rural_groups(
    weights: Mapping[str, float], neighbours: Mapping[str, Iterable[str]], low: int, high: int
) -> list[Group]:
    """Return what to do with the grids of a village: only what is above the band or tiny is touched.

    Parameters as in `town_groups`.
    """
    groups = {key: frozenset([key]) for key in sorted(weights)}
    for key in sorted(weights, key=lambda k: (weights[k], k)):
        if sum(weights[k] for k in groups[key]) >= low * TINY:
            continue
        beside = {groups[k] for k in neighbours.get(key, ()) if k in groups} - {groups[key]}
        least = min(beside, key=_order(lambda g: sum(weights[k] for k in g)), default=None)
        if least is None or sum(weights[k] for k in groups[key] | least) > high:
            continue
        together = groups[key] | least
        groups.update(dict.fromkeys(together, together))
    found = []
    for group in sorted(set(groups.values()), key=sorted):
        weight = sum(weights[k] for k in group)
        found.append(
            Group(tuple(sorted(group)), max(2, parts_for(weight, low, high)) if weight > high else 1)
        )
    return found


def afresh(weights: Mapping[str, float], town: bool, low: int, high: int) -> list[Group]:
    """Return all grids of a village as one group: parts by the band in towns; as many as now in the country,
    unless the band needs more."""
    total = sum(weights.values())
    parts = parts_for(total, low, high) if town else max(len(weights), int(np.ceil(total / high)))
    return [Group(tuple(sorted(weights)), parts)]


def _fits(weight: float, low: int, high: int) -> bool:
    margin = MARGIN * (high - low)
    return low + margin <= weight / parts_for(weight, low, high) <= high - margin


def _badness(weight, low, high, group, other, wrong):  # type: ignore[no-untyped-def]
    off = abs(weight / parts_for(weight, low, high) - (low + high) / 2)
    return not _fits(weight, low, high), not other & wrong, len(other), off, sorted(other)


def _order(held):  # type: ignore[no-untyped-def]
    return lambda group: (held(group), sorted(group))
