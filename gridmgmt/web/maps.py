"""Map views as folium maps, taken apart so that they stand inside our own pages.

folium builds the map, its layers, their switch and the first view; `static/map.js` holds what the layers do
in the browser. Names and numbers never pass through folium: branca renders the text of an element a second
time as a template, so a grid named `{{ … }}` would be run. They come as data, by address.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import folium
from branca.element import Figure, Link, MacroElement
from folium.map import Layer
from folium.template import Template

from gridmgmt.errors import SetupError
from gridmgmt.web import assets, tile_layers
from gridmgmt.web import basemap as basemaps
from gridmgmt.web.areas import Bounds
from gridmgmt.web.choice import MEASURES

# The context layers that are always offered, and what the switch calls them; others go by their own name.
CONTEXT = {"road": "道路", "river": "河流"}
_STRANGER = re.compile(r"(?:https?:)?//[\w.-]+", re.IGNORECASE)


@dataclass(frozen=True)
class MapParts:
    """A folium map in the pieces that a page puts where they belong; styles and scripts are static files."""

    styles: tuple[str, ...]
    scripts: tuple[str, ...]
    html: str
    script: str


class PageMap(folium.Map):
    """A folium map without what belongs to a whole page: no rule that forbids zooming, no style blocks."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}
            <div class="folium-map" id={{ this.get_name()|tojson }} role="region" aria-label="地图"></div>
        {% endmacro %}
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = gridmgmt.map({{ this.get_name()|tojson }}, {
                center: {{ this.location|tojson }},
                ...{{ this.options|tojavascript }}
            });
        {% endmacro %}
        """
    )


class MapLayer(Layer):
    """A layer of `static/map.js`: `kind` is its function there, `options` what it is given."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = gridmgmt.{{ this.kind }}({{ this.options|tojson }});
        {% endmacro %}
        """
    )

    def __init__(self, kind: str, name: str, options: Mapping[str, object], **layer: Any) -> None:
        super().__init__(name=name, **layer)
        self._name = "MapLayer"
        self.kind = kind
        self.options = dict(options)


class Legend(MacroElement):
    """The legend of the areas; it follows what they show."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            gridmgmt.legend().addTo({{ this._parent.get_name() }});
        {% endmacro %}
        """
    )


@lru_cache(maxsize=64)
def area_map(
    bounds: Bounds,
    measures: tuple[str, ...],
    shown: str,
    urls: tuple[tuple[str, str], ...],
    basemap: str | None = None,
    layers: tuple[str, ...] = (),
    context: tuple[str, ...] = tuple(CONTEXT),
) -> MapParts:
    """Return the map of an area: shading by measure, Gi* outlines, town lines, rivers and roads.

    Parameters
    ----------
    bounds : west, south, east, north in degrees
        What the first view shows.
    measures : names of `choice.MEASURES`
        The shadings that the layer switch offers; `shown` is the one it begins with.
    urls : pairs of layer and address
        Where the browser finds `towns` and `layers`; a layer without an address is left out.
    basemap : address pattern of a tile server, or None
    layers : names of `tile_layers.NAMES`
        What else the switch offers, off at first.
    context : names of layers of the table `map_layer`
        Rivers and roads are on at first, what a city imported besides is off.

    Raises SetupError when folium asks for a file that the manifest does not know.
    """
    west, south, east, north = bounds
    ground = basemaps.read_basemap(basemap)
    page = PageMap(
        location=[(south + north) / 2, (west + east) / 2], tiles=None, prefer_canvas=True,
        zoom_snap=0.25, zoom_delta=0.5, wheel_px_per_zoom_level=90, crs=ground.crs if ground else "EPSG3857",
    )  # fmt: skip
    if ground:
        basemaps.add(page, ground)
    for measure in measures:
        MapLayer("shading", MEASURES[measure], {"measure": measure}, show=measure == shown).add_to(page)
    # One shading alone is nothing to compare or explain: that is the map of one's own grid.
    _add_overlays(page, dict(urls), context, outlines="gi" in measures and len(measures) > 1)
    # Our vector tiles are in Web Mercator, whatever the basemap.
    left_out = tile_layers.VECTOR if ground and ground.in_degrees else ()
    tile_layers.add(page, [name for name in layers if name not in left_out])
    folium.LayerControl(collapsed=True).add_to(page)
    tile_layers.north(page)
    if measures != ("gi",):
        Legend().add_to(page)
    page.fit_bounds([[south, west], [north, east]], padding=(16, 16))
    return _parts(page, ground.addresses if ground else ())


def _add_overlays(page: PageMap, urls: Mapping[str, str], context: Sequence[str], *, outlines: bool) -> None:
    if outlines:
        MapLayer("outlines", "热点轮廓（95% 以上）", {}, overlay=True).add_to(page)
    if "towns" in urls:
        MapLayer("towns", "镇街界线", {"url": urls["towns"]}, overlay=True).add_to(page)
    if "layers" in urls:
        for layer in dict.fromkeys((*CONTEXT, *context)):
            options = {"url": urls["layers"], "layer": layer}
            name, show = CONTEXT.get(layer, layer), layer in CONTEXT
            MapLayer("context", name, options, overlay=True, show=show).add_to(page)


def _parts(page: PageMap, known: Sequence[str]) -> MapParts:
    # Fixed names: the same map is the same text, and tests and styles can rely on them.
    for number, element in enumerate(page._children.values()):
        element._id = str(number)
    page._id = "city"
    figure = page.get_root()
    assert isinstance(figure, Figure)
    figure.render()
    links = [child for child in figure.header._children.values() if isinstance(child, Link)]
    files = [name for name in (assets.local(link.url) for link in links) if name]
    html, script = figure.html.render(), figure.script.render()
    rest = html + script
    for address in known:
        rest = rest.replace(json.dumps(address)[1:-1], "").replace(address, "")
    _refuse_strangers(rest)
    return MapParts(
        styles=(*(name for name in files if name.endswith(".css")), *tile_layers.STYLES),
        scripts=(*(name for name in files if name.endswith(".js")), *tile_layers.SCRIPTS),
        html=html,
        script=script,
    )


def _refuse_strangers(text: str) -> None:
    found = _STRANGER.search(text)
    if found:
        raise SetupError(f"a map holds the address {found[0]}, which is not on this server")
