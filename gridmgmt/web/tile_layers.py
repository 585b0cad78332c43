"""Layers that a folium map can switch on: buildings and matters as vector tiles, clusters, a density.

What they draw is in `static/tiles.js`, which asks for the data, and for the library that draws tiles, only
when a layer is first switched on. Every layer is off at first.
"""

from collections.abc import Mapping, Sequence

import folium
from branca.element import MacroElement
from flask import url_for
from folium.map import Layer
from folium.template import Template

from gridmgmt.db.models import Role
from gridmgmt.errors import InputError
from gridmgmt.web.files import asset

# What the switch calls them, in its order.
NAMES = {"buildings": "房屋", "matters": "诉求点", "clusters": "近期聚集", "density": "诉求密度"}
OFFERED = {
    Role.GRID_WORKER: ("buildings", "matters"),
    Role.TOWN_OFFICER: ("buildings", "matters"),
    Role.COMMAND: ("buildings", "matters", "clusters", "density"),
    Role.PLANNER: ("buildings", "clusters", "density"),
}
# These are drawn from vector tiles.
VECTOR = ("buildings", "matters")
SCRIPTS, STYLES = ("tiles.js",), ("tiles.css",)


class _TileLayer(Layer):
    """A layer of `static/tiles.js`: `kind` is its function there, `options` what it is given."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = gridmgmtTiles.{{ this.kind }}({{ this.options|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, kind: str, options: Mapping[str, object]) -> None:
        super().__init__(name=NAMES[kind], overlay=True, show=False)
        self._name = "TileLayer"
        self.kind = kind
        self.options = dict(options)


class _North(MacroElement):
    """An arrow to the north."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            gridmgmtTiles.north().addTo({{ this._parent.get_name() }});
        {% endmacro %}
        """
    )


def add(page: folium.Map, names: Sequence[str]) -> None:
    """Add layers to a map's switch, which must be added after them; `OFFERED` says which a role may ask for.

    The page must load `SCRIPTS` and `STYLES`. Raises InputError for a name that is none of `NAMES`.
    """
    for name in names:
        if name not in NAMES:
            raise InputError("layer", name, " | ".join(NAMES))
        _TileLayer(name, _options(name)).add_to(page)


def north(page: folium.Map) -> None:
    """Add the arrow to the north."""
    _North().add_to(page)


def _options(name: str) -> dict[str, object]:
    """Return the addresses that a layer reads; braces are put in afterwards, for they are no numbers."""
    if name == "clusters":
        return {"url": url_for("tiles.clusters")}
    if name == "density":
        return {"url": url_for("tiles.density", form="json"), "picture": url_for("tiles.density", form="png")}
    options: dict[str, object] = {
        "url": url_for("tiles.tile", layer=name, z=0, x=0, y=0).replace("0/0/0", "{z}/{x}/{y}"),
        "library": asset("vendor/protomaps-leaflet.js"),
        "names": url_for("tiles.names"),
    }
    if name == "matters":
        options["page"] = url_for("matters.matter", case_id=0).removesuffix("0")
    return options
