"""The planted truth, as a machine reads it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sample_data.matters import RECENT_DAYS, Cluster, Matters, Plan, Planted, dates_by_year
from sample_data.taxonomy import Taxonomy
from sample_data.territory import Territory
from sample_data.treatment import Treatment


def _season(
    planted: Planted, territory: Territory, categories: Taxonomy, matters: Matters, years: list[int]
) -> dict[str, Any]:
    season = planted.season
    codes = territory.grids.codes
    whole = len(planted.grids) == len(codes)
    return {
        "id": season.id,
        "category": categories.codes[planted.category],
        "category_name": season.category,
        "clock": season.clock,
        "window": {"start": list(season.start), "peak": list(season.peak), "end": list(season.end)},
        "dates": dates_by_year(season, [*years, years[-1] + 1]),
        "level": season.level,
        "area_codes": planted.areas,
        "areas": [] if whole else [codes[g] for g in planted.grids],
        "ratio": season.ratio,
        "trend": season.trend,
        "matters_per_year": round(float(planted.matters.sum()), 1),
        "counts": _counts(planted, matters, years),
    }


def _counts(planted: Planted, matters: Matters, years: list[int]) -> dict[str, int]:
    """Return how many matters the areas had in the season of each year, as far as the data reach."""
    mine = (matters.category == planted.category) & np.isin(matters.grid, planted.grids)
    day = matters.day[mine]
    result = {}
    for year in years:
        start, _, end = (np.datetime64(d) for d in planted.season.dates(year))
        result[str(year)] = int(((day >= start) & (day <= end)).sum())
    return result


def _cluster(cluster: Cluster, territory: Territory, categories: Taxonomy, key: str) -> dict[str, Any]:
    return {
        "category": categories.codes[cluster.category],
        "category_name": categories.names[cluster.category],
        "grids": [territory.grids.codes[g] for g in cluster.grids],
        key: cluster.ratio,
    }


def _treatment(treatment: Treatment, territory: Territory, categories: Taxonomy) -> dict[str, Any]:
    category = treatment.planted.category
    return {
        "category": categories.codes[category],
        "category_name": categories.names[category],
        "grids": [territory.grids.codes[g] for g in treatment.grids],
        "factor": treatment.factor,
    }


def truth(
    plan: Plan,
    treated: list[Treatment],
    territory: Territory,
    categories: Taxonomy,
    matters: Matters,
    years: list[int],
    figures: dict[str, Any],
) -> dict[str, Any]:
    """Return all that was planted, with the counts that came of it."""
    seasonal = {planted.category for planted in plan.seasons}
    return {
        "seasonal": [_season(p, territory, categories, matters, years) for p in plan.seasons],
        "hot_grids": [_cluster(c, territory, categories, "ratio") for c in plan.hot],
        "growing": [_cluster(c, territory, categories, "factor_a_year") for c in plan.growing],
        "recent": [
            _cluster(c, territory, categories, "matters_a_grid")
            | {"since": f"{matters.day[-1] - np.timedelta64(RECENT_DAYS - 1, 'D')}"}
            for c in plan.recent
        ],
        "treated": [_treatment(t, territory, categories) for t in treated],
        "no_season": [code for k, code in enumerate(categories.codes) if k not in seasonal],
        "figures": figures,
    }
