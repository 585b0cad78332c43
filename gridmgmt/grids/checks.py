"""Every rule that a division into grids must keep, as one report: what is broken, where, and by how much.

Method: docs/methods/grid-checks.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import chains, coverage, measure
from gridmgmt.grids.chains import Chain, Faces, Geometries
from gridmgmt.grids.models import GridKind
from gridmgmt.grids.rules import RULE_NAMES, UNITS, Finding, Rule, Severity, rank

__all__ = [
    "RULE_NAMES", "UNITS", "Finding", "PlanLimits", "Rule", "Severity", "Subject",
    "check", "errors", "mended",
]  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """A grid to be checked: `shape` in degrees of CGCS2000, the code of its village.

    `households` and `chiefs` are None where they are not known: then those rules are left out. `urban`: in a
    town, where the band has a lower end too.
    """

    key: str
    village: str
    shape: BaseGeometry | None
    kind: str = GridKind.BASE
    households: int | None = None
    chiefs: int | None = None
    urban: bool = True


@dataclass(frozen=True)
class PlanLimits:
    """What is allowed.

    `band` is the least and most households of a grid; `bands` another one for a county, town or village by
    its code (the longest that fits counts). `count` is the number of base grids that is wanted, if any.
    `compactness` is the least Polsby-Popper ratio: a square has 0.79, a strip 10 times as long as wide 0.26.
    """

    band: tuple[int, int] = (300, 500)
    bands: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    count: int | None = None
    compactness: float = 0.15
    sliver: coverage.Limits = coverage.LIMITS

    def __post_init__(self) -> None:
        for low, high in (self.band, *self.bands.values()):
            if not 0 <= low <= high:
                raise InputError("band", (low, high), "two numbers of households, the lower first")
        if not 0 <= self.compactness <= 1:
            raise InputError("compactness", self.compactness, "0 to 1")

    def band_of(self, village: str) -> tuple[int, int]:
        """Return the band of a village.

        >>> PlanLimits(bands={"379981": (250, 450)}).band_of("379981001001")
        (250, 450)
        """
        fitting = (code for code in self.bands if village.startswith(code))
        longest = max(fitting, key=len, default=None)
        return self.band if longest is None else self.bands[longest]


def check(
    subjects: Sequence[Subject],
    villages: Mapping[str, BaseGeometry | None] | None = None,
    limits: PlanLimits | None = None,
) -> list[Finding]:
    """Return every broken rule, errors first, the largest first.

    Parameters
    ----------
    subjects : sequence of Subject
        Base grids are checked against each other and their villages; special and micro-grids, which lie over
        them, only for themselves.
    villages : mapping of code to shape, optional
        Outlines. The grids of a village that is missing or None are not held against an outline.
    limits : PlanLimits, optional

    Raises
    ------
    InputError
        When a key stands twice, or a shape is no polygon.
    """
    limits = limits or PlanLimits()
    _check_keys(subjects)
    ground = _Ground(subjects, villages or {}, limits)
    found = [*ground.broken(), *ground.between(), *ground.alone(), *_staff_and_size(ground, limits)]
    return sorted(found, key=rank)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that keep a plan from being published."""
    return [each for each in findings if each.severity == Severity.ERROR]


def _check_keys(subjects: Sequence[Subject]) -> None:
    keys = [each.key for each in subjects]
    if len(set(keys)) < len(keys):
        twice = next(key for place, key in enumerate(keys) if key in keys[:place])
        raise InputError("key", twice, "each grid once")
    kinds = shapely.get_type_id(measure.as_array([each.shape for each in subjects]))
    for k in np.flatnonzero(~np.isin(kinds, (-1, 3, 6))).tolist():
        raise InputError(f"shape of {keys[k]}", subjects[k].shape, "Polygon or MultiPolygon")


class _Ground:
    """The shapes of all subjects, those that are broken mended for the time of the check."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        villages: Mapping[str, BaseGeometry | None],
        limits: PlanLimits,
    ) -> None:
        self.subjects, self.limits = subjects, limits
        self.given = measure.as_array([each.shape for each in subjects])
        drawn = {code: shape for code, shape in villages.items() if shape is not None and not shape.is_empty}
        self.codes, self.outlines = list(drawn), measure.as_array(list(drawn.values()))
        self.wrong = np.flatnonzero(~shapely.is_valid(self.given) | shapely.is_empty(self.given))
        self.shapes = self.given.copy()
        self.shapes[self.wrong] = [mended(shape) for shape in self.given[self.wrong]]
        base = np.array([each.kind == GridKind.BASE for each in subjects], bool)
        self.base = np.flatnonzero(base & ~shapely.is_empty(self.shapes))
        number = {code: place for place, code in enumerate(self.codes)}
        of = [number.get(subjects[k].village, -1) for k in self.base.tolist()]
        self.village = np.array(of, np.int64)
        self.rest = chains.rest(self.shapes[self.base], self.village, self.outlines)

    def key(self, place: int) -> str:
        """Return the key of a base grid by its place among them."""
        return self.subjects[self.base[place]].key

    def broken(self) -> list[Finding]:
        found = []
        for k in self.wrong.tolist():
            breach = coverage.check_shape(self.subjects[k].key, self.given[k])
            if breach is not None:
                empty = breach.kind == coverage.BreachKind.EMPTY
                rule = Rule.EMPTY if empty else Rule.SELF_CROSSING
                allowed = "一个多边形" if empty else "边界不交叉、不相碰"
                found.append(Finding(rule, breach.grid, None, None, None, allowed, breach.lon, breach.lat))
        return found

    def between(self) -> list[Finding]:
        """Return gaps, overlaps and slivers between base grids, and between them and their villages."""
        city = self.rest.city
        gaps: Geometries = np.empty(0, object)
        found: list[Finding] = []
        if not chains.is_rim(city):
            inner, rim = chains.peeled(city)
            city = chains.joined(inner)
            faces = chains.faces(city, rim)
            gaps = faces.shapes[faces.winding == 0]
            found += self._overlaps(faces[faces.winding > 1]) + self._gaps(faces[faces.winding == 0], city)
        for number, chain in self.rest.villages.items():
            found += self._against(number, chains.joined(chain), gaps)
        return _slivers_together(found)

    def _overlaps(self, faces: Faces) -> list[Finding]:
        """Return a finding for each two grids that cover a face."""
        found = []
        size = self.rest.area
        for k, owners in enumerate(self._covering(faces)):
            for a, b in ((a, b) for a in owners for b in owners if a < b):
                sliver = self._sliver(faces, k, min(size[a], size[b]))
                rule = Rule.SLIVER if sliver else Rule.OVERLAP
                found.append(_of_face(rule, self.key(a), self.key(b), faces, k))
        return found

    def _gaps(self, faces: Faces, chain: Chain) -> list[Finding]:
        found = []
        size = self.rest.area
        villages = shapely.STRtree(self.outlines)
        for k, owners in enumerate(chains.longest_beside(faces.shapes, chain)):
            nobodys = not len(villages.query(shapely.Point(faces.inside[k]), "intersects"))
            if nobodys and owners and (self.village[owners] >= 0).all():
                continue  # land that is no village's, between grids that all keep to theirs
            beside = [self.key(each) for each in owners[:2]]
            key, other = beside[0] if beside else "", beside[1] if beside[1:] else None
            sliver = bool(owners) and self._sliver(faces, k, size[owners].min())
            found.append(_of_face(Rule.SLIVER if sliver else Rule.GAP, key, other, faces, k))
        return found

    def _against(self, number: int, chain: Chain, gaps: Geometries) -> list[Finding]:
        """Return what the grids of a village have too much and too little of it."""
        faces = chains.faces(chain)
        outline = mended(self.outlines[number])
        within = shapely.intersects(outline, shapely.points(faces.inside))
        beyond = faces[(faces.winding > 0) & ~within]
        short = faces[faces.winding < 0]
        found = []
        for k, owners in enumerate(self._covering(beyond)):
            for own in (each for each in owners if self.village[each] == number):
                found.append(self._beyond(own, beyond, k))
        return found + self._unassigned(number, short, gaps)

    def _unassigned(self, number: int, short: Faces, gaps: Geometries) -> list[Finding]:
        """Return the land of a village that no grid has, other than gaps, which are told already."""
        if not len(short.winding):
            return []
        taken = np.concatenate([self.shapes[self.base], gaps])
        left = [
            shapely.difference(face, shapely.union_all(taken[near]))
            for face in short.shapes
            for near in (shapely.STRtree(taken).query(face, "intersects"),)
        ]
        faces = chains.measured(shapely.get_parts(measure.as_array(left)))
        smallest = self.rest.area[self.village == number].min(initial=np.inf)
        return [
            _of_face(
                Rule.SLIVER if self._sliver(faces, k, smallest) else Rule.UNASSIGNED,
                "",
                self.codes[number],
                faces,
                k,
            )
            for k in range(len(faces.winding))
        ]

    def _beyond(self, own: int, faces: Faces, k: int) -> Finding:
        into = shapely.intersects(self.outlines, shapely.Point(faces.inside[k]))
        other = self.codes[int(np.argmax(into))] if into.any() else None
        rule = Rule.ACROSS_VILLAGE if other else Rule.OUTSIDE_VILLAGE
        if self._sliver(faces, k, self.rest.area[own]):
            rule, other = Rule.SLIVER, other or self.codes[self.village[own]]
        return _of_face(rule, self.key(own), other, faces, k)

    def _covering(self, faces: Faces) -> list[list[int]]:
        """Return the base grids that cover each face, by their places in order."""
        found: list[list[int]] = [[] for _ in faces.winding]
        if found:
            points = shapely.points(faces.inside)
            for k, grid in shapely.STRtree(self.shapes[self.base]).query(points, "intersects").T.tolist():
                found[k].append(grid)
        return [sorted(each) for each in found]

    def _sliver(self, faces: Faces, k: int, smaller: float) -> bool:
        area, perimeter = faces.area_m2[[k]], faces.perimeter_m[[k]]
        return bool(self.limits.sliver.sliver(area, perimeter, np.array([smaller]))[0])

    def alone(self) -> list[Finding]:
        """Return what is wrong with the form of a grid: pieces, holes, too long for its width."""
        several = np.ones(len(self.shapes), bool)
        several[self.base] = self.rest.rings > 1
        several[self.wrong] = False  # empty, or only a mended shape is in pieces
        found = []
        for k in np.flatnonzero(several).tolist():
            parts = shapely.get_num_geometries(self.shapes[k])
            found += [self._in_pieces(k, parts)] if parts > 1 else []
            found += self._holes(k)
        return found + self._long()

    def _in_pieces(self, k: int, parts: int) -> Finding:
        subject, pieces = self.subjects[k], shapely.get_parts(self.shapes[k])
        place = shapely.point_on_surface(pieces[np.argmin(shapely.area(pieces))])
        rule = Rule.MULTIPART
        if subject.kind == GridKind.BASE and subject.village in self.codes:
            # A village that is itself in pieces may have a grid with a piece of each.
            land = shapely.get_parts(self.outlines[self.codes.index(subject.village)])
            touched = shapely.intersects(shapely.point_on_surface(pieces)[:, None], land[None, :]).any(axis=0)
            rule = Rule.CONTIGUITY if parts > max(1, touched.sum()) else Rule.MULTIPART
        area = float(measure.area_m2(pieces).min())
        return Finding(rule, subject.key, None, area, float(parts), "1 块", place.x, place.y)

    def _holes(self, k: int) -> list[Finding]:
        rings = [ring for part in shapely.get_parts(self.shapes[k]) for ring in part.interiors]
        if not rings:
            return []
        holes = np.asarray(shapely.polygons(rings), dtype=object)
        area = measure.area_m2(holes)
        place = shapely.point_on_surface(holes[np.argmax(area)])
        amount = float(area.sum()), float(len(holes))
        return [Finding(Rule.HOLE, self.subjects[k].key, None, *amount, "没有洞", place.x, place.y)]

    def _long(self) -> list[Finding]:
        ratio = 4 * np.pi * self.rest.area / np.maximum(self.rest.perimeter, 1e-9) ** 2
        narrow = np.flatnonzero(ratio < self.limits.compactness)
        places = shapely.point_on_surface(self.shapes[self.base[narrow]])
        allowed = f"不低于 {self.limits.compactness:g}"
        return [
            Finding(Rule.COMPACTNESS, self.key(k), None, None, round(value, 3), allowed, place.x, place.y)
            for k, value, place in zip(narrow.tolist(), ratio[narrow].tolist(), places, strict=True)
        ]


def mended(shape: BaseGeometry | None) -> BaseGeometry:
    """Return the ground of a shape that may cross itself, as valid polygons; empty when there is none."""
    if shape is None or shape.is_empty:
        return shapely.MultiPolygon()
    whole = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    parts = shapely.get_parts(whole)
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def _of_face(rule: Rule, key: str, other: str | None, faces: Faces, k: int) -> Finding:
    lon, lat = faces.inside[k].tolist()
    value = 1.0 if rule == Rule.SLIVER else None
    return Finding(rule, key, other, float(faces.area_m2[k]), value, "0 平方米", lon, lat)


def _slivers_together(found: list[Finding]) -> list[Finding]:
    """Return findings with the slivers of each two neighbours as one, at the place of the largest."""
    others = [each for each in found if each.rule != Rule.SLIVER]
    pairs: dict[frozenset[str | None], list[Finding]] = {}
    for each in found:
        if each.rule == Rule.SLIVER:
            pairs.setdefault(frozenset((each.key, each.other)), []).append(each)
    for group in pairs.values():
        top = max(group, key=lambda each: each.area_m2 or 0.0)
        area = sum(each.area_m2 or 0.0 for each in group)
        others.append(
            Finding(top.rule, top.key, top.other, area, float(len(group)), top.allowed, top.lon, top.lat)
        )
    return others


def _staff_and_size(ground: _Ground, limits: PlanLimits) -> list[Finding]:
    """Return what is wrong with the numbers: how many grids, households and chiefs."""
    found = _count(ground, limits.count)
    wrong: list[tuple[int, Rule, float, str]] = []
    for k in ground.base.tolist():
        each = ground.subjects[k]
        if each.households is not None:
            low, high = limits.band_of(each.village)
            if each.households > high or (each.urban and each.households < low):
                allowed = f"{low} 至 {high} 户" if each.urban else f"不超过 {high} 户"
                wrong.append((k, Rule.HOUSEHOLD_BAND, each.households, allowed))
        if each.chiefs is not None and each.chiefs != 1:
            rule = Rule.TWO_CHIEFS if each.chiefs else Rule.NO_CHIEF
            wrong.append((k, rule, each.chiefs, "1 名"))
    places = shapely.point_on_surface(ground.shapes[np.array([k for k, *_ in wrong], np.int64)])
    return found + [
        Finding(rule, ground.subjects[k].key, None, None, float(value), allowed, place.x, place.y)
        for (k, rule, value, allowed), place in zip(wrong, places, strict=True)
    ]


def _count(ground: _Ground, wanted: int | None) -> list[Finding]:
    number = len(ground.base)
    if wanted is None or number == wanted:
        return []
    place = shapely.Point(np.nan, np.nan)
    if number:
        middles = shapely.get_coordinates(shapely.point_on_surface(ground.shapes[ground.base]))
        # A place inside a grid, the one nearest to the middle of all.
        away = np.abs(middles - middles.mean(axis=0)).sum(axis=1)
        place = shapely.Point(middles[np.argmin(away)])
    return [Finding(Rule.COUNT, "", None, None, float(number), f"{wanted} 个", place.x, place.y)]
