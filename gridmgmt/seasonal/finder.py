"""The steps of `detect` over all categories and areas of a city."""

from dataclasses import dataclass, replace

import numpy as np

from gridmgmt.config import ALPHA
from gridmgmt.hotspots.cube import LEVELS, Located, count
from gridmgmt.seasonal import clocks, detect, windows
from gridmgmt.seasonal.models import Clock
from gridmgmt.seasonal.wave_tests import harmonic_test

REPLICATIONS = 1999
SCANNED = ("county", "town", "grid")  # villages are tested against the window that these show


@dataclass(frozen=True)
class Candidate:
    """A season of a category, and every level's areas held against it."""

    category: str
    season: detect.Season
    days: np.ndarray  # that were looked at
    matters: np.ndarray  # rows of `located` that are of this category and have a place
    clumps: dict[str, float]  # by level, how many matters come for each that comes by itself
    tests: dict[str, detect.AreaTest]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of area and category with enough matters: which pair each matter is in, and the counts."""

    pair: np.ndarray  # (n,) index of the matter's pair, -1 for none
    category: np.ndarray  # (k,)
    counts: np.ndarray  # (k, 36)


@dataclass(frozen=True)
class Listed:
    """An area that carries the evidence for a season; `grids` are those whose matters it speaks for."""

    candidate: Candidate
    level: str
    area: str
    test: detect.AreaTest
    index: int
    q: float
    grids: np.ndarray


@dataclass(frozen=True)
class Tested:
    """What the tests said about a category; None where there was too little to test.

    Attributes
    ----------
    matters : how many there are, with a place in a grid
    q_scan : of a season anywhere, over all categories
    p_walter_elwood, p_harmonic : of a yearly wave in the matters that stood out, or else in all of them
    waves : whether the scan and, over all categories that it lets pass, the harmonic test find a season
    clock, stable : of its first season, when there is one
    """

    matters: int
    q_scan: float | None = None
    p_walter_elwood: float | None = None
    p_harmonic: float | None = None
    waves: bool = False
    clock: Clock | None = None
    stable: int | None = None


@dataclass(frozen=True)
class Finding:
    """All that was listed, and what the tests said about each category of the matters."""

    listed: list[Listed]
    tested: list[Tested]


class Finder:
    """The three steps of `detect` over all categories of located matters."""

    def __init__(self, located: Located, days: np.ndarray, seed: int) -> None:
        self.located = located
        self.days = days
        self.seed = seed
        self.xun = clocks.place(Clock.GREGORIAN, located.day)[1]
        self.codes: dict[str, list[str]] = {}
        self.of_grid: dict[str, np.ndarray] = {}
        self.area: dict[str, np.ndarray] = {}
        for level in LEVELS:
            self.codes[level], self.of_grid[level] = located.areas(level)
            self.area[level] = np.where(located.grid >= 0, self.of_grid[level][located.grid], -1)

    def run(self) -> Finding:
        q_scan, stood_out = self._scan()
        rows = []
        tested = []
        for category in range(len(self.located.categories)):
            placed = np.flatnonzero((self.located.category == category) & (self.located.grid >= 0))
            rows.append(placed[stood_out[placed]])
            tested.append(self._tested(placed, rows[-1], q_scan.get(category)))
        candidates: list[Candidate] = []
        for category in self._waving(tested):
            seasons = detect.find_seasons(self.located.day[rows[category]], self.days, self.seed)
            candidates += self._candidates(category, seasons)
            tested[category] = replace(
                tested[category],
                waves=True,
                clock=seasons[0].clock if seasons else None,
                stable=seasons[0].stable if seasons else None,
            )
        return Finding(self._list(candidates), tested)

    @staticmethod
    def _waving(tested: list[Tested]) -> list[int]:
        """Return the categories whose wave is no chance, among all that the scan lets pass."""
        passed = [k for k, each in enumerate(tested) if each.q_scan is not None and each.q_scan <= ALPHA]
        p = np.array([tested[k].p_harmonic for k in passed], dtype=float)
        return [k for k, q in zip(passed, detect.adjusted(p).tolist(), strict=True) if q <= ALPHA]

    def _scan(self) -> tuple[dict[int, float], np.ndarray]:
        """Return the q-value of each category with enough matters, and the matters that stand out."""
        tables = [self._pairs(level) for level in SCANNED]
        category = np.concatenate([table.category for table in tables])
        chosen = np.zeros(len(self.located.category), dtype=bool)
        if not len(category):
            return {}, chosen
        stands_out, q = detect.significant_pairs(
            np.concatenate([table.counts for table in tables]),
            category,
            np.repeat(np.arange(len(tables)), [len(table.category) for table in tables]),
            detect.exposure_of(Clock.GREGORIAN, self.days),
            replications=REPLICATIONS,
            seed=self.seed,
        )
        offset = 0
        for table in tables:
            n = len(table.category)
            chosen |= np.append(stands_out[offset : offset + n], False)[table.pair]  # pair -1 is none
            offset += n
        return dict(zip(np.unique(category).tolist(), q.tolist(), strict=True)), chosen

    def _tested(self, placed: np.ndarray, stood_out: np.ndarray, q_scan: float | None) -> Tested:
        """Test a category's matters for a yearly wave: those that stood out, or else all of them."""
        rows = stood_out if len(stood_out) >= detect.MIN_MATTERS else placed
        if len(rows) < detect.MIN_MATTERS:
            return Tested(len(placed), q_scan)
        counts = detect.by_year(Clock.GREGORIAN, self.located.day[rows], self.days)
        exposure = detect.by_year(Clock.GREGORIAN, self.days, self.days)
        close = q_scan is not None and q_scan <= ALPHA
        return Tested(
            len(placed),
            q_scan,
            p_walter_elwood=windows.walter_elwood(counts.sum(axis=0), exposure.sum(axis=0))[1],
            p_harmonic=harmonic_test(counts, exposure, 999 if close else 199, self.seed)[1],
        )

    def _pairs(self, level: str) -> _Pairs:
        """Return the pairs of a level's areas and categories that have enough matters to be scanned."""
        n_categories = len(self.located.categories)
        area = self.area[level]
        key = np.where(area >= 0, area * n_categories + self.located.category, -1)
        n_keys = len(self.codes[level]) * n_categories
        kept = np.flatnonzero(np.bincount(key[key >= 0], minlength=n_keys) >= detect.MIN_MATTERS)
        pair_of_key = np.full(n_keys + 1, -1)  # the last one is that of key -1
        pair_of_key[kept] = np.arange(len(kept))
        pair = pair_of_key[key]
        counts = count(pair, self.xun, len(kept), clocks.BINS[Clock.GREGORIAN])
        return _Pairs(pair, kept % n_categories, counts)

    def _candidates(self, category: int, seasons: list[detect.Season]) -> list[Candidate]:
        if not seasons:
            return []
        matters = np.flatnonzero((self.located.category == category) & (self.located.grid >= 0))
        quiet, day = detect.quiet_days(seasons, self.days), self.located.day[matters]
        clumps = {
            level: detect.clumping(self.area[level][matters], day, len(self.codes[level]), quiet, self.days)
            for level in LEVELS
        }
        code = self.located.categories[category]
        bare = [Candidate(code, season, self.days, matters, clumps, {}) for season in seasons]
        return [replace(each, tests={level: self._test(each, level) for level in LEVELS}) for each in bare]

    def _test(self, candidate: Candidate, level: str, without: np.ndarray | None = None) -> detect.AreaTest:
        matters, season = candidate.matters, candidate.season
        area = self.area[level][matters]
        keep = area >= 0 if without is None else (area >= 0) & ~without
        inside, outside, length, years = detect.counts_by_season(
            area[keep], self.located.day[matters][keep], len(self.codes[level]), season, self.days
        )
        share = float(length.mean()) / 365.25
        return detect.compare(inside, outside, years, share, candidate.clumps[level])

    def _list(self, candidates: list[Candidate]) -> list[Listed]:
        """Keep the finest areas that carry each season; q counts all areas, levels and seasons together."""
        if not candidates:
            return []
        p = np.concatenate([candidate.tests[level].p for candidate in candidates for level in LEVELS])
        q = detect.adjusted(p)
        listed: list[Listed] = []
        offset = 0
        for candidate in candidates:
            own: dict[str, np.ndarray] = {}
            for level in LEVELS:
                n = len(candidate.tests[level].p)
                own[level] = q[offset : offset + n]
                offset += n
            listed += self._finest(candidate, own)
        return listed

    def _finest(self, candidate: Candidate, q: dict[str, np.ndarray]) -> list[Listed]:
        explained = np.zeros(len(candidate.matters), dtype=bool)
        free = np.ones(len(self.located.grids), dtype=bool)
        listed = []
        for level in LEVELS:  # finest first
            test = candidate.tests[level]
            good = self._good(test, q[level])
            if level != LEVELS[0]:
                left = self._test(candidate, level, explained)
                good &= self._good(left, q[level]) & (left.p <= detect.RESIDUAL_P)
                test = left
            for index in np.flatnonzero(good).tolist():
                grids = np.flatnonzero(free & (self.of_grid[level] == index))
                code = self.codes[level][index]
                listed.append(Listed(candidate, level, code, test, index, float(q[level][index]), grids))
            explained |= np.append(good, False)[self.area[level][candidate.matters]]
            free &= ~good[self.of_grid[level]]
        return listed

    @staticmethod
    def _good(test: detect.AreaTest, q: np.ndarray) -> np.ndarray:
        enough = test.inside.sum(axis=1) >= detect.MIN_MATTERS / 2
        return (q <= ALPHA) & (test.ratio >= detect.MIN_RATIO) & test.recurs & enough
