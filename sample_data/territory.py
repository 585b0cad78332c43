"""From cells to county, towns, villages and grids, with codes and the grids before the redraw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sample_data import names
from sample_data.cells import Cells, Floats, Ground, Ints, Kind, even_points, lay_out, make_cells
from sample_data.partition import apportion, divide, grow
from sample_data.sizes import Size

Shapes = NDArray[np.object_]

TOWN_GRID_HOUSEHOLDS = 400.0


@dataclass(frozen=True)
class Divisions:
    """Areas of one level: `codes`, `names`, `parent` codes and `shapes` in degrees, all in order of code."""

    codes: list[str]
    names: list[str]
    parents: list[str]
    shapes: Shapes


@dataclass(frozen=True)
class Grids:
    """The g grids in force, and the p grids before them.

    `codes`, `names` and `shapes` in order of code; `village` (g,) its index; `urban` (g,) whether it
    is in a community; `households` (g,); `before` (g,) index of the predecessor; `old_codes`, `old_names`,
    `old_village`, `old_shapes` of the predecessors; a grid with the same code in both is unchanged.
    """

    codes: list[str]
    names: list[str]
    shapes: Shapes
    village: Ints
    urban: NDArray[np.bool_]
    households: Ints
    before: Ints
    old_codes: list[str]
    old_names: list[str]
    old_village: Ints
    old_shapes: Shapes

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        """Tell which grids were not touched by the redraw."""
        return np.array([self.codes[g] == self.old_codes[b] for g, b in enumerate(self.before)])


@dataclass(frozen=True)
class Territory:
    """The whole land: divisions, grids, and the cells in order of grid (`grid` (n,) says which)."""

    ground: Ground
    cells: Cells
    grid: Ints
    county: Divisions
    towns: Divisions
    villages: Divisions
    village_town: Ints
    community: NDArray[np.bool_]
    grids: Grids
    seats: Floats

    @property
    def grid_town(self) -> Ints:
        """Index of the town of every grid."""
        return self.village_town[self.grids.village]

    @property
    def grid_pairs(self) -> Ints:
        """Neighbouring grids, shape (k, 2), each pair once."""
        pairs = self.grid[self.cells.pairs]
        pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
        return np.unique(pairs, axis=0)

    @property
    def grid_middle(self) -> Floats:
        """Mean place of a grid's households in km, shape (g, 2)."""
        weight = self.cells.households + 1e-6
        total = np.bincount(self.grid, weight)
        return np.column_stack([np.bincount(self.grid, weight * self.cells.xy[:, k]) / total for k in (0, 1)])


def _nearest_cells(cells: Cells, points: Floats, of: NDArray[np.bool_]) -> Ints:
    """Return a different cell near every point, among the cells chosen by the mask."""
    pool = np.flatnonzero(of)
    tree, taken = cKDTree(cells.xy[pool]), set()
    result = []
    for near in tree.query(points, k=min(20, len(pool)))[1]:
        pick = next(int(k) for k in near if int(k) not in taken)
        taken.add(pick)
        result.append(pool[pick])
    return np.array(result)


def _distance(cells: Cells) -> Floats:
    """Return the distance in km between the seeds of every pair of neighbours."""
    return np.hypot(*(cells.xy[cells.pairs[:, 0]] - cells.xy[cells.pairs[:, 1]]).T)


def _towns(cells: Cells, size: Size, seats: Floats, rng: np.random.Generator) -> Ints:
    """Return the town of every cell: streets first, then rural towns."""
    core = cells.xy[cells.kind == Kind.URBAN]
    centres = np.concatenate([even_points(core, size.streets, 8, rng), seats])
    land = ~cells.over_river
    seeds = _nearest_cells(cells, centres, cells.kind < Kind.FARM)
    # Hills: whole patches that are slow to cross bend a border that would otherwise run straight.
    hills = even_points(cells.xy, max(8, round(160 * size.scale)), 1, rng)
    slow = rng.uniform(0.5, 1.9, len(hills))[cKDTree(hills).query(cells.xy)[1]]
    cost = _distance(cells) * rng.uniform(0.75, 1.25, len(cells.pairs)) * slow[cells.pairs].mean(axis=1)
    return grow(len(cells.xy), cells.pairs[land], cost[land], seeds)


def _villages(
    cells: Cells, size: Size, seats: Floats, settlements: Floats, town: Ints, rng: np.random.Generator
) -> Ints:
    """Return the village of every cell: urban communities, then the seats of towns, then rural villages."""
    core = cells.xy[cells.kind == Kind.URBAN]
    communities = even_points(core, size.communities, 5, rng)
    seeds = np.concatenate(
        [
            _nearest_cells(cells, communities, cells.kind == Kind.URBAN),
            _nearest_cells(cells, seats, cells.kind == Kind.SEAT),
            _nearest_cells(cells, settlements, cells.kind == Kind.SETTLEMENT),
        ]
    )
    walk = ~cells.over_river & (town[cells.pairs[:, 0]] == town[cells.pairs[:, 1]])
    cost = _distance(cells) * rng.uniform(0.7, 1.3, len(cells.pairs))
    # Leaving a built-up place costs more: fields between two villages are shared out, houses are not cut.
    cost *= np.where((cells.kind[cells.pairs] == Kind.FARM).any(axis=1), 1.5, 1.0)
    return grow(len(cells.xy), cells.pairs[walk], cost[walk], seeds)


def _counts(households: Floats, rural_from: int, size: Size) -> Ints:
    """Return how many grids each village gets; the total is exact."""
    counts = np.ones(len(households), np.int64)
    town = np.maximum(1, np.round(households[:rural_from] / TOWN_GRID_HOUSEHOLDS)).astype(np.int64)
    counts[:rural_from] = town
    counts[rural_from:] = apportion(households[rural_from:], size.grids - int(town.sum()))
    return counts


def _parts(counts: Ints, merged: int) -> list[list[int]]:
    """Return for every village the numbers of grids in force that each of its predecessors became.

    `merged` is by how many the predecessors are fewer in all; the villages with most grids give most.
    """
    old = counts.copy()
    # Dense communities were cut in two, every third of them in three; more is a last resort of small cities.
    for most in (np.where(np.arange(len(counts)) % 3 == 0, 3, 2), 3, 4):
        most = np.broadcast_to(most, counts.shape)
        for village in np.argsort(-counts, kind="stable"):
            floor = -(-counts[village] // most[village])
            take = min(merged, max(0, int(old[village] - floor)))
            old[village] -= take
            merged -= take
    return [
        np.diff(np.round(np.linspace(0, n, m + 1))).astype(int).tolist()
        for n, m in zip(counts, old, strict=True)
    ]


def _cut_villages(
    cells: Cells, village: Ints, parts: list[list[int]], rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Return the grid in force and the predecessor of every cell, numbered village by village."""
    grid, before = np.zeros_like(village), np.zeros_like(village)
    inner = (village[cells.pairs[:, 0]] == village[cells.pairs[:, 1]]) & ~cells.over_river
    edge_village = np.where(inner, village[cells.pairs[:, 0]], -1)
    edges = np.split(
        np.argsort(edge_village, kind="stable"),
        np.searchsorted(np.sort(edge_village), np.arange(len(parts) + 1)),
    )[1:]
    members = np.split(
        np.argsort(village, kind="stable"), np.searchsorted(np.sort(village), np.arange(len(parts)))
    )[1:]
    local = np.empty_like(village)
    first_grid = first_old = 0
    for mine, edge, shares in zip(members, edges, parts, strict=False):
        local[mine] = np.arange(len(mine))
        pairs, length = local[cells.pairs[edge]], cells.length[edge]
        weight = cells.households[mine].astype(float) + 0.01
        old = divide(cells.xy[mine], weight, pairs, length, shares, rng)
        for number, share in enumerate(shares):
            own = old == number
            inside = own[pairs].all(axis=1)
            again = np.cumsum(own) - 1
            new = divide(
                cells.xy[mine][own], weight[own], again[pairs[inside]], length[inside], [1] * share, rng
            )
            grid[mine[own]] = first_grid + new
            first_grid += share
        before[mine] = first_old + old
        first_old += len(shares)
    return grid, before


def dissolve(polygons: Shapes, label: Ints) -> Shapes:
    """Return one shape per label 0.. from polygons that share their edges exactly."""
    order = np.argsort(label, kind="stable")
    groups = np.split(polygons[order], np.searchsorted(label[order], np.arange(1, label.max() + 1)))
    # What stays as it is keeps its ring point by point: an unchanged grid is the same text in both files.
    shapes = [group[0] if len(group) == 1 else shapely.coverage_union_all(group) for group in groups]
    whole = [
        shapely.get_geometry(shape, 0) if shapely.get_num_geometries(shape) == 1 else shape
        for shape in shapes
    ]
    return np.asarray(shapely.orient_polygons(np.array(whole, object), exterior_cw=False), object)


def _of_parts(part: Ints, whole: Ints) -> Ints:
    """Return for every part 0.. the whole it belongs to, from the labels of the cells."""
    result = np.zeros(part.max() + 1, np.int64)
    result[part] = whole
    return result


def reading_order(shapes: Shapes, group: Ints) -> Ints:
    """Return the place 0.. of every shape inside its group, read in rows from north to south, west to east.

    A group of n shapes has about √n rows of equal height.
    """
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    result = np.zeros(len(shapes), np.int64)
    for number in np.unique(group):
        mine = np.flatnonzero(group == number)
        lon, lat = middle[mine].T
        rows = max(1, round(np.sqrt(len(mine))))
        height = max(float(np.ptp(lat)), 1e-9) * 1.000001
        row = ((lat.max() - lat) / height * rows).astype(int)
        result[mine[np.lexsort([lon, row])]] = np.arange(len(mine))
    return result


def _town_codes(streets: int, towns: int) -> list[str]:
    numbers = [*range(1, streets + 1), *range(100, 100 + towns)]
    return [f"{names.COUNTY_CODE}{number:03d}" for number in numbers]


def _village_codes(
    shapes: Shapes, town: Ints, community: NDArray[np.bool_], town_codes: list[str]
) -> list[str]:
    """Return 12-digit codes: in each town communities from 001, villages from 200, in reading order."""
    place = reading_order(shapes, town * 2 + community)
    return [
        f"{town_codes[t]}{(1 if c else 200) + p:03d}" for t, c, p in zip(town, community, place, strict=True)
    ]


def _numbered(villages: Divisions, village: Ints, place: Ints) -> tuple[list[str], list[str]]:
    """Return codes and names of grids from their village and place 0.. in it."""
    codes = [f"{villages.codes[v]}{p + 1:03d}" for v, p in zip(village, place, strict=True)]
    return codes, [f"{villages.names[v]}第{p + 1}网格" for v, p in zip(village, place, strict=True)]


def _grids(
    cells: Cells,
    grid: Ints,
    before: Ints,
    shapes: Shapes,
    old_shapes: Shapes,
    village: Ints,
    villages: Divisions,
    community: NDArray[np.bool_],
) -> tuple[Grids, Ints]:
    """Number the grids and return them in order of code, with the new place of every grid."""
    parent, of_village, old_village = (
        _of_parts(grid, before),
        _of_parts(grid, village),
        _of_parts(before, village),
    )
    old_place = reading_order(old_shapes, old_village)
    children, per_village = np.bincount(parent), np.bincount(old_village)
    split = children[parent] > 1
    place = old_place[parent]
    fresh = np.flatnonzero(split)
    # A code is never reused: what the redraw made is numbered after all that there had been.
    place[fresh] = per_village[of_village[fresh]] + reading_order(shapes[fresh], of_village[fresh])
    order, old_order = np.lexsort([place, of_village]), np.lexsort([old_place, old_village])
    code, label = _numbered(villages, of_village[order], place[order])
    old_code, old_label = _numbered(villages, old_village[old_order], old_place[old_order])
    result = Grids(
        codes=code,
        names=label,
        shapes=shapes[order],
        village=of_village[order],
        urban=community[of_village[order]],
        households=np.bincount(grid, cells.households, len(shapes)).astype(np.int64)[order],
        before=np.argsort(old_order)[parent[order]],
        old_codes=old_code,
        old_names=old_label,
        old_village=old_village[old_order],
        old_shapes=old_shapes[old_order],
    )
    return result, np.argsort(order)


def _village_names(
    community: NDArray[np.bool_], seat_of: dict[int, str], rng: np.random.Generator
) -> list[str]:
    """Return a name for every village in order of code; the seat of a town carries the town's name."""
    urban = iter(names.community_names(int(community.sum()), set(seat_of.values()), rng))
    rural = iter(names.village_names(int((~community).sum()), rng))
    return [seat_of.get(k) or (next(urban) if c else next(rural)) for k, c in enumerate(community)]


def _sorted_cells(cells: Cells, order: Ints) -> Cells:
    """Return the same cells in another order."""
    place = np.argsort(order)
    count = np.diff(cells.first_edge)[order]
    first = np.concatenate([[0], np.cumsum(count)])
    edge = np.repeat(cells.first_edge[order] - first[:-1], count) + np.arange(first[-1])
    return Cells(
        xy=cells.xy[order],
        households=cells.households[order],
        kind=cells.kind[order],
        pairs=place[cells.pairs],
        length=cells.length,
        over_river=cells.over_river,
        polygons=cells.polygons[order],
        edges=cells.edges[edge],
        first_edge=first,
        river_line=cells.river_line,
    )


def _village_table(
    shapes: Shapes, town: Ints, size: Size, town_codes: list[str], rng: np.random.Generator
) -> tuple[Divisions, Ints]:
    """Return the villages in order of code, and the order itself; they come as `_villages` numbers them."""
    community = np.arange(len(shapes)) < size.communities + size.rural_towns
    codes = _village_codes(shapes, town, community, town_codes)
    order = np.argsort(codes)
    place = np.argsort(order)
    seats = {int(place[size.communities + k]): f"{names.TOWN_NAMES[k]}社区" for k in range(size.rural_towns)}
    labels = _village_names(community[order], seats, rng)
    parents = [town_codes[t] for t in town[order]]
    return Divisions([codes[k] for k in order], labels, parents, shapes[order]), order


def make_territory(size: Size, rng: np.random.Generator) -> Territory:
    """Return the county of the given size, cut down to its grids."""
    ground = Ground(size, rng)
    layout = lay_out(ground, rng)
    cells = make_cells(ground, layout, rng)
    town = _towns(cells, size, layout.seats, rng)
    village = _villages(cells, size, layout.seats, layout.settlements, town, rng)
    households = np.bincount(village, cells.households).astype(np.float64)
    counts = _counts(households, size.communities + size.rural_towns, size)
    grid, before = _cut_villages(cells, village, _parts(counts, size.grids - size.predecessors), rng)

    grid_shapes = dissolve(cells.polygons, grid)
    old_shapes = dissolve(grid_shapes, _of_parts(grid, before))
    village_shapes = dissolve(grid_shapes, _of_parts(grid, village))
    village_town = _of_parts(village, town)
    town_shapes = dissolve(village_shapes, village_town)
    county_shape = dissolve(town_shapes, np.zeros(len(town_shapes), np.int64))

    town_codes = _town_codes(size.streets, size.rural_towns)
    town_labels = names.street_names(size.streets) + names.town_names(size.rural_towns)
    villages, order = _village_table(village_shapes, village_town, size, town_codes, rng)
    village = np.argsort(order)[village]
    community = order < size.communities + size.rural_towns
    grids, place = _grids(cells, grid, before, grid_shapes, old_shapes, village, villages, community)
    by_grid = np.argsort(place[grid], kind="stable")
    return Territory(
        ground=ground,
        cells=_sorted_cells(cells, by_grid),
        grid=place[grid][by_grid],
        county=Divisions([names.COUNTY_CODE], [names.CITY], [""], county_shape),
        towns=Divisions(town_codes, town_labels, [names.COUNTY_CODE] * len(town_codes), town_shapes),
        villages=villages,
        village_town=village_town[order],
        community=community,
        grids=grids,
        seats=layout.seats,
    )
