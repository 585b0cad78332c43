"""Vertices of rings on the lattice of 1e-9 degrees (0.1 mm), so that neighbours share them exactly."""

import itertools
from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from gridmgmt.errors import InputError
from gridmgmt.grids import measure
from gridmgmt.grids.assign import polygon_edges

FloatArray = NDArray[np.float64]
Geometries = NDArray[np.object_]

DECIMALS = 9
LATTICE = 10.0**-DECIMALS


def on_lattice(area: BaseGeometry) -> BaseGeometry:
    """Return a valid polygon with its vertices on the lattice; InputError when it is none."""
    if area is None or area.is_empty or area.geom_type not in ("Polygon", "MultiPolygon"):
        raise InputError("area", getattr(area, "geom_type", None), "a polygon that is not empty")
    snapped = shapely.transform(area, lambda xy: np.round(xy, DECIMALS))
    if not snapped.is_valid:
        raise InputError("area", shapely.is_valid_reason(snapped), "a valid polygon")
    return snapped


def with_vertices(shapes: Geometries, vertices: FloatArray) -> Geometries:
    """Return shapes (n,) with each vertex (m, 2) that lies on an edge of theirs put into it.

    On the edge means within 2e-9 degrees of it, and at none of its ends. Shapes without such are the same
    objects.
    """
    result = shapes.copy()
    if not len(vertices):
        return result
    points = np.asarray(shapely.points(vertices), object)
    near, _ = shapely.STRtree(points).query(
        shapely.boundary(shapes), predicate="dwithin", distance=2 * LATTICE
    )
    for k in np.unique(near).tolist():
        result[k] = _put_in(shapes[k], vertices)
    return result


def _put_in(shape: BaseGeometry, vertices: FloatArray) -> BaseGeometry:
    ends = polygon_edges(measure.as_array([shape]))[0].reshape(-1, 2, 2)
    lines = np.asarray(shapely.linestrings(ends), object)
    vertex, edge = shapely.STRtree(lines).query(
        shapely.points(vertices), predicate="dwithin", distance=2 * LATTICE
    )
    at = vertices[vertex]
    new = ~((at == ends[edge, 0]).all(axis=1) | (at == ends[edge, 1]).all(axis=1))
    if not new.any():
        return shape
    at, edge = at[new], edge[new]
    extra: dict[tuple[float, ...], FloatArray] = {}
    for k in np.unique(edge).tolist():
        mine = np.unique(at[edge == k], axis=0)
        along = ((mine - ends[k, 0]) * (ends[k, 1] - ends[k, 0])).sum(axis=1)
        extra[tuple(ends[k].ravel())] = mine[np.argsort(along)]

    def filled(xy: FloatArray) -> FloatArray:
        rows = [xy[:1]]
        for a, b in itertools.pairwise(xy):
            forward, back = (*a.tolist(), *b.tolist()), (*b.tolist(), *a.tolist())
            if forward in extra:
                rows.append(extra[forward])
            elif back in extra:
                rows.append(extra[back][::-1])
            rows.append(b[None])
        return np.concatenate(rows)

    return with_rings(shape, filled)


def with_rings(shape: BaseGeometry, change: Callable[[FloatArray], FloatArray]) -> BaseGeometry:
    """Return a polygon or multipolygon whose rings (k, 2), first vertex repeated, went through `change`."""
    polygons = [
        shapely.Polygon(
            change(shapely.get_coordinates(part.exterior)),
            [change(shapely.get_coordinates(hole)) for hole in part.interiors],
        )
        for part in shapely.get_parts(shape)
    ]
    return polygons[0] if shape.geom_type == "Polygon" else MultiPolygon(polygons)
