"""A synthetic county-level city: land, people, matters, and the truth planted among them.

`generate(out)` writes every file that the importers of `gridmgmt` read; the same seed gives the same bytes.
Nothing in it is real: places and people are invented, the county code is not assigned, no number is in use.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from gridmgmt.crs import metres_per_degree
from gridmgmt.errors import InputError
from sample_data import taxonomy
from sample_data.context import layers
from sample_data.export12345 import incident_table, mapping_toml, write_years
from sample_data.matters import Painter, Planner, place, years_of
from sample_data.people import make_doubles, make_homes, make_roster
from sample_data.sizes import size_at
from sample_data.territory import Divisions, Territory, make_territory
from sample_data.treatment import task_table, treat
from sample_data.truth import truth
from sample_data.workers import make_workers
from sample_data.writing import write_csv, write_geojson, write_json

Report = Callable[[str], None]

FILES = (
    "divisions.geojson", "grids.geojson", "grids_before.geojson", "lineage.csv", "layers.geojson",
    "categories.csv", "workers.csv", "incidents.toml", "truth.json",
)  # fmt: skip

ROSTER_FILES = ("roster.parquet", "roster_doubles.csv")

__all__ = ["generate"]


def generate(
    out: Path,
    *,
    scale: float = 1.0,
    through: int = 2025,
    seed: int = 1001,
    roster: bool = True,
    report: Report | None = None,
) -> dict[str, Any]:
    """Write the files of a synthetic city into `out` and return its counts and file names.

    Parameters
    ----------
    out : Path
        A folder; made when absent. Files of the same names are replaced.
    scale : float
        1 is the whole county (1001 grids, 300,000 households); 0.02 to 3.
    through : int
        The last of four calendar years of matters, 2010 to 2059.
    seed : int
        The same seed, scale and year give the same bytes.
    roster : bool
        Whether to write the roster's files too; the other files do not depend on it.
    report : callable, optional
        Told what is done, one line at a time.

    Raises
    ------
    InputError
        When the scale, the year or the seed is outside what is allowed.
    """
    if not 2010 <= through <= 2059:
        raise InputError("through", through, "a year from 2010 to 2059")
    if seed < 0:
        raise InputError("seed", seed, "0 or a positive whole number")
    out.mkdir(parents=True, exist_ok=True)
    return _City(out, scale, through, seed, report or (lambda line: None)).write(roster)


class _City:
    """One run of the generator; every part has its own stream of random numbers, so none disturbs another."""

    def __init__(self, out: Path, scale: float, through: int, seed: int, report: Report) -> None:
        self.out, self.size, self.through, self.seed, self.report = out, size_at(scale), through, seed, report
        self.years = years_of(through)
        # The grids were redrawn in the middle of the data: two years before, two years after.
        self.before, self.since = f"{through - 5}-01-01", f"{through - 1}-01-01"
        self.clock = time.perf_counter()

    def write(self, roster: bool) -> dict[str, Any]:
        """Write everything and return the counts."""
        territory = make_territory(self.size, self._rng(1))
        self._land(territory)
        self._said("land")
        homes = make_homes(territory, self._rng(2))
        workers = make_workers(territory, self.size, self.through, self.since, self.before, self._rng(3))
        write_csv(self.out / "workers.csv", workers, "gb18030")
        self._categories()
        self._said("buildings and workers")
        if roster:
            people = make_roster(territory, homes, self.size, self.through, self._rng(4))
            pq.write_table(people, self.out / "roster.parquet", compression="zstd")
            write_csv(self.out / "roster_doubles.csv", make_doubles(people), "gb18030")
            del people
            self._said("roster")
        figures = self._matters(territory, homes)
        yearly = [*(f"incidents_{year}.csv" for year in self.years), f"tasks_{self.through}.csv"]
        return figures | {"files": sorted([*FILES, *yearly, *(ROSTER_FILES if roster else ())])}

    def _rng(self, part: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, part])

    def _said(self, what: str) -> None:
        now = time.perf_counter()
        self.report(f"{what}: {now - self.clock:.1f} s")
        self.clock = now

    def _land(self, territory: Territory) -> None:
        levels = (("county", territory.county), ("town", territory.towns), ("village", territory.villages))
        write_geojson(
            self.out / "divisions.geojson",
            [feature for level, divisions in levels for feature in _division_features(level, divisions)],
        )
        write_geojson(self.out / "grids.geojson", self._grid_features(territory))
        write_geojson(self.out / "grids_before.geojson", self._old_grid_features(territory))
        _write_lineage(self.out / "lineage.csv", territory)
        write_geojson(
            self.out / "layers.geojson",
            [({"layer": layer, "name": name}, line) for layer, name, line in layers(territory, self._rng(6))],
        )

    def _grid_features(self, territory: Territory) -> list[tuple[dict[str, Any], Any]]:
        grids = territory.grids
        return [
            (
                _grid_properties(
                    code, name, territory.villages.codes[village], self.before if same else self.since, None
                ),
                shape,
            )
            for code, name, village, same, shape in zip(
                grids.codes, grids.names, grids.village, grids.unchanged, grids.shapes, strict=True
            )
        ]

    def _old_grid_features(self, territory: Territory) -> list[tuple[dict[str, Any], Any]]:
        grids, still = territory.grids, set(territory.grids.codes)
        return [
            (
                _grid_properties(
                    code,
                    name,
                    territory.villages.codes[village],
                    self.before,
                    None if code in still else self.since,
                ),
                shape,
            )
            for code, name, village, shape in zip(
                grids.old_codes, grids.old_names, grids.old_village, grids.old_shapes, strict=True
            )
        ]

    def _categories(self) -> None:
        with (self.out / "categories.csv").open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("code", "name", "parent", "department", "days", "open"))
            writer.writerows(taxonomy.rows())

    def _matters(self, territory: Territory, homes: Any) -> dict[str, Any]:
        names = taxonomy.taxonomy()
        rng = self._rng(5)
        plan = Planner(territory, self.size, names, rng).plan()
        drawn = Painter(territory, self.size, names, plan, self.through, rng).draw()
        matters = place(drawn, territory, homes, names, rng)
        # After everything has its day and place, so that treating changes no other matter.
        treated, left = treat(plan, matters, self.years, self._rng(7))
        matters = matters.taken(np.flatnonzero(left))
        tasks = task_table(treated, territory, names, self.through)
        write_csv(self.out / f"tasks_{self.through}.csv", tasks, "utf-8-sig")
        self._said("matters drawn")
        table, faults = incident_table(territory, homes, names, matters, rng)
        rows = write_years(self.out, table, matters.day, self.years)
        (self.out / "incidents.toml").write_text(mapping_toml(), encoding="utf-8", newline="\n")
        figures = self._figures(territory) | {"matters": rows, "repeats": int(matters.repeat.sum())} | faults
        planted = truth(plan, treated, territory, names, matters, self.years, figures)
        seasonal = sum(sum(entry["counts"].values()) for entry in planted["seasonal"])
        figures["seasonal_share"] = round(seasonal / len(matters.day), 4)
        write_json(self.out / "truth.json", planted)
        self._said("matters written")
        return figures

    def _figures(self, territory: Territory) -> dict[str, Any]:
        grids, size = territory.grids, self.size
        children = np.bincount(grids.before)
        return {
            "scale": size.scale,
            "seed": self.seed,
            "towns": len(territory.towns.codes),
            "villages": len(territory.villages.codes),
            "communities": int(territory.community.sum()),
            "grids": len(grids.codes),
            "predecessors": len(grids.old_codes),
            "split": int((children > 1).sum()),
            "unchanged": int(grids.unchanged.sum()),
            "town_grids": int(grids.urban.sum()),
            "households": int(grids.households.sum()),
            "persons": size.persons,
            "workers": size.workers,
            "full_time": size.full_time,
        }


def _division_features(level: str, divisions: Divisions) -> list[tuple[dict[str, Any], Any]]:
    return [
        ({"code": code, "name": name, "level": level, "parent": parent or None}, shape)
        for code, name, parent, shape in zip(
            divisions.codes, divisions.names, divisions.parents, divisions.shapes, strict=True
        )
    ]


def _grid_properties(code: str, name: str, village: str, since: str, until: str | None) -> dict[str, Any]:
    return {
        "code": code,
        "name": name,
        "village": village,
        "kind": "base",
        "valid_from": since,
        "valid_to": until,
    }


def _write_lineage(path: Path, territory: Territory) -> None:
    """Write from, to and the share of the old grid's area, for every grid in force."""
    grids = territory.grids

    def area(shapes: Any) -> Any:
        east, north = metres_per_degree(shapely.get_y(shapely.centroid(shapes)))
        return shapely.area(shapes) * east * north

    share = area(grids.shapes) / area(grids.old_shapes)[grids.before]
    lines = [
        f"{grids.old_codes[b]},{code},{s:.6f}"
        for code, b, s in zip(grids.codes, grids.before, share, strict=True)
    ]
    path.write_text("\n".join(["from,to,area_share", *lines]) + "\n", encoding="utf-8", newline="\n")
