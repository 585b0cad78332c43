"""Hotspot statistics on real data: incidents of St. Louis, 2015-2019, and seven questions about them.

    ./dev run python docs/examples/st_louis.py DATA_FOLDER [--out FOLDER]

docs/examples/st-louis.md says where the data come from, and what may be concluded from each answer and what
may not. Of an incident the time, the place and the code are read; addresses and descriptions are not.
"""

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from dateutil.easter import easter  # type: ignore[import-untyped]
from scipy import stats
from scipy.special import ndtr

from gridmgmt.calendar import xun_of
from gridmgmt.grids.adjacency import contiguity
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.hotspots.peaks import Peak, find_peaks
from gridmgmt.hotspots.rates import empirical_bayes
from gridmgmt.hotspots.statistics import clusters, density, getis_ord, scan, significance, trend
from gridmgmt.hotspots.statistics.trend import NAMES, Pattern
from gridmgmt.hotspots.statistics.weights import Weights

YEARS = range(2015, 2020)
WHOLE_2019 = "2019-01-01", "2019-12-31"
# First and last code of a kind, as the police number them.
KINDS = {
    "burglary": (50_000, 59_999),
    "theft from vehicles": (64_000, 64_999),
    "theft of vehicle parts": (65_000, 65_999),
    "theft of bicycles": (66_000, 66_999),
    "theft of vehicles": (70_000, 79_999),
    "damage to property": (140_000, 149_999),
    "liquor laws": (220_000, 229_999),
}


def main() -> None:
    asked = arguments()
    city = City.read(asked.data)
    print(city)
    for name, question in QUESTIONS.items():
        answer = question(city)
        print(f"\n{name}", *answer.told(city), sep="\n  ")
        if asked.out:
            from st_louis_pictures import save  # slow to load; the numbers need it not

            save(name, city, answer, asked.out)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with the publishers' files, see st-louis.md")
    parser.add_argument("--out", type=Path, help="draw the pictures too, into this folder")
    return parser.parse_args()


# --- the data


@dataclass(frozen=True)
class City:
    """The cells of the map book, who neighbours whom, and the incidents.

    Attributes
    ----------
    cells : 203 polygons with PageName and AreaKM, in metres (Missouri East, EPSG:26996)
    neighbours : cells with a common edge or corner
    incidents : occurred, code, x, y in metres (NaN without a place), cell (-1 outside all of them)
    """

    cells: gpd.GeoDataFrame
    neighbours: Weights
    incidents: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "City":
        cells = gpd.read_file(files(folder, "STL_BOUNDARY_GridsClipped.geo[jJ][sS][oO][nN]")[0])
        neighbours = Weights.from_pairs(len(cells), *contiguity(cells.geometry.to_numpy()))
        cells = cells.to_crs("EPSG:26996")
        incidents = read_incidents(folder)
        holder = PointAssigner(cells.PageName, cells.geometry.to_numpy())
        return cls(cells, neighbours, incidents.assign(cell=holder.assign(incidents.x, incidents.y)))

    def __len__(self) -> int:
        return len(self.cells)

    def __str__(self) -> str:
        placed, inside = self.incidents.x.notna().sum(), (self.incidents.cell >= 0).sum()
        return f"{len(self.incidents):,} incidents, {placed:,} with a place, {inside:,} in {len(self)} cells"

    @property
    def names(self) -> np.ndarray:
        return self.cells.PageName.to_numpy()

    @property
    def km2(self) -> np.ndarray:
        return self.cells.AreaKM.to_numpy()

    @property
    def xy(self) -> np.ndarray:
        """A point inside each cell, in metres, shape (203, 2)."""
        return shapely.get_coordinates(self.cells.representative_point())

    def of(self, kind: str, first: str = "2015-01-01", last: str = "2019-12-31") -> pd.DataFrame:
        """Return the incidents of a kind that lie in a cell; both days are inside."""
        kept = self.incidents.code.between(*KINDS[kind]) & (self.incidents.cell >= 0)
        kept &= self.incidents.occurred.dt.normalize().between(first, last)
        return self.incidents[kept]

    def by_month(self, kind: str) -> np.ndarray:
        """Return the cube of cells x 60 months."""
        found = self.of(kind)
        month = (found.occurred.dt.year - YEARS[0]) * 12 + found.occurred.dt.month - 1
        return counted(found.cell, month, (len(self), 60))

    def by_week(self, kind: str, last: pd.Timestamp, weeks: int) -> np.ndarray:
        """Return the cube of cells x weeks, the last of which ends with the day `last`."""
        found = self.of(kind, str(last - pd.Timedelta(days=7 * weeks - 1)), str(last))
        week = weeks - 1 - (last - found.occurred.dt.normalize()).dt.days // 7
        return counted(found.cell, week, (len(self), weeks))


def counted(row: pd.Series, column: pd.Series | np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    cube = np.zeros(shape, dtype=np.int64)
    np.add.at(cube, (np.asarray(row), np.asarray(column)), 1)
    return cube


# Ours by theirs, without capitals, spaces and hyphens: the monthly releases do not agree on those.
COLUMNS = {
    "dateoccur": "occurred", "crime": "code", "count": "count", "xcoord": "x", "ycoord": "y",
    "occurred": "occurred", "crimecode": "code", "xft": "x", "yft": "y",
}  # fmt: skip
FOOT = 1200 / 3937  # US survey foot, in metres


def read_incidents(folder: Path) -> pd.DataFrame:
    """Return what the publisher counts: occurred in 2015 to 2019, count 1 (-1 withdraws)."""
    tables = files(folder, "incidents.csv*", "*201[5-9].csv")
    read = pd.concat([read_columns(table) for table in tables], ignore_index=True)
    kept = read[(read["count"] == 1) & read.occurred.dt.year.isin(YEARS)].reset_index(drop=True)
    nowhere = kept.x == 0
    return kept.assign(x=kept.x.mask(nowhere) * FOOT, y=kept.y.mask(nowhere) * FOOT)


def read_columns(file: Path) -> pd.DataFrame:
    def ours(name: str) -> str:
        return COLUMNS.get(re.sub("[^a-z]", "", name.lower()), "")

    table = pd.read_csv(file, encoding="latin-1", usecols=lambda name: ours(name) != "")
    table = table.rename(columns=ours)
    return table.assign(occurred=pd.to_datetime(table.occurred, format="mixed", errors="coerce"))


def files(folder: Path, *patterns: str) -> list[Path]:
    """Return the files of the first pattern that has any."""
    for pattern in patterns:
        if found := sorted(folder.rglob(pattern)):
            return found
    raise SystemExit(
        f"{folder} holds no {' or '.join(patterns)}; docs/examples/st-louis.md says what it needs"
    )


# --- 1 where is it often, for the size of the cell?


class Rates(NamedTuple):
    counts: np.ndarray
    rate: np.ndarray  # a km² and year
    smoothed: np.ndarray

    @property
    def most_smoothed(self) -> int:
        return int(np.argmax(self.rate - self.smoothed))

    def told(self, city: City) -> list[str]:
        cell, none = self.most_smoothed, self.counts == 0
        return [
            f"{self.counts.sum():,} incidents on {city.km2.sum():.1f} km²: "
            f"{self.counts.sum() / city.km2.sum():.1f} a km²",
            f"{city.names[cell]}: {self.counts[cell]} incidents on {city.km2[cell]:.2f} km² make "
            f"{self.rate[cell]:.1f} a km², smoothed {self.smoothed[cell]:.1f}",
            f"{none.sum()} cells without an incident, {city.km2[none].sum():.1f} km² in all: rate 0, "
            f"smoothed {self.smoothed[none].min():.1f} to {self.smoothed[none].max():.1f}",
        ]


def rates(city: City) -> Rates:
    found = city.of("damage to property", *WHOLE_2019)
    counts = np.bincount(found.cell, minlength=len(city))
    return Rates(counts, counts / city.km2, empirical_bayes(counts, city.km2))


# --- 2 which cells are hot when all were looked at together?


class HotCells(NamedTuple):
    test: getis_ord.GiStarTest
    alone: np.ndarray
    together: np.ndarray

    @property
    def hot(self) -> np.ndarray:
        return self.test.z > 0

    def told(self, city: City) -> list[str]:
        normal = self.test.p_analytic
        return [
            f"p < 0.05: {(self.alone & self.hot).sum()} hot, {(self.alone & ~self.hot).sum()} cold; "
            f"chance alone makes about {0.05 * len(city):.0f} of {len(city)}",
            f"q < 0.05: {(self.together & self.hot).sum()} hot, {(self.together & ~self.hot).sum()} cold",
            f"by the normal curve: {(normal < 0.05).sum()} at p < 0.05, "
            f"{significance.fdr(normal).sum()} at q < 0.05",
        ]


def hot_cells(city: City) -> HotCells:
    test = getis_ord.gi_star_test(rates(city).smoothed, city.neighbours, permutations=9999, seed=0)
    alone = test.p_tail < 0.05
    together = significance.fdr(test.p_tail, alpha=0.05)
    return HotCells(test, alone, together)


# --- 3 where does it rise or fall?


class Trends(NamedTuple):
    cube: np.ndarray
    whole: trend.MannKendall
    each: trend.MannKendall
    stands: np.ndarray

    def told(self, city: City) -> list[str]:
        years = self.cube.sum(axis=0).reshape(-1, 12).sum(axis=1)
        fall, rise = (self.stands & (self.each.s < 0)).sum(), (self.stands & (self.each.s > 0)).sum()
        plain = trend.mann_kendall(self.cube).p
        return [
            f"city: {', '.join(f'{n:,}' for n in years)} a year; slope {self.whole.slope:.1f} a month "
            f"from one year to the next, p = {self.whole.p:.4f}",
            f"cells: {(self.each.p < 0.05).sum()} at p < 0.05; at q < 0.05 {fall} falling, {rise} rising",
            f"by plain Mann-Kendall: {(plain < 0.05).sum()} at p < 0.05, "
            f"{significance.fdr(plain).sum()} at q < 0.05",
        ]


def trends(city: City) -> Trends:
    cube = city.by_month("burglary")
    whole = trend.seasonal_mann_kendall(cube.sum(axis=0), period=12)
    each = trend.seasonal_mann_kendall(cube, period=12)
    return Trends(cube, whole, each, significance.fdr(each.p, alpha=0.05))


# --- 4 which cells are hot always, sometimes, or at the same time every year?


class Patterns(NamedTuple):
    cube: np.ndarray
    found: trend.Emerging

    @property
    def busiest(self) -> int:
        """The seasonal cell with most incidents."""
        seasonal = self.found.codes == Pattern.SEASONAL_HOT
        return int(np.argmax(self.cube.sum(axis=1) * seasonal))

    def told(self, city: City) -> list[str]:
        codes, cell, days = self.found.codes, self.busiest, self.busiest_days(city)
        each = [f"{n} {NAMES[Pattern(code)][1]}" for code, n in zip(*np.unique_counts(codes), strict=True)]
        seasonal, season = ", ".join(city.names[codes == Pattern.SEASONAL_HOT]), self.found.season
        assert season is not None  # a period was given
        before_easter = ((easter(day.year) - day.date()).days for day, _ in days)
        return [
            ", ".join(each),
            f"seasonal: {seasonal}; p of the season of {city.names[cell]} {season.p[cell]:.4f}",
            "its busiest days: " + ", ".join(f"{day:%a %d %b %Y} ({n})" for day, n in days),
            "days before Easter: " + ", ".join(map(str, before_easter)),
        ]

    def busiest_days(self, city: City) -> list[tuple[pd.Timestamp, int]]:
        """The busiest cell's busiest day of each year, with its incidents."""
        found = city.of("liquor laws")
        days = found.occurred[found.cell == self.busiest].dt.normalize().value_counts()
        by_year = [days[days.index.year == year] for year in YEARS]
        return [(of_year.idxmax(), int(of_year.max())) for of_year in by_year]


def patterns(city: City) -> Patterns:
    cube = city.by_month("liquor laws")
    z = trend.space_time_gi_star(cube, city.neighbours, neighbour_steps=0, window="step")
    around = city.neighbours.with_self().sparse
    share = (around @ city.km2 / city.km2.sum())[:, None]
    of_counts = stats.binom.sf(around @ cube - 1, cube.sum(axis=0), share)
    p = np.minimum(1, 2 * np.maximum(ndtr(-z), of_counts))
    return Patterns(cube, trend.classify(z, p, alpha=0.05, period=12))


# --- 5 what would a scan have said at the time, and what followed?

MONTH_ENDS = pd.date_range("2018-01-31", "2018-12-31", freq="ME")


class Alarm(NamedTuple):
    day: pd.Timestamp
    cluster: scan.Cluster
    by_week: np.ndarray  # in the cells of the cluster: 52 weeks before the scan, four after
    expected: np.ndarray

    @property
    def since(self) -> pd.Timestamp:
        return self.day - pd.Timedelta(days=7 * (52 - self.cluster.start) - 1)

    @property
    def after(self) -> tuple[int, float]:
        """Observed and expected in the four weeks after."""
        return int(self.by_week[52:].sum()), float(self.expected[52:].sum())


class Alarms(NamedTuple):
    each: list[Alarm]

    @property
    def shown(self) -> Alarm:
        return self.each[5]  # the end of June

    def told(self, city: City) -> list[str]:
        cluster, (seen, awaited) = self.shown.cluster, self.shown.after
        during = [alarm.cluster.relative_risk for alarm in self.each]
        later = [alarm.after[0] / alarm.after[1] for alarm in self.each]
        return [
            f"{self.shown.since:%d %b} to {self.shown.day:%d %b %Y}, {len(cluster.members)} cells, radius "
            f"{cluster.radius / 1000:.1f} km: {cluster.observed} observed, {cluster.expected:.1f} expected",
            f"p = {cluster.p:.3f}, recurrence interval {cluster.recurrence_interval:,.0f} weeks",
            f"the four weeks after: {seen} observed, {awaited:.1f} expected",
            f"12 month-ends: p < 0.05 at {sum(alarm.cluster.p < 0.05 for alarm in self.each)}",
            f"observed / expected, median of the 12: {np.median(during):.2f} in the cluster, "
            f"{np.median(later):.2f} in the four weeks after; there above 1 at {sum(r > 1 for r in later)}",
        ]


def alarms(city: City) -> Alarms:
    return Alarms([alarm(city, day) for day in MONTH_ENDS])


def alarm(city: City, day: pd.Timestamp) -> Alarm:
    cases = city.by_week("theft from vehicles", day, weeks=52)
    found = scan.space_time_scan(
        cases, city.xy, max_population=0.1, max_duration=8, prospective=True, replications=999, seed=0
    )
    cluster = found.clusters[0]
    after = city.by_week("theft from vehicles", day + pd.Timedelta(weeks=4), weeks=4)
    weeks = np.concatenate([cases, after], axis=1)
    share = cases[cluster.members].sum() / cases.sum()
    return Alarm(day, cluster, weeks[cluster.members].sum(axis=0), weeks.sum(axis=0) * share)


# --- 6 where do the points themselves crowd?


class Points(NamedTuple):
    xy: np.ndarray
    surface: density.Surface
    places: np.ndarray
    bursts: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return np.bincount(self.places[self.places >= 0])

    @property
    def outlines(self) -> gpd.GeoSeries:
        """Each cluster's ground: all within 75 m of its points."""
        near = np.asarray(shapely.buffer(shapely.points(self.xy), 75))
        return gpd.GeoSeries([shapely.union_all(near[self.places == k]) for k in range(len(self.sizes))])

    @property
    def km2(self) -> float:
        return self.outlines.union_all().area / 1e6

    def told(self, city: City) -> list[str]:
        share, km2 = self.sizes.sum() / len(self.xy), self.km2
        return [
            f"{len(self.xy):,} thefts at {len(np.unique(self.xy, axis=0)):,} points; the surface holds "
            f"{self.surface.total:,.0f}, at most {self.surface.density.max() * 1e6:,.0f} a km²",
            f"DBSCAN: {len(self.sizes)} clusters of {', '.join(map(str, np.sort(self.sizes)[::-1]))}; "
            f"{share:.0%} of the thefts on {km2:.1f} km², {km2 / city.km2.sum():.1%} of the city",
            f"ST-DBSCAN: {self.bursts.max() + 1} bursts with {(self.bursts >= 0).sum()} thefts",
        ]


def points(city: City) -> Points:
    found = city.of("theft from vehicles", *WHOLE_2019)
    xy, day = found[["x", "y"]].to_numpy(), found.occurred.dt.day_of_year.to_numpy()
    surface = density.kde(xy, bandwidth=300, bounds=tuple(city.cells.total_bounds), cell=50)
    places = clusters.dbscan(xy, eps=150, min_points=30)
    bursts = clusters.st_dbscan(xy, day, eps=150, days=3, min_points=8)
    return Points(xy, surface, places, bursts)


# --- 7 at what time of the year does it come?


class Peaks(NamedTuple):
    counts: np.ndarray  # kinds, years, 36 thirds of a month (旬)
    days: np.ndarray  # years, 36
    found: list[Peak]
    kinds: tuple[str, ...] = tuple(KINDS)

    def told(self, city: City) -> list[str]:
        return [
            f"{self.kinds[peak.column]}, {xun_words(peak.start)}: {peak.count}, in an even year "
            f"{peak.expected:.0f}, q = {peak.q:.3f}; by year {', '.join(map(str, peak.by_year))}"
            for peak in self.found
        ]


def peaks(city: City) -> Peaks:
    counts = np.array([by_xun(city.of(kind).occurred) for kind in KINDS])
    days = by_xun(pd.Series(pd.date_range("2015-01-01", "2019-12-31")))
    return Peaks(counts, days, find_peaks(counts, days))


def by_xun(days: pd.Series) -> np.ndarray:
    return counted(days.dt.year - YEARS[0], xun_of(days), (len(YEARS), 36))


def xun_words(number: int) -> str:
    month = MONTH_ENDS[number // 3]
    return f"{month:%b} {('1–10', '11–20', f'21–{month.day}')[number % 3]}"


QUESTIONS: dict[str, Callable[[City], Any]] = {
    "rates": rates,
    "gi-star": hot_cells,
    "trend": trends,
    "emerging": patterns,
    "scan": alarms,
    "density": points,
    "peaks": peaks,
}

if __name__ == "__main__":
    main()
