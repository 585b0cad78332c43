"""Reads what the atlas of a plan prints: each grid that it touches, what lies beside it, and figures."""

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Connection

from gridmgmt.config import FEWEST_HOUSEHOLDS
from gridmgmt.grids import service as grids
from gridmgmt.grids.measure import as_array
from gridmgmt.grids.models import GridKind
from gridmgmt.planning import export, states, stored
from gridmgmt.planning.atlas import AtlasPage, Neighbour
from gridmgmt.planning.figures import Figures
from gridmgmt.planning.states import GridState, PlanInfo

STATUS_NAMES = {"same": "未变", "changed": "有改动", "new": "新网格"}
_CONTEXT = ("river", "road")


def atlas_pages(connection: Connection, plan: PlanInfo) -> list[AtlasPage]:
    """Return a page for each grid that a plan changed or made, in order of village and name."""
    standing = [each for each in stored.grids(connection, plan.id) if each.status != "gone"]
    touched = [each for each in standing if each.status != "same"]
    touched.sort(key=lambda each: (each.village, each.name, each.key))
    names = grids.division_names(connection)
    was = states.in_force(connection, plan.base_on, keys=[each.key for each in touched])
    counted = {each.key: each for each in export.figures_of(connection, touched)}
    context = _context(connection)
    return [
        AtlasPage(
            name=each.name,
            code=each.code or "发布时编码",
            path=" · ".join(names[code] for code in (each.village[:9], each.village) if code in names),
            status=STATUS_NAMES[each.status],
            shape=each.shape,
            was=was[each.key].shape if each.key in was else None,
            facts=_facts(counted[each.key]),
            neighbours=neighbours,
            lines=_near(context, each.shape),
        )
        for each, neighbours in zip(touched, _neighbours(touched, standing), strict=True)
    ]


def _neighbours(touched: Sequence[GridState], standing: Sequence[GridState]) -> list[list[Neighbour]]:
    """Return the base grids that touch each grid, clockwise from north by where their middle lies."""
    base = [each for each in standing if each.kind == GridKind.BASE]
    tree = shapely.STRtree([each.shape for each in base])
    found: list[list[Neighbour]] = [[] for _ in touched]
    pairs = tree.query(as_array([each.shape for each in touched]), predicate="intersects")
    for place, other in pairs.T.tolist():
        if base[other].key != touched[place].key:
            each = base[other]
            found[place].append(Neighbour(each.name, each.code or each.key, each.shape))
    return [
        sorted(beside, key=lambda other, own=own: _bearing(own.shape, other.shape))  # type: ignore[misc]
        for own, beside in zip(touched, found, strict=True)
    ]


def _bearing(own: BaseGeometry, other: BaseGeometry) -> float:
    east, north = other.centroid.x - own.centroid.x, other.centroid.y - own.centroid.y
    return float(np.arctan2(east, north) % (2 * np.pi))


def _context(connection: Connection) -> list[tuple[str, BaseGeometry]]:
    features = grids.layers(connection)["features"]
    named = [(each["properties"]["layer"], shapely.geometry.shape(each["geometry"])) for each in features]
    return [(layer, shape) for layer, shape in named if layer in _CONTEXT]


def _near(context: Sequence[tuple[str, BaseGeometry]], shape: BaseGeometry) -> list[tuple[str, BaseGeometry]]:
    """Return the lines that cross a box twice as wide around a shape."""
    west, south, east, north = shape.bounds
    wide, high = (east - west) / 2, (north - south) / 2
    box = shapely.box(west - wide, south - high, east + wide, north + high)
    return [(layer, line) for layer, line in context if line.intersects(box)]


def _facts(figures: Figures) -> list[tuple[str, str]]:
    few = figures.households < FEWEST_HOUSEHOLDS
    facts = [
        ("户数", f"不足 {FEWEST_HOUSEHOLDS} 户" if few else f"{figures.households:,} 户"),
        ("人口", "—" if few else f"{figures.persons:,} 人"),
        ("诉求", f"{figures.matters_a_year:,.1f} 件/年"),
        ("网格员", f"{figures.workers} 人"),
        ("面积", f"{figures.area_m2 / 1e4:,.2f} 公顷"),
        ("紧凑度（圆为 1）", f"{figures.compactness:.2f}"),
    ]
    if figures.urban and not few:
        more = figures.deviation
        facts.append(
            ("与规定户数比", "在范围内" if not more else f"{'多' if more > 0 else '少'} {abs(more)} 户")
        )
    return facts
