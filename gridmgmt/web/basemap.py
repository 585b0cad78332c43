"""The basemap under our own layers: none, tiles of this server, of another one, or 天地图 with a key.

`GRIDMGMT_BASEMAP` is one of

    https://tiles.example/{z}/{x}/{y}.png      a tile server; {s} stands for its subdomains a, b, c
    /srv/tiles/{z}/{x}/{y}.png                 a folder of this machine
    /srv/city.pmtiles                          one file of this machine, of pictures or of vector tiles
    tianditu:vec_w:KEY                         天地图: vec (map), img (satellite) or ter (terrain), each with
    tianditu:vec_c:KEY                         its names; w in Web Mercator, c in degrees CGCS2000

Tiles of this machine need not be where a web server sees them: `web/tiles.py` hands them out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import folium
from folium.map import Layer
from folium.template import Template

from gridmgmt.errors import InputError
from gridmgmt.web.files import asset
from gridmgmt.web.pmtiles import Archive

NAME = "GRIDMGMT_BASEMAP"
ALLOWED = "a tile address with {z}, {x} and {y}, a .pmtiles file, or tianditu:vec_w:KEY"
SUBDOMAINS = "abc"
# 天地图 answers at t0 to t7. Its levels in degrees begin at 1, where Leaflet's begin at 0.
TIANDITU = {"vec": "cva", "img": "cia", "ter": "cta"}
TIANDITU_HOST = "https://t{s}.tianditu.gov.cn"
TIANDITU_SUBDOMAINS = "01234567"
TIANDITU_CREDIT = "底图：天地图（国家地理信息公共服务平台）"
DEGREES = "EPSG4326"
_TIANDITU = re.compile(r"tianditu:(vec|img|ter)_([wc]):([0-9A-Za-z]{8,64})")
OURS = "/tiles/basemap/{z}/{x}/{y}"


@dataclass(frozen=True)
class Basemap:
    """What is drawn under our layers.

    `addresses` are patterns drawn one over the other; `crs` is Leaflet's name of the plane the map must be
    in, `deeper` what is added to its zoom level; `folder` or `archive` is where this machine has the tiles.
    """

    addresses: tuple[str, ...]
    credit: str = ""
    subdomains: str = SUBDOMAINS
    crs: str = "EPSG3857"
    deeper: int = 0
    folder: str | None = None
    archive: Path | None = None
    vector: bool = False
    deepest: int = 18

    @property
    def in_degrees(self) -> bool:
        """Say whether the map is in degrees: our vector tiles are not, so their layers are left out."""
        return self.crs == DEGREES

    @property
    def origins(self) -> tuple[str, ...]:
        """The servers that pictures come from, of another machine."""
        hosts: dict[str, None] = {}
        for parts in map(urlsplit, self.addresses):
            if parts.netloc:
                hosts.update(
                    (f"{parts.scheme or 'https'}://{host}", None) for host in self._hosts(parts.netloc)
                )
        return tuple(hosts)

    def _hosts(self, netloc: str) -> list[str]:
        if self.subdomains == TIANDITU_SUBDOMAINS:
            return [netloc.replace("{s}", place) for place in self.subdomains]
        # A policy knows a wildcard only as a whole first label.
        return [".".join("*" if "{s}" in label else label for label in netloc.split("."))]

    def tile(self, z: int, x: int, y: int) -> tuple[bytes, str, str] | None:
        """Return a tile of this machine: its bytes, media type and compression; None where there is none."""
        if self.archive:
            return Archive.opened(self.archive).tile(z, x, y)
        if not self.folder:
            return None
        path = Path(self.folder.format(z=z, x=x, y=y))
        kind = PICTURES.get(path.suffix.lower())
        return (path.read_bytes(), kind, "") if kind and path.is_file() else None


PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@lru_cache(maxsize=8)
def read_basemap(told: str | None) -> Basemap | None:
    """Return the basemap that a setting names, None for none; InputError when it names nothing we know."""
    if not told:
        return None
    if told.startswith("tianditu:"):
        return _tianditu(told)
    if told.endswith(".pmtiles"):
        path = Path(told.removeprefix("file://"))
        archive = Archive.opened(path)
        return Basemap((OURS,), archive=path, vector=archive.vector, deepest=archive.deepest)
    return _addressed(told)


def _tianditu(told: str) -> Basemap:
    found = _TIANDITU.fullmatch(told)
    if not found:
        raise InputError(NAME, "tianditu:…", "tianditu:vec_w:KEY, with vec, img or ter and w or c")
    ground, plane, key = found.groups()
    addresses = tuple(
        f"{TIANDITU_HOST}/{layer}_{plane}/wmts?SERVICE=WMTS&REQUEST=GetTile&VERSION=1.0.0&LAYER={layer}"
        f"&STYLE=default&TILEMATRIXSET={plane}&FORMAT=tiles"
        f"&TILEMATRIX={{z}}&TILEROW={{y}}&TILECOL={{x}}&tk={key}"
        for layer in (ground, TIANDITU[ground])
    )
    if plane == "w":
        return Basemap(addresses, TIANDITU_CREDIT, TIANDITU_SUBDOMAINS)
    return Basemap(addresses, TIANDITU_CREDIT, TIANDITU_SUBDOMAINS, DEGREES, 1, deepest=17)


def _addressed(told: str) -> Basemap:
    parts = urlsplit(told)
    filled = all(f"{{{letter}}}" in told for letter in "zxy")
    if not filled or parts.scheme not in ("", "http", "https", "file") or any(c in told for c in " ;,'\""):
        raise InputError(NAME, told, ALLOWED)
    local = parts.path if parts.scheme == "file" else told
    # A pattern of no server is a folder here when it is there, else what this server's own front has.
    if not parts.netloc and Path(local.split("{", 1)[0]).is_dir():
        return Basemap((OURS,), folder=local)
    return Basemap((told,))


def basemap_origin(told: str | None) -> str | None:
    """Return the origins that pictures may come from, or None for no basemap or one on this server.

    Raises InputError for a setting that names no basemap.

    >>> basemap_origin("https://tiles.example/{z}/{x}/{y}.png")
    'https://tiles.example'
    """
    found = read_basemap(told)
    return " ".join(found.origins) or None if found else None


class _Ground(Layer):
    """A basemap of vector tiles, drawn by `static/tiles.js`."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = gridmgmtTiles.ground({{ this.options|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(name="底图", overlay=True, control=False)
        self._name = "Ground"
        self.options = dict(options)


def add(page: folium.Map, found: Basemap | None) -> None:
    """Put a basemap under a folium map; the map must be made with the basemap's `crs`."""
    if found is None:
        return
    if found.vector:
        library = asset("vendor/protomaps-leaflet.js")
        _Ground({"url": found.addresses[0], "deepest": found.deepest, "library": library}).add_to(page)
        return
    for number, address in enumerate(found.addresses):
        folium.TileLayer(
            address, attr=found.credit if number == 0 and found.credit else "底图", name="底图", overlay=True,
            control=False, max_native_zoom=found.deepest, max_zoom=19,
            subdomains=found.subdomains, zoom_offset=found.deeper,
        ).add_to(page)  # fmt: skip
