"""Giving ground to a face that is there, or to a new one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import halfedges, measure
from gridmgmt.grids.topology.noding import BoolArray, Net, edges_of, fitted, node
from gridmgmt.grids.topology.shapes import (
    HOUSE_M2,
    Change,
    Coverage,
    area_m2,
    distance_m,
    joined,
    refuse_falling_apart,
    without_crumbs,
)


@dataclass(frozen=True)
class _Laid:
    """A shape laid over the faces it meets: the net of both and which pieces (n,) belong to what."""

    net: Net
    near: Mapping[str, MultiPolygon]
    under: BoolArray
    owned: Mapping[str, BoolArray]

    @property
    def covered(self) -> BoolArray:
        return np.logical_or.reduce([np.zeros(len(self.under), bool), *self.owned.values()])


def reassign(coverage: Coverage, block: BaseGeometry, to: str) -> Change:
    """Return the change that gives the ground of a block to a face.

    What of the block other faces hold goes to `to`; ground of no face stays nobody's. Crumbs under 10 m² that
    a donor would keep apart from its rest go along.

    Raises
    ------
    InputError
        When the block does not touch the face along an edge, holds nothing of others, or would swallow a
        donor or cut it in two.
    """
    face = coverage.face(to)
    laid = _lay(coverage, _checked("地块", block))
    if to not in laid.owned:
        raise InputError("地块", f"离网格 {to} 还有 {distance_m(block, face):.0f} 米", "与它相连的地块")
    own = laid.owned[to]
    taken = laid.under & laid.covered & ~own
    if not taken.any():
        raise InputError("地块", f"全部已在网格 {to} 里或不在任何网格里", "别的网格的地块")
    given, crumbs = _donors("地块", coverage, laid, to, taken)
    after = joined([*laid.net.pieces[own | taken], *crumbs])
    if len(after.geoms) > len(face.geoms):
        raise InputError("地块", f"有一部分与网格 {to} 没有公共边", "整块与它相连")
    return coverage.change({**laid.net.bent(laid.near), **given, to: after})


def draw(coverage: Coverage, shape: BaseGeometry, new_key: str) -> Change:
    """Return the change that adds a new face, which takes its ground from whatever it covers.

    New land: a shape that covers no face at all becomes a face as it is. Where it covers some, ground that no
    face has is taken only when the shape closes it (a gap between faces); a shape that runs out over the rim
    of the grids by more than 10 m² is refused, by less it is cut at the rim.

    Raises
    ------
    InputError
        When the shape is no polygon in one part, is smaller than a house, runs out over the rim, or would
        swallow a face or cut it in two.
    """
    coverage.unused(new_key)
    ground = _checked("新网格", shape)
    if len(shapely.get_parts(ground)) > 1:
        raise InputError("新网格", f"{len(shapely.get_parts(ground))} 块", "连成一片的一块")
    laid = _lay(coverage, ground)
    taken = laid.under & laid.covered
    if taken.any():
        taken = taken | _gaps(laid)
        _refuse_outside(laid, taken)
    else:
        taken = laid.under
    given, crumbs = _donors("新网格", coverage, laid, new_key, taken)
    after = joined([*laid.net.pieces[taken], *crumbs])
    if area_m2(after) < HOUSE_M2:
        raise InputError("新网格", f"只有 {area_m2(after):.1f} 平方米", f"至少 {HOUSE_M2:.0f} 平方米")
    if len(after.geoms) > 1:
        raise InputError("新网格", f"{len(after.geoms)} 块", "连成一片的一块")
    return coverage.change({**laid.net.bent(laid.near), **given, new_key: after})


def _checked(field: str, shape: BaseGeometry) -> BaseGeometry:
    if shape.geom_type not in ("Polygon", "MultiPolygon") or shape.is_empty or not shape.is_valid:
        raise InputError(field, shapely.is_valid_reason(shape), "不自相交的多边形")
    return shape


def _lay(coverage: Coverage, shape: BaseGeometry) -> _Laid:
    near = coverage.near(shape)
    ground = fitted(shape, list(near.values()))
    met = {key: face for key, face in near.items() if face.intersects(ground)}
    net = node(edges_of([*met.values(), ground]))
    owned = {key: net.within(net.bend(face)) for key, face in met.items()}
    # An edge may be bent anywhere along a face that is met: where it all but touches another of these.
    return _Laid(net, {**near, **coverage.near(*met.values())}, net.within(net.bend(ground)), owned)


def _donors(
    field: str, coverage: Coverage, laid: _Laid, to: str, taken: BoolArray
) -> tuple[dict[str, MultiPolygon], list[BaseGeometry]]:
    """Return what is left of the faces that lose ground, and the crumbs of them that go along."""
    left: dict[str, MultiPolygon] = {}
    gone: list[BaseGeometry] = []
    for key, own in laid.owned.items():
        if key == to or not (own & taken).any():
            continue
        if not (own & ~taken).any():
            raise InputError(field, f"会占去整个网格 {key}", "要并掉它请用合并")
        rest, before = joined(laid.net.pieces[own & ~taken]), coverage.face(key)
        kept, crumbs = without_crumbs(shapely.get_parts(rest), len(before.geoms))
        left[key] = joined(kept)
        refuse_falling_apart(field, key, before, left[key])
        gone += list(crumbs)
    return left, gone


def _gaps(laid: _Laid) -> BoolArray:
    """Return which pieces under the shape are nobody's and bounded by taken ground alone."""
    edges = halfedges.pair(laid.net.pieces)
    free = laid.under & ~laid.covered
    beyond = np.where(edges.twin < 0, True, ~(laid.covered | laid.under)[edges.owner[edges.twin]])
    opened = np.bincount(edges.owner, weights=beyond, minlength=len(free)) > 0
    return free & ~opened


def _refuse_outside(laid: _Laid, taken: BoolArray) -> None:
    outside = float(measure.area_m2(laid.net.pieces[laid.under & ~taken]).sum())
    if outside >= HOUSE_M2:
        raise InputError(
            "新网格", f"有 {outside:.0f} 平方米在所有网格之外", "画在网格以内，或全部画在没有网格的地方"
        )
