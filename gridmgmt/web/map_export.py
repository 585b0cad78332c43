"""A view of the map as PNG, XLSX and GeoJSON: each file is what the address shows."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import shapely
from flask import Blueprint, Response, abort

from gridmgmt.web import map_book, map_picture, map_view
from gridmgmt.web.access import allow
from gridmgmt.web.areas import DECIMALS, TOLERANCE
from gridmgmt.web.data import MAP_READERS
from gridmgmt.web.map_view import View
from gridmgmt.web.sending import XLSX, attachment

pages = Blueprint("map_export", __name__, url_prefix="/map")

# RFC 7946 knows WGS84 alone; CGCS2000 differs from it by centimetres, less than the outlines are rounded to.
COORDINATES = (
    "经纬度为 CGCS2000（EPSG:4490），与 RFC 7946 规定的 WGS84 相差厘米级，按 WGS84 使用不需转换；"
    f"边界按 {TOLERANCE:.0f} 米容差化简，只供制图，不作勘界依据。"
)


def geojson(view: View) -> bytes:
    """Return the areas of a view as an RFC 7946 FeatureCollection; properties are the columns of the table.

    `fields` says what each property is called and counts; outer rings run counter-clockwise.
    """
    columns = map_book.columns(view)
    features = [
        {
            "type": "Feature",
            "id": line.place.code,
            "geometry": json.loads(shapely.to_geojson(_wound(line.place.shape))),
            "properties": {column.key: map_book.plain(column.value(line)) for column in columns},
        }
        for line in view.lines
    ]
    collection = {
        "type": "FeatureCollection",
        "name": view.title,
        "bbox": [round(each, DECIMALS) for each in view.here.bounds(view.area) or ()],
        "fields": {column.key: column.heading for column in columns},
        "about": [f"{name}：{words}" for name, words in map_book.notes(view)],
        "coordinates_note": COORDINATES,
        "features": features,
    }
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()


def _wound(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.orient_polygons(shape)


@dataclass(frozen=True)
class Form:
    """A kind of file: what makes it, and what it is called on the wire."""

    make: Callable[[View], bytes]
    mime_type: str


FORMS = {
    "png": Form(map_picture.png, "image/png"),
    "xlsx": Form(map_book.workbook, XLSX),
    "geojson": Form(geojson, "application/geo+json"),
}


@pages.get("/view.<form>")
@allow(*MAP_READERS)
def view(form: str) -> Response:
    """The view of the address inside the own area, as a file."""
    if form not in FORMS:
        abort(404)
    found = map_view.read()
    plain = f"map-{found.choice.level}-{found.choice.period}.{form}"
    return attachment(FORMS[form].make(found), found.file_name(form), FORMS[form].mime_type, plain)
