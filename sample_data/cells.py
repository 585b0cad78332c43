"""The finest pieces of land: about 18,000 Voronoi cells with rough edges, small in town, large in the fields.

Everything above (grids, villages, towns, county) is a set of cells, so that every border is shared exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Voronoi, cKDTree

from sample_data.sizes import Size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CENTRE_LON, CENTRE_LAT = 117.0, 35.0
KM_PER_DEGREE_LON = 111.32 * float(np.cos(np.radians(CENTRE_LAT)))
KM_PER_DEGREE_LAT = 110.94
DECIMALS = 7  # about 1 cm; GeoJSON text gives back the same doubles

COUNTY_KM2 = 1500.0
CORE_RADIUS_KM = 3.6
SAFE_SHARE = 0.7  # a point this far from the seed to the edge is inside the rough edge too
ROUGHNESS = 0.29  # share of the way to a seed that an edge may bend; must stay under 1 - SAFE_SHARE
CELL_HOUSEHOLDS = 25.0


class Kind(IntEnum):
    """What a cell is used for."""

    URBAN = 0
    SEAT = 1
    SETTLEMENT = 2
    FARM = 3
    BANK = 4


@dataclass(frozen=True)
class Layout:
    """Where things lie before any border is drawn; kilometres from the county's centre.

    `seats` (t, 2) centres of rural towns, `settlements` (v, 2) centres of villages.
    """

    seats: Floats
    settlements: Floats


@dataclass(frozen=True)
class Cells:
    """n cells: seeds, households, neighbours and polygons.

    `xy` (n, 2) seeds in km; `households` (n,); `kind` (n,) of `Kind`; `pairs` (m, 2) of neighbours;
    `length` (m,) of the edge they share, in km; `over_river` (m,); `polygons` (n,) in degrees;
    `edges` (h, 2, 2) not yet bent, in km: those of cell c are from `first_edge[c]` up to `first_edge[c + 1]`.
    """

    xy: Floats
    households: Ints
    kind: Ints
    pairs: Ints
    length: Floats
    over_river: Bools
    polygons: NDArray[np.object_]
    edges: Floats
    first_edge: Ints
    river_line: shapely.Geometry

    def random_points(self, cells: Ints, rng: np.random.Generator) -> Floats:
        """Return one random place in km, shape (k, 2), strictly inside each of the k given cells."""
        count = self.first_edge[cells + 1] - self.first_edge[cells]
        edge = self.first_edge[cells] + (rng.random(len(cells)) * count).astype(np.int64)
        along = rng.random((len(cells), 1))
        rim = self.edges[edge, 0] * (1 - along) + self.edges[edge, 1] * along
        out = SAFE_SHARE * np.sqrt(rng.random((len(cells), 1)))
        return self.xy[cells] + out * (rim - self.xy[cells])


def to_degrees(xy: Floats) -> Floats:
    """Return lon/lat in degrees, rounded to 7 decimals, of places in km from the county's centre."""
    lonlat = np.empty_like(xy)
    lonlat[..., 0] = CENTRE_LON + xy[..., 0] / KM_PER_DEGREE_LON
    lonlat[..., 1] = CENTRE_LAT + xy[..., 1] / KM_PER_DEGREE_LAT
    return np.round(lonlat, DECIMALS)


def _wavy(angle: Floats, waves: list[tuple[int, float, float]]) -> Floats:
    return 1 + np.sum([size * np.cos(n * angle + phase) for n, size, phase in waves], axis=0)


def _inside(xy: Floats, radius: float, waves: list[tuple[int, float, float]], stretch: float = 1.0) -> Bools:
    """Tell which points lie within the wavy outline of mean `radius`, blown up by `stretch`."""
    angle = np.arctan2(xy[:, 1], xy[:, 0])
    return np.hypot(xy[:, 0], xy[:, 1]) < radius * stretch * _wavy(angle, waves)


class Ground:
    """The natural shape of the county: its outline, the built-up core and the river."""

    def __init__(self, size: Size, rng: np.random.Generator) -> None:
        self.size = size
        phase = rng.uniform(0, 2 * np.pi, 9)
        waves = [
            (2, 0.16, phase[0]),
            (3, 0.10, phase[1]),
            (5, 0.05, phase[2]),
            (11, 0.025, phase[3]),
            (19, 0.015, phase[4]),
        ]
        self.outline = [(n, float(a), float(p)) for n, a, p in waves]
        spread = 1 + sum(a * a for _, a, _ in self.outline) / 2
        self.radius = float(np.sqrt(COUNTY_KM2 * size.scale / np.pi / spread))
        self.core_radius = CORE_RADIUS_KM * size.length
        self.core = [(2, 0.14, float(phase[5])), (3, 0.12, float(phase[6])), (7, 0.06, float(phase[7]))]
        self.tilt = float(rng.uniform(-0.25, 0.25))
        self.bend = float(phase[8])

    def in_county(self, xy: Floats, stretch: float = 1.0) -> Bools:
        """Tell which points lie inside the county's outline, blown up by `stretch`."""
        return _inside(xy, self.radius, self.outline, stretch)

    def in_core(self, xy: Floats, stretch: float = 1.0) -> Bools:
        """Tell which points lie in the built-up core of the county seat."""
        return _inside(xy, self.core_radius, self.core, stretch)

    def _course(self, along: Floats) -> Floats:
        u = along / self.size.length
        swing = 1.1 * np.sin(0.42 * u + self.bend) + 0.45 * np.sin(1.05 * u + 2 * self.bend)
        return self.size.length * (-2.3 + swing)

    def _turned(self, xy: Floats, back: bool = False) -> Floats:
        a = -self.tilt if back else self.tilt
        return xy @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

    def north_of_river(self, xy: Floats) -> Bools:
        """Tell which points lie on the north bank."""
        turned = self._turned(xy)
        return turned[:, 1] > self._course(turned[:, 0])

    def river(self, step_km: float, offset_km: float = 0.0) -> Floats:
        """Return points (k, 2) along the river every `step_km`, moved by `offset_km` to the north."""
        along = np.arange(-1.6 * self.radius, 1.6 * self.radius, step_km)
        slope = np.gradient(self._course(along), along)
        normal = np.column_stack([-slope, np.ones_like(slope)]) / np.hypot(slope, 1)[:, None]
        return self._turned(np.column_stack([along, self._course(along)]) + offset_km * normal, back=True)


def _scatter(ground: Ground, count: int, stretch: float, rng: np.random.Generator) -> Floats:
    """Return about `count` uniform points inside the (blown-up) county."""
    half = 1.45 * ground.radius * stretch
    share = np.pi * (ground.radius * stretch) ** 2 / (2 * half) ** 2
    points = rng.uniform(-half, half, (int(count / share), 2))
    return points[ground.in_county(points, stretch)]


def even_points(cloud: Floats, count: int, rounds: int, rng: np.random.Generator) -> Floats:
    """Return `count` centres spread over a cloud of points by a few rounds of k-means."""
    centres = cloud[rng.choice(len(cloud), count, replace=False)]
    for _ in range(rounds):
        nearest = cKDTree(centres).query(cloud)[1]
        weight = np.bincount(nearest, minlength=count)
        sums = np.column_stack([np.bincount(nearest, cloud[:, k], count) for k in (0, 1)])
        centres = np.where(weight[:, None] > 0, sums / np.maximum(weight, 1)[:, None], centres)
    return centres


def _seats(ground: Ground, rng: np.random.Generator) -> Floats:
    """Return the centres of the rural towns, the first on the south bank so that both banks have a town."""
    pool = _scatter(ground, 4000, 0.8, rng)
    pool = pool[np.hypot(*pool.T) > 0.42 * ground.radius]
    south = pool[~ground.north_of_river(pool)]
    chosen = [np.zeros(2), south[np.argmin(np.abs(np.hypot(*south.T) - 0.62 * ground.radius))]]
    while len(chosen) <= ground.size.rural_towns:
        gap = cKDTree(np.array(chosen)).query(pool)[0]
        chosen.append(pool[np.argmax(gap * rng.uniform(0.85, 1.0, len(gap)))])
    return np.array(chosen[1:])


def lay_out(ground: Ground, rng: np.random.Generator) -> Layout:
    """Place the towns and villages of a county."""
    size = ground.size
    seats = _seats(ground, rng)
    cloud = _scatter(ground, 60 * size.villages, 0.96, rng)
    cloud = cloud[~ground.in_core(cloud, 1.12)]
    cloud = cloud[cKDTree(seats).query(cloud)[0] > 0.9]
    settlements = even_points(cloud, size.villages - size.communities - size.rural_towns, 3, rng)
    return Layout(seats, settlements)


def _cluster(centres: Floats, counts: Ints, spread: Floats, rng: np.random.Generator) -> Floats:
    """Return points scattered around centres in stretched, turned clouds, as settlements along a lane are."""
    owner = np.repeat(np.arange(len(centres)), counts)
    angle = rng.uniform(0, np.pi, len(centres))[owner]
    long, across = rng.normal(size=(2, len(owner))) * np.array([[1.3], [0.75]]) * spread[owner]
    turned = np.column_stack(
        [long * np.cos(angle) - across * np.sin(angle), long * np.sin(angle) + across * np.cos(angle)]
    )
    return centres[owner] + turned


def _core_points(ground: Ground, count: int, rng: np.random.Generator) -> Floats:
    """Return points of the core, denser towards its middle."""
    angle = rng.uniform(0, 2 * np.pi, count)
    reach = ground.core_radius * _wavy(angle, ground.core) * rng.random(count) ** 0.58
    return np.column_stack([reach * np.cos(angle), reach * np.sin(angle)])


def _raw_seeds(ground: Ground, layout: Layout, rng: np.random.Generator) -> tuple[Floats, Ints, Floats]:
    """Return seeds (n, 2), their kind and the households expected at each, before rounding."""
    total = ground.size.households
    urban, seat = 0.51 * total, 0.055 * total
    core = _core_points(ground, int(urban / CELL_HOUSEHOLDS), rng)
    seat_count = np.full(len(layout.seats), max(10, int(seat / len(layout.seats) / CELL_HOUSEHOLDS)))
    seat_points = _cluster(
        layout.seats, seat_count, np.full(len(layout.seats), 0.4 * ground.size.length**0.3), rng
    )
    each = rng.lognormal(0, 0.33, len(layout.settlements))
    each *= (0.99 * total - urban - seat) / each.sum()
    counts = np.maximum(6, np.round(each / CELL_HOUSEHOLDS)).astype(np.int64)
    homes = _cluster(layout.settlements, counts, 0.2 * np.sqrt(each / 360), rng)
    farms = _scatter(ground, int(4.0 * COUNTY_KM2 * ground.size.scale * 1.3), 1.18, rng)
    farms = farms[~ground.in_core(farms, 1.03)]
    weight = np.concatenate(
        [
            np.full(len(core), urban / len(core)) * rng.gamma(12, 1 / 12, len(core)),
            np.full(len(seat_points), seat / len(seat_points)) * rng.gamma(12, 1 / 12, len(seat_points)),
            np.repeat(each / counts, counts) * rng.gamma(8, 1 / 8, counts.sum()),
            0.01 * total / len(farms) * rng.gamma(0.1, 10, len(farms)),
        ]
    )
    kind = np.repeat(
        [Kind.URBAN, Kind.SEAT, Kind.SETTLEMENT, Kind.FARM],
        [len(core), len(seat_points), len(homes), len(farms)],
    )
    return np.concatenate([core, seat_points, homes, farms]), kind.astype(np.int64), weight


def _relaxed(points: Floats, rounds: int) -> Floats:
    """Move seeds towards the middle of their cells, so that no cell is a splinter."""
    for _ in range(rounds):
        voronoi = Voronoi(points)
        ridge = np.asarray(voronoi.ridge_vertices)
        whole = (ridge >= 0).all(axis=1)
        owner = voronoi.ridge_points[whole].T.ravel()
        middle = np.tile(voronoi.vertices[ridge[whole]].mean(axis=1), (2, 1))
        number = np.bincount(owner, minlength=len(points))
        mean = (
            np.column_stack([np.bincount(owner, middle[:, k], len(points)) for k in (0, 1)])
            / np.maximum(number, 1)[:, None]
        )
        step = np.where((number > 2)[:, None], mean - points, 0.0)
        # A cell on the rim reaches far out: a long step there would throw seeds about.
        points = points + 0.7 * step * np.minimum(1, 0.5 / np.maximum(np.hypot(*step.T), 1e-9))[:, None]
    return points


def _with_banks(points: Floats, kind: Ints, weight: Floats, ground: Ground) -> tuple[Floats, Ints, Floats]:
    """Add seeds in mirrored pairs along the river, so that cell edges follow its course."""
    step = 0.16
    banks = np.concatenate([ground.river(step, 0.09), ground.river(step, -0.09)])
    banks = banks[ground.in_county(banks, 1.18)]
    keep = cKDTree(ground.river(0.05)).query(points)[0] > 0.15
    lost = weight[~keep].sum()
    points, kind, weight = points[keep], kind[keep], weight[keep] * (1 + lost / weight[keep].sum())
    return (
        np.concatenate([points, banks]),
        np.concatenate([kind, np.full(len(banks), Kind.BANK)]),
        np.concatenate([weight, np.zeros(len(banks))]),
    )


def whole_numbers(weight: Floats, total: int) -> Ints:
    """Return whole numbers proportional to `weight` with exactly the given total."""
    edges = np.round(np.cumsum(weight) / weight.sum() * total)
    return np.diff(edges, prepend=0).astype(np.int64)


def _bent_edges(voronoi: Voronoi, calm: Bools, rng: np.random.Generator) -> tuple[Floats, Bools]:
    """Return up to three bends of every edge (m, 3, 2) in km and which of them are used (m, 3).

    A bend is pushed square to its edge by a share of the room there: the height, above that place, of the two
    triangles between the edge and its seeds. No other edge has a part in these triangles, so nothing crosses.
    """
    ridge = np.asarray(voronoi.ridge_vertices)
    ends = voronoi.vertices[ridge]
    seeds = voronoi.points[voronoi.ridge_points]
    apart = seeds[:, 1] - seeds[:, 0]
    length, gap = np.hypot(*(ends[:, 1] - ends[:, 0]).T)[:, None], np.hypot(*apart.T)[:, None]
    share = np.array([0.25, 0.5, 0.75])
    straight = ends[:, :1] * (1 - share[:, None]) + ends[:, 1:] * share[:, None]
    along, unit = share * length, (ends[:, 1] - ends[:, 0]) / np.maximum(length, 1e-12)
    foot = ((seeds.mean(axis=1) - ends[:, 0]) * unit).sum(axis=1)[:, None]
    before = along < foot
    slope = np.where(before, along, length - along) / np.maximum(np.where(before, foot, length - foot), 1e-12)
    smooth = np.where(calm, 0.15, 1.0)
    push = rng.uniform(-ROUGHNESS, ROUGHNESS, along.shape) * smooth[:, None]
    used = np.column_stack([length > 0.1, length > 0.025, length > 0.1])
    bends = straight + (push * slope * gap / 2)[..., None] * (apart / gap)[:, None]
    bounded = (ridge >= 0).all(axis=1, keepdims=True)
    return bends, used & bounded


def _half_edges(voronoi: Voronoi, inside: Bools) -> tuple[Ints, Ints, Bools]:
    """Return cell, ridge and "run backwards" of each half-edge, counter-clockwise cell by cell."""
    ridge = np.asarray(voronoi.ridge_vertices)
    owner = voronoi.ridge_points.T.ravel()
    which = np.tile(np.arange(len(ridge)), 2)
    mine = inside[owner]
    owner, which = owner[mine], which[mine]
    ray = voronoi.vertices[ridge[which]] - voronoi.points[owner][:, None]
    angle = np.arctan2(*ray.mean(axis=1).T[::-1])
    backwards = ray[:, 0, 0] * ray[:, 1, 1] - ray[:, 0, 1] * ray[:, 1, 0] < 0
    order = np.lexsort([angle, owner])
    return owner[order], which[order], backwards[order]


def _polygons(
    voronoi: Voronoi, owner: Ints, which: Ints, backwards: Bools, bends: Floats, used: Bools
) -> NDArray[np.object_]:
    """Return the rough polygon in degrees of every inside cell, in order of cell."""
    ridge = np.asarray(voronoi.ridge_vertices)[which]
    start = np.where(backwards, ridge[:, 1], ridge[:, 0])
    chain, keep = bends[which], used[which]
    chain = np.where(backwards[:, None, None], chain[:, ::-1], chain)
    points = to_degrees(np.concatenate([voronoi.vertices[start][:, None], chain], axis=1)).reshape(-1, 2)
    keep = np.column_stack([np.ones(len(keep), bool), keep]).ravel()
    ring = np.repeat(np.unique(owner, return_inverse=True)[1], 4)
    points, ring = points[keep], ring[keep]
    # Two corners closer than the rounding become one.
    fresh = np.ones(len(points), bool)
    fresh[1:] = (points[1:] != points[:-1]).any(axis=1) | (ring[1:] != ring[:-1])
    return np.asarray(shapely.polygons(shapely.linearrings(points[fresh], indices=ring[fresh])), object)


def _river_line(voronoi: Voronoi, ridges: Ints, bends: Floats, used: Bools) -> shapely.Geometry:
    """Return the river as the chain of cell edges between its banks, in degrees."""
    ends = voronoi.vertices[np.asarray(voronoi.ridge_vertices)[ridges]]
    points = np.concatenate([ends[:, :1], bends[ridges], ends[:, 1:]], axis=1)
    keep = np.column_stack([np.ones(len(ridges), bool), used[ridges], np.ones(len(ridges), bool)])
    number = np.repeat(np.arange(len(ridges)), 5).reshape(-1, 5)
    parts = np.asarray(shapely.linestrings(to_degrees(points[keep]), indices=number[keep]), object)
    merged = shapely.line_merge(shapely.multilinestrings(parts))
    return max(shapely.get_parts(merged), key=lambda part: (part.length, part.bounds))


def make_cells(ground: Ground, layout: Layout, rng: np.random.Generator) -> Cells:
    """Return the cells of the county, households included."""
    points, kind, weight = _raw_seeds(ground, layout, rng)
    points, kind, weight = _with_banks(_relaxed(points, 2), kind, weight, ground)
    voronoi = Voronoi(points)
    inside = ground.in_county(points)
    north = ground.north_of_river(points)
    apart = north[voronoi.ridge_points[:, 0]] != north[voronoi.ridge_points[:, 1]]
    bends, used = _bent_edges(voronoi, apart, rng)
    owner, which, backwards = _half_edges(voronoi, inside)
    new = np.cumsum(inside) - 1
    both = inside[voronoi.ridge_points].all(axis=1)
    ends = voronoi.vertices[np.asarray(voronoi.ridge_vertices)]
    length = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
    # A shared edge of a few decimetres is no passage: cells that meet only there are not neighbours.
    joined = both & (length > 0.002)
    return Cells(
        xy=points[inside],
        households=whole_numbers(weight[inside], ground.size.households),
        kind=kind[inside],
        pairs=new[voronoi.ridge_points[joined]],
        length=length[joined],
        over_river=apart[joined],
        polygons=_polygons(voronoi, owner, which, backwards, bends, used),
        edges=voronoi.vertices[np.asarray(voronoi.ridge_vertices)[which]],
        first_edge=np.searchsorted(new[owner], np.arange(inside.sum() + 1)),
        river_line=_river_line(voronoi, np.flatnonzero(both & apart), bends, used),
    )
