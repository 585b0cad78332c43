"""Folium maps taken apart: local files only, nothing inline, and an unknown address raises."""

import folium
import pytest
from branca.element import JavascriptLink
from folium import plugins

from gridmgmt.errors import InputError, SetupError
from gridmgmt.web import assets, maps, ranking
from gridmgmt.web.basemap import basemap_origin

BOX = (114.0, 32.97, 114.03, 33.0)
URLS = (("towns", "/data/areas.geojson?level=town"), ("layers", "/data/layers.geojson"))


def _map(basemap: str | None = None) -> maps.MapParts:
    return maps.area_map(BOX, ("rate", "count", "gi"), "gi", URLS, basemap)


def test_the_map_is_made_of_files_that_stand_here() -> None:
    found = _map()
    assert found.styles == ("vendor/leaflet.css", "tiles.css")
    assert found.scripts == ("vendor/leaflet.js", "tiles.js")
    for name in (*found.styles, *found.scripts):
        assert (assets.STATIC / name).is_file(), (
            "fetch it: npm ci --ignore-scripts && python -m gridmgmt.web.assets"
        )


def test_the_map_fits_the_city_and_offers_every_shading_with_the_chosen_one_shown() -> None:
    script = _map().script
    assert "[[32.97, 114.0], [33.0, 114.03]]" in script
    for measure in ("rate", "count", "gi"):
        assert f'gridmgmt.shading({{"measure": "{measure}"}})' in script
    assert script.count(".addTo(map_city)") == 8, (
        "chosen shading, outlines, towns, two contexts, switch, north, legend"
    )
    assert "gridmgmt.legend()" in script


def test_a_layer_that_a_city_imported_has_its_switch_and_is_off_at_first() -> None:
    bounds = (114.0, 32.97, 114.03, 33.0)
    script = maps.area_map(bounds, ("rate",), "rate", (("layers", "/l"),), context=("road", "学校")).script
    assert 'map_layer_3 = gridmgmt.context({"layer": "\\u5b66\\u6821", "url": "/l"})' in script
    assert '"\\u5b66\\u6821" : map_layer_3' in script
    assert "map_layer_1.addTo(map_city)" in script
    assert "map_layer_3.addTo" not in script


def test_nothing_inline_that_a_strict_policy_would_stop() -> None:
    found = _map()
    assert "style=" not in found.html
    assert "<style" not in found.html
    assert "<script" not in found.html + found.script
    assert "eval(" not in found.script


def test_the_same_map_is_the_same_text() -> None:
    assert _map() == _map()
    maps.area_map.cache_clear()
    first = _map()
    maps.area_map.cache_clear()
    assert _map() == first


def test_every_link_of_plain_folium_is_in_the_manifest() -> None:
    links = [url for _, url in (*folium.Map.default_js, *folium.Map.default_css)]
    assert len(links) >= 9
    for url in links:
        replacement = assets.local(url)
        assert replacement is None or (assets.STATIC / replacement).is_file()


def test_a_plugin_that_wants_a_stranger_raises() -> None:
    page = maps.PageMap(tiles=None)
    plugins.Fullscreen().add_to(page)
    with pytest.raises(SetupError, match="does not list"):
        maps._parts(page, ())


def test_an_address_smuggled_into_the_head_raises() -> None:
    page = maps.PageMap(tiles=None)
    page.get_root().header.add_child(JavascriptLink("https://evil.example/x.js"))
    with pytest.raises(SetupError, match=r"evil\.example"):
        maps._parts(page, ())


def test_an_address_inside_a_script_raises() -> None:
    page = maps.PageMap(tiles=None)
    folium.TileLayer("https://tiles.example/{z}/{x}/{y}.png", attr="x").add_to(page)
    with pytest.raises(SetupError, match=r"tiles\.example"):
        maps._parts(page, ())


def test_the_configured_basemap_is_the_one_address_that_passes() -> None:
    pattern = "https://tiles.example/{z}/{x}/{y}.png"
    assert pattern in _map(pattern).script


@pytest.mark.parametrize(
    ("pattern", "origin"),
    [
        (None, None),
        ("/basemap/{z}/{x}/{y}.png", None),
        ("https://tiles.example:8443/{z}/{x}/{y}.png", "https://tiles.example:8443"),
        ("https://t{s}.tiles.example/{z}/{x}/{y}", "https://*.tiles.example"),
    ],
)
def test_a_basemap_opens_the_policy_for_its_origin_alone(pattern: str | None, origin: str | None) -> None:
    assert basemap_origin(pattern) == origin


@pytest.mark.parametrize(
    "pattern", ["https://tiles.example/", "javascript:{z}{x}{y}", "https://a.example; script-src * {z}{x}{y}"]
)
def test_a_basemap_that_is_no_tile_address_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="GRIDMGMT_BASEMAP"):
        basemap_origin(pattern)


def test_class_limits_split_into_fifths_and_read_well() -> None:
    assert ranking.breaks([*range(1, 101)]) == [21.0, 41.0, 60.0, 80.0]
    assert ranking.breaks([0.00123 * n for n in range(1, 101)]) == [0.026, 0.05, 0.074, 0.099]


def test_class_limits_of_equal_or_missing_values_are_none() -> None:
    assert ranking.breaks([]) == []
    assert ranking.breaks([5, 5, 5, 0]) == []


def test_whole_numbers_have_a_class_each_while_five_are_enough_and_the_top_one_is_dark() -> None:
    assert ranking.whole_breaks([1, 1, 1, 2]) == [2]
    assert [ranking.whole_class(count, [2]) for count in (0, 1, 2, 9)] == [0, 2, 4, 4]
    assert ranking.whole_breaks([3, 3]) == []
    assert ranking.whole_class(3, []) == 4
    limits = ranking.whole_breaks(range(1, 21))
    assert limits == [5, 9, 13, 17]
    assert {ranking.whole_class(count, limits) for count in range(1, 21)} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize(("value", "step"), [(None, 0), (0, 0), (0.5, 1), (10, 2), (19, 2), (20, 3), (99, 3)])
def test_a_value_belongs_to_the_class_whose_limit_it_reaches(value: float | None, step: int) -> None:
    assert ranking.class_of(value, [10, 20]) == step


def test_copying_names_the_file_that_npm_did_not_bring(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SetupError, match=r"leaflet\.js is missing; run: npm ci"):
        assets.copy(tmp_path, tmp_path / "out")
