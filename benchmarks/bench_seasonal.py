"""Expected matters of a whole city: `expected.fit` beside a Poisson regression a category by scikit-learn.

Both see three years and are scored on a fourth. The peer has an effect of every area, drawn together by a
ridge, and a wave of two harmonics of the year; it is not told of neighbours, other categories or clocks.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from sklearn.linear_model import PoissonRegressor

from benchmarks.measure import compare
from gridmgmt.calendar import xun_of
from gridmgmt.hotspots.statistics.weights import Weights
from gridmgmt.seasonal.clocks import days_between
from gridmgmt.seasonal.expected import fit
from gridmgmt.seasonal.history import XUN, History
from gridmgmt.seasonal.scoring import log_score

SIDE = 32
AREAS, CATEGORIES = 1001, 240
BEFORE, TARGET = range(2022, 2025), 2025
A_YEAR = 60_000
GOAL = 10.0
RIDGE, TOLERANCE = 3e-3, 1e-5  # of 1e-4 to 1e-2 the ridge with which the peer foretells this city best

FloatArray = NDArray[np.float64]


def city(seed: int = 0) -> tuple[History, History]:
    """Return three years and the one after: areas that differ smoothly and by chance, every fourth category
    with a season of its own."""
    rng = np.random.default_rng(seed)
    east = 1 + np.arange(AREAS) % SIDE / SIDE
    common = rng.gamma(4.0, 1 / 4.0, AREAS)
    size = rng.gamma(0.5, 1.0, CATEGORIES)
    size *= A_YEAR / size.sum()
    parts = []
    for year in (*BEFORE, TARGET):
        days = days_between(np.datetime64(f"{year}-01-01").item(), np.datetime64(f"{year}-12-31").item())
        for category in range(CATEGORIES):
            own = np.random.default_rng([seed, category])
            weight = common * east ** own.normal(0, 2) * own.gamma(2.0, 1 / 2.0, AREAS)
            area = rng.choice(AREAS, rng.poisson(size[category]), p=weight / weight.sum())
            wave = np.exp(np.cos(2 * np.pi * (np.arange(len(days)) / len(days) - own.random())))
            mass = wave if category % 4 == 0 else np.ones(len(days))
            day = rng.choice(days, len(area), p=mass / mass.sum())
            parts.append((area, np.full(len(area), category), day))
    area, category, day = (np.concatenate(column) for column in zip(*parts, strict=True))
    seen = day < np.datetime64(f"{TARGET}-01-01")
    return (
        History(area[seen], category[seen], day[seen], AREAS, CATEGORIES, BEFORE),
        History(area[~seen], category[~seen], day[~seen], AREAS, CATEGORIES, range(TARGET, TARGET + 1)),
    )


def ours(history: History) -> list[FloatArray]:
    xy = np.stack(np.divmod(np.arange(AREAS), SIDE), axis=1) * 100.0
    town = np.arange(AREAS) * 16 // AREAS
    return [each.expected for each in fit(history, Weights.distance_band(xy, 150.0), town, TARGET)]


def peer(history: History) -> list[FloatArray]:
    angle = 2 * np.pi * (np.arange(XUN) + 0.5) / XUN
    wave = np.stack([f(k * angle) for k in (1, 2) for f in (np.sin, np.cos)], axis=1)
    cells = AREAS * XUN
    area = csr_array((np.ones(cells), (np.arange(cells), np.repeat(np.arange(AREAS), XUN))))
    x = hstack([area, csr_array(np.tile(wave, (AREAS, 1)))]).tocsr()
    days = np.bincount(xun_of(days_between(*_ends())), minlength=XUN).astype(float)
    exposure = np.tile(days, AREAS)
    found = []
    for category in range(CATEGORIES):
        counts = history.cube(category).sum(axis=0).ravel()
        rate = counts / exposure
        # In units of their mean, since the peer stops at a gradient of fixed size.
        scale = max(rate @ exposure / exposure.sum(), 1e-12)
        model = PoissonRegressor(alpha=RIDGE, max_iter=300, tol=TOLERANCE)
        with np.errstate(divide="ignore"):  # it takes logarithms of forecasts that have become zero
            model.fit(x, rate / scale, sample_weight=exposure)
        found.append((model.predict(x) * exposure * scale).reshape(AREAS, XUN))
    return found


def _ends() -> tuple[Any, Any]:
    return np.datetime64(f"{BEFORE[0]}-01-01").item(), np.datetime64(f"{BEFORE[-1]}-12-31").item()


def mean_log_score(forecasts: list[FloatArray], coming: History) -> float:
    """Return the log score per matter over all categories."""
    cubes = [coming.cube(category)[0] for category in range(CATEGORIES)]
    n = np.array([cube.sum() for cube in cubes])
    scores = [log_score(f, cube) if cube.any() else 0.0 for f, cube in zip(forecasts, cubes, strict=True)]
    return float(n @ scores / n.sum())


def run() -> list[dict[str, Any]]:
    """Return one row; same_result says that our forecast of the coming year is at least as good.

    The peer takes over a minute, so it is timed once and its forecast of that time is the one scored.
    """
    history, coming = city()
    forecasts: dict[str, list[FloatArray]] = {"ours": ours(history)}

    def timed_peer() -> None:
        forecasts["peer"] = peer(history)

    row = compare(
        f"expected matters of {CATEGORIES} categories in {AREAS} areas x {XUN} xun",
        lambda: ours(history),
        timed_peer,
        peer_name="scikit-learn PoissonRegressor per category",
        peer_version=version("scikit-learn"),
        goal=GOAL,
        same_result=False,
        repeats=1,
    )
    scores = {name: mean_log_score(forecast, coming) for name, forecast in forecasts.items()}
    logs = f"log score {scores['ours']:.3f} against {scores['peer']:.3f}"
    return [row | {"note": logs, "same_result": scores["ours"] >= scores["peer"]}]
