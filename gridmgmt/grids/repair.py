"""Mends a coverage: grids that overlap, leave gaps, cross themselves or do not share their vertices.

Only grids at a fault and their neighbours are drawn anew: all their lines are cut at each other, and each
face goes to one grid. What was right stays as it is, so mending twice changes nothing more.

Method: docs/methods/grid-checks.md.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.grids import chains, halfedges, measure
from gridmgmt.grids.chains import STEPS_A_DEGREE, Chain, FloatArray, Geometries, IntArray
from gridmgmt.grids.checks import mended

# Vertices nearer than this are two readings of one: a boundary is not surveyed better.
SNAP_M = 0.1
# A piece of a grid smaller than this and than 1 % of it is a leftover of drawing, not land meant to be apart.
CRUMB_M2, CRUMB_SHARE = 1000.0, 0.01
ROUNDS = 4
NOBODY = -1


@dataclass
class _Done:
    """What was done, counted."""

    mended: int = 0
    snapped: int = 0
    overlaps: list[float] = field(default_factory=list)
    gaps: list[tuple[float, int]] = field(default_factory=list)
    outside: list[float] = field(default_factory=list)
    crumbs: list[float] = field(default_factory=list)

    def sentences(self, keys: list[str]) -> list[str]:
        said = []
        if self.mended:
            said.append(f"{self.mended} 个网格的边界自己交叉或相碰，已理顺。")
        if self.snapped:
            said.append(f"对齐 {self.snapped} 个相差不到 {SNAP_M * 100:g} 厘米的顶点。")
        if self.overlaps:
            said.append(f"消除重叠 {_amount(self.overlaps)}，归面积较小的网格。")
        if self.gaps:
            area, owner = max(self.gaps)
            said.append(
                f"补上空缺 {_amount([each for each, _ in self.gaps])}，归共用边最长的网格；"
                f"最大一处 {area:,.0f} 平方米归网格 {keys[owner]}。"
            )
        if self.outside:
            said.append(f"裁去超出村界的地 {_amount(self.outside)}。")
        if self.crumbs:
            said.append(f"零碎地块 {_amount(self.crumbs)}，划给相邻网格。")
        return said


def _amount(areas: list[float]) -> str:
    total = sum(areas)
    return (
        f"{len(areas)} 处共 {total:,.0f} 平方米" if total >= 10 else f"{len(areas)} 处共 {total:.2f} 平方米"
    )


def repair(
    shapes: Mapping[str, BaseGeometry],
    villages: Mapping[str, BaseGeometry | None] | None = None,
    village_of: Callable[[str], str] = lambda key: key[:12],
) -> tuple[dict[str, MultiPolygon], list[str]]:
    """Return the shapes without gap, overlap or crossing, and what was done, in Chinese sentences.

    Vertices within 10 cm of each other become one. Ground that several grids claim goes to the smallest of
    them (of equal ones the earlier), ground that none claims to the neighbour with the longest common edge, a
    crumb (under 1,000 m² and 1 % of its grid) to the neighbour beside it. Shapes that share their edges
    already come back as they are, on the lattice of 1e-9 degrees.

    Parameters
    ----------
    shapes : mapping of key to shape, in degrees
        A whole coverage: ground that it encloses and none covers counts as a gap.
    villages : mapping of code to outline, optional
        Ground beyond its village is taken from a grid, land of a village goes to its own grids only.
    village_of : callable, key to village code
        By default the first 12 digits of the key.
    """
    keys, done = list(shapes), _Done()
    whole = measure.as_array([shapes[key] for key in keys])
    wrong = np.flatnonzero(~shapely.is_valid(whole))
    done.mended = len(wrong)
    whole[wrong] = [mended(each) for each in whole[wrong]]
    drawn = {code: each for code, each in (villages or {}).items() if each is not None and not each.is_empty}
    number = {code: place for place, code in enumerate(drawn)}
    outlines = on_lattice(measure.as_array([mended(each) for each in drawn.values()]))
    village = np.array([number.get(village_of(key), -1) for key in keys], np.int64)
    land = _Land(on_lattice(whole), village, outlines, done)
    for last in range(ROUNDS):
        if not land.round(everything=last == ROUNDS - 1):
            break
    return dict(zip(keys, map(_multi, land.shapes), strict=True)), done.sentences(keys)


def on_lattice(shapes: Geometries) -> Geometries:
    """Return shapes (n,) with their vertices rounded to 1e-9 degrees, equal ones to equal ones."""
    rounded = shapely.transform(shapes, lambda xy: np.rint(xy * STEPS_A_DEGREE) / STEPS_A_DEGREE)
    rounded = measure.as_array(list(shapely.remove_repeated_points(rounded)))
    wrong = np.flatnonzero(~shapely.is_valid(rounded))
    rounded[wrong] = [mended(each) for each in shapely.set_precision(shapes[wrong], 1 / STEPS_A_DEGREE)]
    return rounded


def _multi(shape: BaseGeometry) -> MultiPolygon:
    return MultiPolygon(list(shapely.get_parts(shape)))


class _Land:
    """The shapes while they are being mended."""

    def __init__(self, shapes: Geometries, village: IntArray, outlines: Geometries, done: _Done) -> None:
        self.shapes, self.village, self.outlines, self.done = shapes, village, outlines, done
        self.area = measure.area_m2(shapes)
        self.peopled = np.unique(village[village >= 0])  # villages that have grids here

    def round(self, everything: bool) -> bool:
        """Mend what is wrong; return False when nothing was. The last round draws everything anew."""
        there = np.flatnonzero(~shapely.is_empty(self.shapes))
        city, left = self._left()
        crumbs = self._with_crumbs()
        if city is None and not left and not len(crumbs):
            return False
        if not everything:
            self._snap([*([] if city is None else [city]), *left.values()])
        chosen = there if everything else self._around(crumbs)
        if len(chosen):
            _Redraw(self, chosen, list(left)).run()
        return True

    def _left(self) -> tuple[Chain | None, dict[int, Chain]]:
        """Return what is left of the city's edges, None when only its rim is, and of those of each village
        whose ground its grids do not tile to the millimetre."""
        there = np.flatnonzero(~shapely.is_empty(self.shapes))
        rest = chains.rest(self.shapes[there], self.village[there], self.outlines)
        own = {number: chain for number, chain in rest.villages.items() if number in self.peopled}
        # A vertex of a grid on a village's straight edge is off it by rounding: that is no fault.
        wrong = {n: chain for n, chain in own.items() if chains.faces(chains.joined(chain)).winding.any()}
        return None if chains.is_exact(rest.city) else rest.city, wrong

    def _snap(self, faulty: list[Chain]) -> None:
        """Make one vertex of those that are nearly one; an outline's vertex stays where it is."""
        if not faulty:
            return
        ends = np.concatenate([each.ends.reshape(-1, 2) for each in faulty])
        fixed = np.concatenate([np.repeat(each.owner < 0, 2) for each in faulty])
        points, place = np.unique(ends, axis=0, return_inverse=True)
        is_fixed = np.zeros(len(points), bool)
        np.logical_or.at(is_fixed, place.reshape(-1), fixed)
        points = points[np.argsort(~is_fixed, kind="stable")]
        moved = chains.nearest_first(points, SNAP_M)
        changed = np.flatnonzero(moved != np.arange(len(points)))
        if not len(changed):
            return
        self.done.snapped += len(changed)
        self.shapes = _moved(self.shapes, points[changed], points[moved[changed]])

    def _around(self, crumbs: IntArray) -> IntArray:
        """Return the shapes at a fault and their neighbours."""
        city, left = self._left()
        patches = [] if city is None else [_faulty(city, (1,))]
        patches += [_faulty(chain, (0,)) for chain in left.values()]
        near = np.concatenate([*patches, self.shapes[crumbs]])
        tree = shapely.STRtree(self.shapes)
        at = np.unique(tree.query(near, "dwithin", distance=2 / STEPS_A_DEGREE)[1])
        return np.unique(tree.query(self.shapes[at], "intersects")[1])

    def _with_crumbs(self) -> IntArray:
        several = np.flatnonzero(shapely.get_num_geometries(self.shapes) > 1)
        return np.array([k for k in several.tolist() if self._crumbs(k)], np.int64)

    def _crumbs(self, k: int) -> list[BaseGeometry]:
        """Return the crumbs of a shape that have a neighbour along an edge."""
        parts = shapely.get_parts(self.shapes[k])
        area = measure.area_m2(parts)
        small = parts[(area < CRUMB_M2) & (area < CRUMB_SHARE * area.sum())]
        tree = shapely.STRtree(self.shapes)
        found = []
        for part in small:
            near = [other for other in tree.query(part, "intersects").tolist() if other != k]
            shared = shapely.length(shapely.intersection(part.boundary, shapely.boundary(self.shapes[near])))
            if (shared > 0).any():
                found.append(part)
        return found


def _faulty(chain: Chain, right: Collection[int]) -> Geometries:
    """Return the faces of a chain that it does not wind around as often as is right."""
    found = chains.faces(chain, noise=True)
    return found.shapes[~np.isin(found.winding, list(right))]


def _moved(shapes: Geometries, old: IntArray, new: IntArray) -> Geometries:
    """Return shapes whose vertices at `old` (k, 2) stand at `new`, in steps of the lattice."""
    order = np.lexsort((old[:, 1], old[:, 0]))
    names = old[order].view([("x", np.int64), ("y", np.int64)]).reshape(-1)

    def move(points: FloatArray) -> FloatArray:
        steps = np.ascontiguousarray(np.rint(points * STEPS_A_DEGREE).astype(np.int64))
        given = steps.view(names.dtype).reshape(-1)
        place = np.minimum(np.searchsorted(names, given), len(names) - 1)
        hit = names[place] == given
        steps[hit] = new[order][place[hit]]
        return steps / STEPS_A_DEGREE

    moved = measure.as_array(list(shapely.remove_repeated_points(shapely.transform(shapes, move))))
    wrong = np.flatnonzero(~shapely.is_valid(moved))
    moved[wrong] = on_lattice(measure.as_array([mended(each) for each in moved[wrong]]))
    return moved


class _Redraw:
    """Some shapes of a land, cut into faces at all their lines, each face given to one of them."""

    def __init__(self, land: _Land, chosen: IntArray, numbers: list[int]) -> None:
        self.land, self.chosen, self.numbers = land, chosen, numbers

    def run(self) -> None:
        land, chosen = self.land, self.chosen
        outlines = land.outlines[self.numbers]
        lines = np.concatenate([shapely.boundary(land.shapes[chosen]), shapely.boundary(outlines)])
        noded = shapely.union_all(lines, grid_size=1 / STEPS_A_DEGREE)
        self.faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(noded)))
        self.area = measure.area_m2(self.faces)
        inside = shapely.point_on_surface(self.faces)
        self.ground = _first_holder(land.outlines, inside)
        self.owner = self._claimed(inside)
        self._give_ownerless()
        self._give_crumbs()
        self._write()

    def _claimed(self, inside: Geometries) -> IntArray:
        """Return the owner of each face among those that claim it; NOBODY where none may."""
        land = self.land
        claims: list[list[int]] = [[] for _ in inside]
        for face, grid in shapely.STRtree(land.shapes).query(inside, "intersects").T.tolist():
            claims[face].append(grid)
        owner = np.full(len(inside), NOBODY)
        self.open = np.zeros(len(inside), bool)  # to be given to a neighbour
        for face, grids in enumerate(claims):
            allowed = [grid for grid in grids if self._may(grid, self.ground[face])]
            if allowed:
                owner[face] = min(allowed, key=lambda grid: (land.area[grid], grid))
            if len(allowed) > 1:
                land.done.overlaps.append(self.area[face])
            if grids and not allowed and self.area[face] > chains.NOISE_M2:
                land.done.outside.append(self.area[face])
            own = self.ground[face] < 0 or self.ground[face] in land.peopled
            self.open[face] = not allowed and own and not (grids and self.ground[face] < 0)
        return owner

    def _may(self, grid: int, ground: int) -> bool:
        """Say whether a grid may have ground of a village (-1: of none that is drawn)."""
        return bool(self.land.village[grid] in (-1, ground))

    def _give_ownerless(self) -> None:
        """Give each face that nobody has to the neighbour with the longest common edge."""
        edges = halfedges.pair(self.faces)
        twinned = np.flatnonzero(edges.twin >= 0)
        a, b = edges.owner[twinned], edges.owner[edges.twin[twinned]]
        long = np.hypot(*(edges.ends[twinned, :2] - edges.ends[twinned, 2:]).T)
        self.beside = a, b, long
        waiting = np.flatnonzero(self.open & (self.owner == NOBODY)).tolist()
        while waiting:
            best = {face: self._longest(face, None) for face in waiting}
            given = {face: grid for face, grid in best.items() if grid != NOBODY}
            if not given:
                break  # no grid of its village lies beside it
            for face, grid in given.items():
                self.owner[face] = grid
                self.land.done.gaps.append((float(self.area[face]), grid))
            waiting = [face for face in waiting if face not in given]

    def _longest(self, face: int, but: int | None) -> int:
        """Return the grid with the longest edge along a face that may have it, NOBODY when there is none."""
        a, b, long = self.beside
        here = a == face
        owners, length = self.owner[b[here]], long[here]
        allowed = [grid for grid in np.unique(owners).tolist() if grid not in (NOBODY, but)]
        allowed = [grid for grid in allowed if self._may(grid, self.ground[face])]
        return max(allowed, key=lambda grid: (length[owners == grid].sum(), -grid), default=NOBODY)

    def _give_crumbs(self) -> None:
        """Give small pieces that hang on nothing of their own grid to the grid beside them."""
        a, b, _ = self.beside
        pieces = _components(len(self.faces), a, b, self.owner)
        size = np.bincount(pieces, self.area)
        whole = np.bincount(np.maximum(self.owner, 0), self.area * (self.owner >= 0))
        for piece in np.flatnonzero(size < CRUMB_M2).tolist():
            members = np.flatnonzero(pieces == piece)
            grid = self.owner[members[0]]
            if grid == NOBODY or size[piece] >= CRUMB_SHARE * whole[grid]:
                continue
            biggest = members[np.argmax(self.area[members])]
            to = self._longest(int(biggest), int(grid))
            if to != NOBODY and all(self._may(to, self.ground[face]) for face in members):
                self.owner[members] = to
                self.land.done.crumbs.append(float(size[piece]))

    def _write(self) -> None:
        shapes = self.land.shapes.copy()
        for grid in self.chosen.tolist():
            mine = self.faces[self.owner == grid]
            shapes[grid] = shapely.coverage_union_all(mine) if len(mine) else MultiPolygon()
        self.land.shapes = shapes


def _first_holder(areas: Geometries, points: Geometries) -> IntArray:
    found = np.full(len(points), -1)
    point, area = shapely.STRtree(areas).query(points, "intersects")
    found[point[::-1]] = area[::-1]
    return found


def _components(count: int, a: IntArray, b: IntArray, owner: IntArray) -> NDArray[np.int64]:
    """Return the number of the connected piece that each face belongs to; faces of one owner connect."""
    same = owner[a] == owner[b]
    return chains.components(count, a[same], b[same])
