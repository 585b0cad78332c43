"""Kulldorff's scan statistics: where, and since when, more cases stand together than chance explains."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from gridmgmt.errors import InputError, NotEnoughDataError
from gridmgmt.hotspots.statistics.kernels import FloatArray, IntArray, checked_count
from gridmgmt.hotspots.statistics.scan_search import Best, Null, largest_statistics, search
from gridmgmt.hotspots.statistics.scan_study import (
    Model,
    Study,
    check_controls,
    people_of,
    time_windows,
    whole_numbers,
)
from gridmgmt.hotspots.statistics.scan_zones import Form, Penalty, Shape, Sites, Zones, squeezed_distance

# Statistics this close are the same one, summed in another order.
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Cluster:
    """A zone, in space-time with its time, that holds more cases than expected.

    Attributes
    ----------
    members : int, shape (k,); numbers of its locations by distance from the centre, ties by number
    start, end : first and last time bin, both inside; 0 and 0 when only space is scanned
    observed, expected : cases
    relative_risk : rate inside over rate outside, infinite without cases outside; in the permutation model,
        which knows no rate, observed over expected
    llr : log likelihood ratio
    p : (1 + replications whose largest statistic is at least this) / (R + 1)
    statistic : llr times the penalty of the ellipse; llr for circles. Ranks clusters and makes p
    recurrence_interval : 1 / p time bins: so long, on average, until chance alone shows as much when the
        scan is made anew every bin; None unless prospective
    centre : coordinates of the location the zone is drawn about, members[0]
    radius : distance of the farthest member; of an ellipse half its width, half its length is shape * radius
    shape, angle : length over width, and degrees counter-clockwise from the x axis to the length; 1 and 0 for
        a circle
    population : people inside (Bernoulli: cases and controls), averaged over the time of the cluster; None
        in the permutation model
    """

    members: IntArray
    start: int
    end: int
    observed: int
    expected: float
    relative_risk: float
    llr: float
    p: float
    statistic: float
    recurrence_interval: float | None
    centre: tuple[float, float]
    radius: float
    shape: float
    angle: float
    population: float | None


@dataclass(frozen=True, eq=False)
class ScanResult:
    """Clusters by falling statistic, none sharing a location with one before it; most of them are chance.

    Attributes
    ----------
    clusters : the best zone about each centre, unless it overlaps a better one
    model, form, max_duration, prospective, replications, seed : as asked; max_duration is 1 and prospective
        False when only space is scanned
    max_llr : largest statistic of every replication, shape (R,)
    """

    clusters: tuple[Cluster, ...]
    model: Model
    form: Form
    max_duration: int
    prospective: bool
    replications: int
    seed: int
    max_llr: FloatArray

    @property
    def convention(self) -> str:
        """One sentence that says how the clusters and p were made, to be printed with every result."""
        form = self.form
        zones = "circles" if form.shape == "circular" else f"circles and ellipses (penalty {form.penalty})"
        near = "" if form.max_radius is None else f" and a radius of {form.max_radius:g}"
        drawn = {
            "poisson": "cases spread in proportion to population, their total fixed",
            "bernoulli": "cases drawn without replacement from cases and controls",
            "permutation": "times shuffled among cases, totals of places and bins fixed",
        }[self.model]
        time = f", windows of at most {self.max_duration} bins" if self.max_duration > 1 else ""
        ending = " that end in the last" if self.prospective else ""
        return (
            f"Scan statistic, {self.model} model, high rates, {zones} up to {form.max_population:.0%} of the "
            f"population{near}{time}{ending}, R = {self.replications}, seed {self.seed}: {drawn}, "
            "p = (1 + #(largest of a replication >= observed)) / (R + 1)."
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan whose replications are still to be drawn: here, or in parts on several machines."""

    study: Study
    model: Model
    form: Form
    max_duration: int
    prospective: bool
    seed: int
    null: Null
    zones: Zones

    @classmethod
    def of(
        cls, study: Study, model: Model, form: Form, max_duration: int, prospective: bool, seed: int
    ) -> "Prepared":
        null = study.null(model, seed)
        return cls(study, model, form, max_duration, prospective, int(seed), null, study.zones(form))

    def run(self, replications: int) -> ScanResult:
        """Return what the scan finds, with all its replications drawn here."""
        return self.result(self.largest(0, checked_count("replications", replications)))

    def largest(self, begin: int, stop: int) -> FloatArray:
        """Return the largest statistic of the replications from `begin` to before `stop`."""
        return largest_statistics(self.null, self.zones, stop - begin, begin)

    def result(self, largest: FloatArray) -> ScanResult:
        """Return what the scan finds, given the largest statistic of every replication in their order."""
        best = search(self.null, self.zones)
        clusters = tuple(
            _cluster(self.study, self.null, self.zones, best, centre, largest, self.prospective)
            for centre in _without_overlap(self.study.sites, self.zones, best)
        )
        return ScanResult(
            clusters=clusters,
            model=self.model,
            form=self.form,
            max_duration=self.max_duration,
            prospective=self.prospective,
            replications=len(largest),
            seed=self.seed,
            max_llr=largest,
        )


def spatial_scan(
    cases: ArrayLike,
    population: ArrayLike,
    xy: ArrayLike,
    max_population: float = 0.5,
    replications: int = 999,
    seed: int = 0,
    *,
    max_radius: float | None = None,
    model: Literal["poisson", "bernoulli"] = "poisson",
    shape: Shape = "circular",
    penalty: Penalty = "medium",
    min_cases: int = 2,
) -> ScanResult:
    """Return where cases are more than the population explains: the spatial scan statistic.

    Circles about every location grow by one location at a time. With c of all C cases inside and e expected,
    a circle with c > e has the log likelihood ratio

        c ln(c / e) + (C - c) ln((C - c) / (C - e))

    (Bernoulli: and the same of the controls). The largest is compared with the largest of R worlds in which
    the cases fall at random.

    Parameters
    ----------
    cases : whole numbers, shape (n,)
    population : people or households, shape (n,), positive where there are cases; with "bernoulli" cases and
        controls together, whole numbers
    xy : coordinates of the locations in a plane, shape (n, 2); distances are straight lines in their unit
    max_population : in (0, 0.5]; no zone holds more than this share of the population
    max_radius : no zone reaches farther, in the unit of xy; of an ellipse half its width. None: as far as the
        population allows
    replications : R, at least 1
    seed : in [0, 2**64); the same seed gives the same bytes on any number of threads
    model : "poisson", or "bernoulli" for cases and controls
    shape : "circular", or "elliptic" for ellipses of length / width 1.5, 2, 3, 4 and 5 as well
    penalty : "none", "medium" or "strong"; the ratio of an ellipse of shape s is multiplied by
        (4 s / (s + 1)**2) to the power 0, 1/2 or 1
    min_cases : a zone of fewer is no cluster, in the worlds as in the data

    Raises
    ------
    NotEnoughDataError
        When there are fewer than `min_cases` cases, no controls, or all locations are at one place.
    InputError
        When an argument is not as above, or no single location is within `max_population`.

    >>> found = spatial_scan([9, 8, 1, 0], [100, 100, 100, 100], [[0, 0], [0, 1], [5, 0], [5, 1]])
    >>> found.clusters[0].members
    array([0, 1])

    Source: Kulldorff 1997, Communications in Statistics 26(6); Kulldorff et al. 2006, Statistics in Medicine
    25(22) (ellipses); docs/methods/scan.md.
    """
    if model not in ("poisson", "bernoulli"):
        raise InputError("model", model, '"poisson" or "bernoulli"')
    counted = whole_numbers("cases", cases, 1)[:, None]
    people = people_of(population, counted)
    if model == "bernoulli":
        check_controls(people, counted)
    study = Study.of(counted, people, xy, time_windows(1, 1, False), min_cases)
    form = Form(max_population, max_radius, shape, penalty)
    return Prepared.of(study, model, form, 1, False, seed).run(replications)


def space_time_scan(
    cases: ArrayLike,
    xy: ArrayLike,
    population: ArrayLike | None = None,
    max_population: float = 0.5,
    max_duration: int | None = None,
    prospective: bool = False,
    replications: int = 999,
    seed: int = 0,
    *,
    max_radius: float | None = None,
    shape: Shape = "circular",
    penalty: Penalty = "medium",
    min_cases: int = 2,
) -> ScanResult:
    """Return where and when cases are more than expected: the space-time scan statistic.

    Zones as in `spatial_scan`, each with windows of 1 to `max_duration` time bins. Without a population the
    model is the space-time permutation: a zone with N of all C cases is expected to have N D / C of the D
    cases of a window, so what is always high, or high everywhere at once, is no cluster. With a population it
    is Poisson, and both are.

    Parameters
    ----------
    cases : whole numbers, shape (n, t), t bins of equal length
    xy : coordinates of the locations in a plane, shape (n, 2)
    population : people, shape (n,) or (n, t), positive where there are cases; None for the permutation model
    max_population : in (0, 0.5]; no zone holds more than this share of the population, summed over time; in
        the permutation model, of all cases
    max_duration : in bins, less than t; half of t, rounded down, when None
    prospective : scan only windows that end in the last bin (what is going on now), not all
    replications, seed, max_radius, shape, penalty, min_cases : as `spatial_scan`

    Raises
    ------
    NotEnoughDataError
        When there are fewer than `min_cases` cases, fewer than 2 bins, or all locations are at one place.
    InputError
        When an argument is not as above, or no single location is within `max_population`.

    Source: Kulldorff 2001, JRSS A 164(1); Kulldorff et al. 2005, PLoS Medicine 2(3) (permutation);
    docs/methods/scan.md.
    """
    prepared = prepare(
        cases, xy, population, max_population, max_duration, prospective, seed,
        max_radius=max_radius, shape=shape, penalty=penalty, min_cases=min_cases,
    )  # fmt: skip
    return prepared.run(replications)


def prepare(
    cases: ArrayLike,
    xy: ArrayLike,
    population: ArrayLike | None = None,
    max_population: float = 0.5,
    max_duration: int | None = None,
    prospective: bool = False,
    seed: int = 0,
    *,
    max_radius: float | None = None,
    shape: Shape = "circular",
    penalty: Penalty = "medium",
    min_cases: int = 2,
) -> "Prepared":
    """Return a space-time scan whose replications are still to be drawn; all as `space_time_scan`."""
    counted = whole_numbers("cases", cases, 2)
    bins = counted.shape[1]
    if bins < 2:
        raise NotEnoughDataError("cases", f"{bins} time bins", "at least 2 time bins")
    longest = bins // 2 if max_duration is None else checked_count("max_duration", max_duration)
    if longest >= bins:
        raise InputError("max_duration", longest, f"fewer than the {bins} time bins")
    people = None if population is None else people_of(population, counted)
    study = Study.of(counted, people, xy, time_windows(bins, longest, bool(prospective)), min_cases)
    model: Model = "permutation" if people is None else "poisson"
    form = Form(max_population, max_radius, shape, penalty)
    return Prepared.of(study, model, form, longest, bool(prospective), seed)


def warm_up() -> None:
    """Load the compiled kernels from the cache on disk, or compile them, so that the next call is quick."""
    xy = [[0, 0], [0, 1], [5, 0], [5, 1]]
    spatial_scan([3, 2, 0, 1], [9, 9, 9, 9], xy, replications=1)
    space_time_scan([[1, 2], [2, 1], [1, 1], [1, 1]], xy, replications=1)


def _without_overlap(sites: Sites, zones: Zones, best: Best) -> list[int]:
    """Centres whose best zone is a cluster, by falling statistic; equal ones as the locations were given."""
    number = np.unique(sites.of_location, return_index=True)[1]
    taken = np.zeros(len(sites.xy), dtype=bool)
    chosen = []
    for centre in np.lexsort((number, -np.round(best.statistic, 9))):
        inside = _sites_of(zones, best, centre)
        if best.statistic[centre] > 0 and not taken[inside].any():
            taken[inside] = True
            chosen.append(int(centre))
    return chosen


def _sites_of(zones: Zones, best: Best, centre: int) -> IntArray:
    return zones.members[zones.indptr[best.row[centre]] : best.end[centre]].astype(np.int64)


def _radius(sites: Sites, zones: Zones, best: Best, centre: int) -> float:
    """Distance from the centre to the last location of its best zone, squeezed for an ellipse."""
    row, end = best.row[centre], best.end[centre]
    last = sites.xy[[zones.members[end - 1]]]
    shape = float(zones.shapes[zones.form[row]])
    return float(squeezed_distance(last, sites.xy[centre], shape, float(zones.angle[row]))[0])


def _cluster(
    study: Study,
    null: Null,
    zones: Zones,
    best: Best,
    centre: int,
    largest: FloatArray,
    prospective: bool,
) -> Cluster:
    row, window, statistic = best.row[centre], int(best.window[centre]), float(best.statistic[centre])
    shape, angle = float(zones.shapes[zones.form[row]]), float(zones.angle[row])
    inside = _sites_of(zones, best, centre)
    start, stop = (int(bin_) for bin_ in study.windows[window])
    observed = int(study.cases[inside, start:stop].sum())
    expected = float(null.size_in(window)[inside].sum() * null.factor[window])
    p = float((1 + (largest >= statistic - _SAME * max(1.0, statistic)).sum()) / (1 + len(largest)))
    people = study.people
    return Cluster(
        members=_members(study.sites, inside, centre, shape, angle),
        start=start,
        end=stop - 1,
        observed=observed,
        expected=expected,
        relative_risk=_relative_risk(observed, expected, None if people is None else null.total),
        llr=statistic / float(zones.penalties[zones.form[row]]),
        p=p,
        statistic=statistic,
        recurrence_interval=1 / p if prospective else None,
        centre=(float(study.sites.xy[centre, 0]), float(study.sites.xy[centre, 1])),
        radius=_radius(study.sites, zones, best, centre),
        shape=shape,
        angle=angle,
        population=None if people is None else float(people[inside, start:stop].sum(axis=0).mean()),
    )


def _members(sites: Sites, inside: IntArray, centre: int, shape: float, angle: float) -> IntArray:
    """Numbers of the locations at the sites, by distance from the centre, equally far ones by number."""
    numbers = np.flatnonzero(np.isin(sites.of_location, inside))
    at = sites.xy[sites.of_location[numbers]]
    distance = squeezed_distance(at, sites.xy[centre], shape, angle)
    alike = np.round(distance / max(distance.max(), np.finfo(float).tiny), 9)
    return numbers[np.lexsort((numbers, alike))]


def _relative_risk(observed: int, expected: float, total: int | None) -> float:
    if total is None:
        return observed / expected
    if observed == total:
        return float("inf")
    return (observed / expected) / ((total - observed) / (total - expected))
