"""The steps of `detect` over all categories and areas of a city."""

from dataclasses import dataclass, field

import numpy as np

from gridmgmt.config import ALPHA
from gridmgmt.hotspots.cube import LEVELS, Located, count
from gridmgmt.seasonal import clocks, detect
from gridmgmt.seasonal.models import Clock

REPLICATIONS = 1999
SCANNED = ("county", "town", "grid")  # villages are tested against the window that these show


@dataclass(frozen=True)
class Candidate:
    """A season of a category, and every level's areas held against it."""

    category: str
    season: detect.Season
    matters: np.ndarray  # rows of `located` that are of this category
    tests: dict[str, detect.AreaTest]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of area and category with enough matters: which pair each matter is in, and the counts."""

    pair: np.ndarray  # (n,) index of the matter's pair, -1 for none
    category: np.ndarray  # (k,)
    counts: np.ndarray  # (k, 36)


@dataclass(frozen=True)
class Listed:
    """An area that carries the evidence for a season."""

    candidate: Candidate
    level: str
    area: str
    test: detect.AreaTest
    index: int
    q: float


@dataclass
class Finding:
    listed: list[Listed] = field(default_factory=list)
    tested: int = 0
    no_season: int = 0
    not_enough: int = 0


class Finder:
    """The three steps of `detect` over all categories of located matters."""

    def __init__(self, located: Located, days: np.ndarray, seed: int) -> None:
        self.located = located
        self.days = days
        self.seed = seed
        self.xun = clocks.place(Clock.GREGORIAN, located.day)[1]
        self.codes: dict[str, list[str]] = {}
        self.area: dict[str, np.ndarray] = {}
        for level in LEVELS:
            codes, of_grid = located.areas(level)
            self.codes[level] = codes
            self.area[level] = np.where(located.grid >= 0, of_grid[located.grid], -1)

    def run(self) -> Finding:
        finding = Finding(tested=len(self.located.categories))
        candidates = []
        significant = self._significant_matters(finding)
        for category, rows in significant.items():
            seasons = detect.find_seasons(self.located.day[rows], self.days, self.seed)
            finding.no_season += not seasons
            candidates += [self._candidate(category, season) for season in seasons]
        finding.listed = self._list(candidates)
        return finding

    def _significant_matters(self, finding: Finding) -> dict[int, np.ndarray]:
        """Return for every category with a season the rows of `located` in its significant areas."""
        tables = [self._pairs(level) for level in SCANNED]
        category = np.concatenate([table.category for table in tables])
        finding.not_enough = finding.tested - len(np.unique(category))
        if not len(category):
            return {}
        stands_out = detect.significant_pairs(
            np.concatenate([table.counts for table in tables]),
            category,
            detect.exposure_of(Clock.GREGORIAN, self.days),
            replications=REPLICATIONS,
            seed=self.seed,
        )
        chosen = np.zeros(len(self.located.category), dtype=bool)
        offset = 0
        for table in tables:
            n = len(table.category)
            chosen |= np.append(stands_out[offset : offset + n], False)[table.pair]  # pair -1 is none
            offset += n
        rows = np.flatnonzero(chosen)
        found = np.unique(self.located.category[rows])
        finding.no_season = finding.tested - finding.not_enough - len(found)
        return {int(each): rows[self.located.category[rows] == each] for each in found}

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

    def _candidate(self, category: int, season: detect.Season) -> Candidate:
        matters = np.flatnonzero(self.located.category == category)
        tests = {level: self._test(matters, level, season) for level in LEVELS}
        return Candidate(self.located.categories[category], season, matters, tests)

    def _test(
        self, matters: np.ndarray, level: str, season: detect.Season, without: np.ndarray | None = None
    ) -> detect.AreaTest:
        area = self.area[level][matters]
        keep = area >= 0 if without is None else (area >= 0) & ~without
        inside, outside, length, years = detect.counts_by_season(
            area[keep], self.located.day[matters][keep], len(self.codes[level]), season, self.days
        )
        return detect.compare(inside, outside, years, float(length.mean()) / 365.25)

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
        listed = []
        for level in LEVELS:  # finest first
            test = candidate.tests[level]
            good = self._good(test, q[level])
            if level != LEVELS[0]:
                left = self._test(candidate.matters, level, candidate.season, explained)
                good &= self._good(left, q[level]) & (left.p <= detect.RESIDUAL_P)
                test = left
            for index in np.flatnonzero(good).tolist():
                code = self.codes[level][index]
                listed.append(Listed(candidate, level, code, test, index, float(q[level][index])))
            explained |= np.append(good, False)[self.area[level][candidate.matters]]
        return listed

    @staticmethod
    def _good(test: detect.AreaTest, q: np.ndarray) -> np.ndarray:
        enough = test.inside.sum(axis=1) >= detect.MIN_MATTERS / 2
        return (q <= ALPHA) & (test.ratio >= detect.MIN_RATIO) & test.recurs & enough
