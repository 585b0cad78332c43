"""Proposals: which grids leave the household band, and a division of their ground that does not.

Grids in the band stay. The rest is divided, or put together with neighbours of its village, along clusters
of buildings, roads and rivers. Method and measurements: docs/methods/partition.md.
"""

import itertools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, MultiPolygon
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection, text

from gridmgmt.config import SEED
from gridmgmt.errors import InputError
from gridmgmt.grids import coverage, measure
from gridmgmt.grids.adjacency import contiguity
from gridmgmt.grids.assign import PointAssigner
from gridmgmt.grids.models import GridKind
from gridmgmt.grids.partition import divide
from gridmgmt.grids.partition_groups import Group, afresh, rural_groups, town_groups
from gridmgmt.grids.partition_rings import on_lattice, with_vertices
from gridmgmt.grids.store import read_grids

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Geometries = NDArray[np.object_]

LOW, HIGH = 300, 500
# Statistics number residents' committees (towns) 001 to 199 in a street or town, villagers' ones from 200.
FIRST_RURAL = 200
# What is thinner than this on average is rounding to the lattice, not ground.
THIN_M = 1e-3
# Less of an old grid than this is no part of it that moved.
LEAST_SHARE = 0.001
EARTH = (-180.0, -90.0, 180.0, 90.0)


@dataclass(frozen=True, eq=False)
class Buildings:
    """Places (n, 2) in degrees with the households and persons (n,) that live there."""

    xy: FloatArray
    households: FloatArray
    persons: FloatArray


@dataclass(frozen=True)
class Parentage:
    """What share of the area and of the households of an old grid goes into a new one."""

    old: str
    new: str
    area_share: float
    household_share: float


@dataclass(frozen=True, eq=False)
class Proposal:
    """Grids as proposed, and how good they are.

    `shapes` are all grids looked at, by key: those that stay, those that only got vertices of a neighbour's
    new edge, and new ones; `changed` the keys of those that are new, `gone` the keys that are no more;
    `villages` and `households` by key. `contiguous` is the share of grids that are one polygon; `gap_m2` and
    `overlap_m2` compare with the ground before; `in_band_share` and `balance_cv` (standard deviation over
    mean) are of town grids, None without any; `compactness_median` is of 4π area / perimeter², all grids.
    """

    grids: int
    contiguous: float
    gap_m2: float
    overlap_m2: float
    in_band_share: float | None
    balance_cv: float | None
    compactness_median: float
    seconds: float
    shapes: dict[str, MultiPolygon]
    villages: dict[str, str]
    households: dict[str, int]
    changed: frozenset[str]
    gone: frozenset[str]
    lineage: list[Parentage]

    def figures(self) -> dict[str, Any]:
        """Return the numbers, as the command prints them."""
        names = (
            "grids", "contiguous", "gap_m2", "overlap_m2", "in_band_share", "balance_cv",
            "compactness_median", "seconds",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


def in_town(village: str) -> bool:
    """Tell whether a 12-digit code is a residents' committee's, where the household band is the rule.

    >>> in_town("379981001001"), in_town("379981001200")
    (True, False)
    """
    return int(village[-3:]) < FIRST_RURAL


def propose(
    shapes: Mapping[str, BaseGeometry],
    villages: Mapping[str, str],
    buildings: Buildings,
    barriers: Iterable[LineString] = (),
    *,
    keys: Collection[str] | None = None,
    whole: Collection[str] = (),
    low: int = LOW,
    high: int = HIGH,
    new_key: Callable[[], str] | None = None,
    seed: int = SEED,
) -> Proposal:
    """Return a proposal for grids of a coverage.

    Parameters
    ----------
    shapes, villages : mappings by key
        The grids, without gap and overlap inside a village, and the village code of each. Neighbours that are
        not to change belong here too: they get the vertices of new edges.
    buildings, barriers
        Households, and roads and rivers, as `read_buildings` and `read_barriers` return them.
    keys : collection of str, optional
        Only these may change; all by default.
    whole : collection of str
        Villages that are divided anew as a whole, whatever their grids are like.
    low, high : int
        The household band.
    new_key : callable, optional
        Gives the key of each new grid; n1, n2, … by default.
    seed : int
        The same seed gives the same bytes.

    Raises
    ------
    InputError
        When the band is none, a key is not among the shapes or a shape is no valid polygon.
    """
    began = time.perf_counter()
    if not 0 < low < high:
        raise InputError("low, high", (low, high), "a band from low to high, both above 0")
    unknown = sorted(set(keys or ()) - set(shapes)) + sorted(set(whole) - set(villages.values()))
    if unknown:
        raise InputError("grids", unknown[0], "a grid or village that is there")
    old = _Coverage.of(shapes, villages, buildings)
    groups = _groups(old, set(shapes if keys is None else keys), whole, low, high)
    counter = itertools.count(1)
    drawn = _drawn(old, groups, list(barriers), new_key or (lambda: f"n{next(counter)}"), low, high, seed)
    return _judged(old, drawn, low, high, began)


def for_keys(
    connection: Connection,
    shapes: Mapping[str, BaseGeometry],
    villages: Mapping[str, str],
    keys: Collection[str] | None = None,
    *,
    whole: Collection[str] = (),
    low: int = LOW,
    high: int = HIGH,
    new_key: Callable[[], str] | None = None,
    seed: int = SEED,
) -> dict[str, MultiPolygon | None]:
    """Return what a proposal changes: key -> shape; None for a grid that is no more.

    New grids have keys of `new_key`; grids that only get vertices of a neighbour's new edge are in it too.
    `shapes`, `villages`, `keys`, `whole`: as in `propose`, the grids as a plan has them now.
    """
    known = {key: on_lattice(shape) for key, shape in shapes.items()}
    bounds = _bounds(shape for key, shape in known.items() if keys is None or key in keys or whole)
    found = propose(
        known,
        villages,
        read_buildings(connection, bounds),
        read_barriers(connection, bounds),
        keys=keys,
        whole=whole,
        low=low,
        high=high,
        new_key=new_key,
        seed=seed,
    )
    after: dict[str, MultiPolygon | None] = dict.fromkeys(sorted(found.gone))
    for key, shape in found.shapes.items():
        if key in found.changed or not shapely.equals_exact(shape, _multi(known[key])):
            after[key] = shape
    return after


def read_buildings(connection: Connection, bounds: tuple[float, float, float, float] = EARTH) -> Buildings:
    """Return the buildings in bounds (west, south, east, north), degrees; takes the writer's rights."""
    statement = text("SELECT lon, lat, households, persons FROM plan_buildings(:shape) ORDER BY id")
    rows: list[Any] = list(connection.execute(statement, {"shape": shapely.to_wkb(shapely.box(*bounds))}))
    table = np.array([tuple(row) for row in rows], np.float64).reshape(-1, 4)
    return Buildings(table[:, :2], table[:, 2], table[:, 3])


def read_barriers(
    connection: Connection, bounds: tuple[float, float, float, float] = EARTH
) -> list[LineString]:
    """Return the roads and rivers that reach into bounds, areas by their edge."""
    rows = connection.execute(
        text("""
        SELECT ST_AsBinary(geom) FROM map_layer
        WHERE layer IN ('road', 'river') AND ST_Dimension(geom) > 0
            AND geom && ST_MakeEnvelope(:west, :south, :east, :north, 4490)
        ORDER BY layer, name
        """),
        dict(zip(("west", "south", "east", "north"), bounds, strict=True)),
    ).scalars()
    return barrier_lines(shapely.from_wkb(bytes(wkb)) for wkb in rows)


def read_grids_in_force(connection: Connection, on: date) -> tuple[dict[str, MultiPolygon], dict[str, str]]:
    """Return the shapes and the villages of the base grids in force on a day, by code."""
    rows = [
        row
        for row in read_grids(connection)
        if row.kind == GridKind.BASE and row.valid_from <= on and (row.valid_to is None or on < row.valid_to)
    ]
    return {row.code: row.geometry for row in rows}, {row.code: row.village for row in rows}


def barrier_lines(shapes: Iterable[BaseGeometry]) -> list[LineString]:
    """Return shapes as single lines, areas by their edge; points are left out."""
    parts = [part for shape in shapes for part in shapely.get_parts(shape).tolist()]
    lines = [part.boundary if part.geom_type == "Polygon" else part for part in parts]
    return [
        line for each in lines for line in shapely.get_parts(each).tolist() if isinstance(line, LineString)
    ]


@dataclass(frozen=True, eq=False)
class _Coverage:
    """Grids (n,) by number, with the buildings and the number of the grid of each, -1 for none."""

    keys: list[str]
    shapes: Geometries
    villages: list[str]
    buildings: Buildings
    grid: IntArray

    @classmethod
    def of(
        cls, shapes: Mapping[str, BaseGeometry], villages: Mapping[str, str], buildings: Buildings
    ) -> "_Coverage":
        keys = sorted(shapes)
        faces = measure.as_array([on_lattice(shapes[key]) for key in keys])
        grid = PointAssigner(keys, faces).assign(*buildings.xy.T)
        return cls(keys, faces, [villages[key] for key in keys], buildings, grid)

    def households(self) -> FloatArray:
        return _held(self.grid, self.buildings.households, len(self.keys))


def _groups(old: _Coverage, keys: set[str], whole: Collection[str], low: int, high: int) -> list[Group]:
    """Return what to do with each grid that may change, village by village."""
    held = dict(zip(old.keys, old.households().tolist(), strict=True))
    i, j = contiguity(old.shapes, rook=True)
    beside: dict[str, list[str]] = {key: [] for key in old.keys}
    for a, b in zip(i.tolist(), j.tolist(), strict=True):
        beside[old.keys[a]].append(old.keys[b])
    found: list[Group] = []
    for village in sorted(set(old.villages)):
        mine = {k: held[k] for k, v in zip(old.keys, old.villages, strict=True) if v == village and k in keys}
        if village in whole:
            found += afresh(mine, in_town(village), low, high)
        elif mine:
            found += (town_groups if in_town(village) else rural_groups)(mine, beside, low, high)
    return [group for group in found if not group.kept and sum(held[k] for k in group.keys) > 0]


@dataclass(frozen=True, eq=False)
class _Drawn:
    """New grids of each group: the group, its keys and shapes."""

    group: Group
    keys: list[str]
    shapes: list[MultiPolygon]


def _drawn(
    old: _Coverage,
    groups: Iterable[Group],
    barriers: list[LineString],
    new_key: Callable[[], str],
    low: int,
    high: int,
    seed: int,
) -> list[_Drawn]:
    number = {key: k for k, key in enumerate(old.keys)}
    order = np.argsort(old.grid, kind="stable")
    start = np.searchsorted(old.grid[order], np.arange(len(old.keys) + 1))
    found = []
    for group in groups:
        own = [number[key] for key in group.keys]
        mine = np.concatenate([order[start[k] : start[k + 1]] for k in own])
        xy, weights = old.buildings.xy[mine], old.buildings.households[mine]
        parts = min(group.parts, len(np.unique(xy[weights > 0], axis=0)))
        area = old.shapes[own[0]] if len(own) == 1 else _together(old.shapes[own])
        shapes = divide(area, xy, weights, parts, barriers, seed, low, high)
        found.append(_Drawn(group, [new_key() for _ in shapes], shapes))
    return found


def _together(shapes: Geometries) -> BaseGeometry:
    """Return the ground of grids with every vertex of theirs on its rim."""
    union = shapely.coverage_union_all(shapes)
    return union if union.is_valid else shapely.union_all(shapes, grid_size=1e-9)


def _judged(old: _Coverage, drawn: list[_Drawn], low: int, high: int, began: float) -> Proposal:
    """Return the proposal: old grids and new ones with each other's vertices, measured."""
    gone = {key for each in drawn for key in each.group.keys}
    villages = {key: village for key, village in zip(old.keys, old.villages, strict=True) if key not in gone}
    of = dict(zip(old.keys, old.villages, strict=True))
    stays = {key: shape for key, shape in zip(old.keys, old.shapes, strict=True) if key not in gone}
    new = {key: shape for each in drawn for key, shape in zip(each.keys, each.shapes, strict=True)}
    villages |= {key: of[each.group.keys[0]] for each in drawn for key in each.keys}
    keys = [*stays, *new]
    shapes = measure.as_array([*stays.values(), *new.values()])
    vertices = _new_vertices(old.shapes, measure.as_array(list(new.values())))
    shapes = with_vertices(shapes, vertices)
    grid = PointAssigner(keys, shapes).assign(*old.buildings.xy.T)
    held = _held(grid, old.buildings.households, len(keys))
    town = held[[in_town(villages[key]) for key in keys]]
    plane = measure.to_plane(shapes, measure.middle_latitude(shapes))
    compact = 4 * np.pi * shapely.area(plane) / shapely.length(plane) ** 2
    gap, overlap = _faults(with_vertices(old.shapes, vertices), shapes)
    faces = dict(zip(keys, shapes, strict=True))
    lineage = _lineage(old, drawn, faces, dict(zip(keys, range(len(keys)), strict=True)), grid)
    return Proposal(
        grids=len(keys),
        contiguous=float((shapely.get_num_geometries(shapes) == 1).mean()),
        gap_m2=gap,
        overlap_m2=overlap,
        in_band_share=float(((town >= low) & (town <= high)).mean()) if len(town) else None,
        balance_cv=float(town.std() / town.mean()) if town.sum() else None,
        compactness_median=float(np.median(compact)),
        seconds=time.perf_counter() - began,
        shapes={key: _multi(shape) for key, shape in faces.items()},
        villages=villages,
        households={key: int(each) for key, each in zip(keys, held, strict=True)},
        changed=frozenset(new),
        gone=frozenset(gone),
        lineage=lineage,
    )


def _new_vertices(old: Geometries, new: Geometries) -> FloatArray:
    """Return the vertices (m, 2) of new shapes that no old one has and that lie on an edge of an old one."""
    if not len(new):
        return np.empty((0, 2))
    known = set(map(tuple, shapely.get_coordinates(old).tolist()))
    fresh = {xy for xy in map(tuple, shapely.get_coordinates(new).tolist()) if xy not in known}
    vertices = np.array(sorted(fresh)).reshape(-1, 2)
    edges = shapely.STRtree(shapely.boundary(old))
    on = edges.query(shapely.points(vertices), predicate="dwithin", distance=2e-9)[0]
    return vertices[np.unique(on)]


def _faults(old: Geometries, new: Geometries) -> tuple[float, float]:
    """Return m² of the ground of `old` that `new` leaves out, and m² that two of `new` share."""
    before, after = shapely.coverage_union_all(old), shapely.coverage_union_all(new)
    missing = shapely.get_parts(shapely.difference(before, after))
    twice = coverage.overlap_patches(new)
    return _ground(missing), float(twice.area_m2.sum())


def _ground(shapes: Geometries) -> float:
    plane = measure.to_plane(shapes, measure.middle_latitude(shapes))
    area = shapely.area(plane)
    return float(area[2 * area > THIN_M * shapely.length(plane)].sum())


def _lineage(
    old: _Coverage,
    drawn: list[_Drawn],
    faces: Mapping[str, BaseGeometry],
    number: Mapping[str, int],
    grid: IntArray,
) -> list[Parentage]:
    """Return from which grids the new ones come, by area and by households."""
    place = {key: k for k, key in enumerate(old.keys)}
    both = (old.grid >= 0) & (grid >= 0)
    moved = np.zeros(len(old.keys) * len(number))
    np.add.at(moved, old.grid[both] * len(number) + grid[both], old.buildings.households[both])
    total = old.households()
    found = []
    for each in drawn:
        for a, b in itertools.product(each.group.keys, each.keys):
            before = old.shapes[place[a]]
            area = measure.area_m2([shapely.intersection(before, faces[b]), before])
            households = moved[place[a] * len(number) + number[b]]
            if area[0] > LEAST_SHARE * area[1] or households:
                of = total[place[a]]
                found.append(Parentage(a, b, float(area[0] / area[1]), float(households / of) if of else 0.0))
    return found


def _held(grid: IntArray, households: FloatArray, grids: int) -> FloatArray:
    inside = grid >= 0
    return np.bincount(grid[inside], households[inside], minlength=grids).astype(np.float64)


def _bounds(shapes: Iterable[BaseGeometry]) -> tuple[float, float, float, float]:
    west, south, east, north = shapely.total_bounds(measure.as_array(list(shapes))).tolist()
    return west, south, east, north


def _multi(shape: BaseGeometry) -> MultiPolygon:
    return shape if isinstance(shape, MultiPolygon) else MultiPolygon(shapely.get_parts(shape).tolist())
