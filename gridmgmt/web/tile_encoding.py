"""Lines and areas as a vector tile, encoded as whole arrays: https://github.com/mapbox/vector-tile-spec 2.1.

PostGIS writes tiles of points; areas are drawn here, because its ST_AsMVTGeom simplifies every polygon by
itself, and neighbours then disagree about the edge that they share.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

EXTENT = 4096
# Units beside the tile that are drawn too: 8 pixels of a screen.
MARGIN = 64

Shapes = NDArray[np.object_]
IntArray = NDArray[np.int64]

_LINE, _AREA = 2, 3
_MOVE, _CLOSE = 9, 15


def tile(layers: Mapping[str, tuple[Shapes, Sequence[Mapping[str, str]]]]) -> bytes:
    """Return a tile of named layers of (shapes, properties), empty where nothing is left.

    Shapes are lines or areas in units of the tile, y down; shapes (n,) and properties (n,) go together.
    """
    return b"".join(
        _field(3, encoded)
        for name, (shapes, properties) in layers.items()
        if (encoded := _layer(name, shapes, properties))
    )


def cut(shapes: Shapes, x: int, y: int) -> Shapes:
    """Return what of shapes (n,), in units of a zoom level, lies in a tile and its margin, in its units."""
    box = (x * EXTENT - MARGIN, y * EXTENT - MARGIN, (x + 1) * EXTENT + MARGIN, (y + 1) * EXTENT + MARGIN)
    bounds = shapely.bounds(shapes)
    across = (bounds[:, :2] < box[:2]).any(axis=1) | (bounds[:, 2:] > box[2:]).any(axis=1)
    inside = shapes.copy()
    inside[across] = shapely.clip_by_rect(shapes[across], *box)
    moved: Shapes = shapely.transform(inside, lambda xy: xy - (x * EXTENT, y * EXTENT))
    return moved


def _layer(name: str, shapes: Shapes, properties: Sequence[Mapping[str, str]]) -> bytes:
    area = len(shapes) > 0 and shapely.get_dimensions(shapes).max() == 2
    streams, owners = _geometries(shapes, area=area)
    if not len(owners):
        return b""
    keys: dict[str, int] = {}
    values: dict[str, int] = {}
    made = []
    for stream, owner in zip(streams, owners.tolist(), strict=True):
        tags = [
            number
            for key, value in properties[owner].items()
            for number in (keys.setdefault(key, len(keys)), values.setdefault(value, len(values)))
        ]
        feature = _field(2, b"".join(map(_varint, tags))) + bytes((0x18, _AREA if area else _LINE))
        made.append(_field(2, feature + _field(4, stream)))
    return b"".join(
        [
            b"\x78\x02", _field(1, name.encode()), *made,
            *(_field(3, key.encode()) for key in keys),
            *(_field(4, _field(1, value.encode())) for value in values),
            b"\x28" + _varint(EXTENT),
        ]
    )  # fmt: skip


def _geometries(shapes: Shapes, *, area: bool) -> tuple[list[bytes], IntArray]:
    """Return each drawn shape's command stream, and which shape it is of; too small ones are left out."""
    parts, of_shape = shapely.get_parts(shapes, return_index=True)
    kept = shapely.get_dimensions(parts) == (2 if area else 1)
    parts, of_shape = parts[kept], of_shape[kept]
    if area:
        parts, of_part = shapely.get_rings(_facing(parts), return_index=True)
        of_shape = of_shape[of_part]
    if not len(parts):
        return [], np.empty(0, np.int64)
    exact, path = shapely.get_coordinates(parts, return_index=True)
    points: IntArray = np.rint(exact).astype(np.int64)
    points, path = _without_repeats(points, path, area=area)
    points, path = _long_enough(points, path, 3 if area else 2)
    if not len(path):
        return [], np.empty(0, np.int64)
    return _streams(points, path, of_shape, area=area)


def _facing(polygons: Shapes) -> Shapes:
    """Turn polygons so that, y down, the outer ring runs clockwise: that is counter-clockwise, y up."""
    return shapely.orient_polygons(polygons, exterior_cw=False)


def _without_repeats(points: IntArray, path: IntArray, *, area: bool) -> tuple[IntArray, IntArray]:
    """Drop a point that stands where the one before it does, and that which closes a ring."""
    same_path = path[1:] == path[:-1]
    first = np.append(True, ~same_path)
    kept = first | np.append(True, (points[1:] != points[:-1]).any(axis=1))
    if area:
        where = np.flatnonzero(kept)
        last = where[np.append(path[where][1:] != path[where][:-1], True)]
        start = np.flatnonzero(first)
        kept[last[(points[last] == points[start]).all(axis=1) & (last != start)]] = False
    return points[kept], path[kept]


def _long_enough(points: IntArray, path: IntArray, fewest: int) -> tuple[IntArray, IntArray]:
    enough = np.bincount(path)[path] >= fewest
    return points[enough], path[enough]


def _streams(
    points: IntArray, path: IntArray, of_shape: IntArray, *, area: bool
) -> tuple[list[bytes], IntArray]:
    """Write every path as: move to its first point, line to the others, close if it is a ring."""
    starts = np.flatnonzero(np.append(True, path[1:] != path[:-1]))
    counts = np.diff(np.append(starts, len(path)))
    shape = of_shape[path[starts]]
    # The pen stays where the path before ended, and begins each shape at 0, 0.
    steps = np.diff(points, axis=0, prepend=0)
    new_shape = np.append(True, shape[1:] != shape[:-1])
    steps[starts[new_shape]] = points[starts[new_shape]]
    sizes = 2 * counts + 2 + area  # two commands, the points, and closing
    offsets = np.cumsum(sizes) - sizes
    numbers = np.empty(sizes.sum(), np.int64)
    place = np.repeat(offsets, counts) + 1 + 2 * (np.arange(len(path)) - np.repeat(starts, counts))
    place[~np.isin(np.arange(len(path)), starts)] += 1
    numbers[place], numbers[place + 1] = ((steps << 1) ^ (steps >> 63)).T
    numbers[offsets] = _MOVE
    numbers[offsets + 3] = (counts - 1) << 3 | 2
    if area:
        numbers[offsets + sizes - 1] = _CLOSE
    text, ends = _varints(numbers)
    first = offsets[new_shape]
    cuts = np.append(np.where(first > 0, ends[first - 1], 0), len(text)).tolist()
    return [text[a:b] for a, b in itertools.pairwise(cuts)], shape[new_shape]


def _varints(numbers: IntArray) -> tuple[bytes, IntArray]:
    """Return whole numbers as varints, and where each one ends."""
    width = np.ones(len(numbers), np.int64)
    for bits in (7, 14, 21, 28):
        width += numbers >> bits > 0
    ends = np.cumsum(width)
    text = np.empty(int(ends[-1]), np.uint8)
    for k in range(int(width.max())):
        these = width > k
        more = (width[these] > k + 1).astype(np.int64) << 7
        text[(ends - width)[these] + k] = numbers[these] >> 7 * k & 0x7F | more
    return text.tobytes(), ends


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content
