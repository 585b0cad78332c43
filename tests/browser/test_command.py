"""The command centre's map in a browser: parts of a period, cards, search, layers, paper."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from gridmgmt.db.models import Role

from .conftest import DESK, PHONE, Visit

Visitor = Callable[..., Visit]
OFFICE = (1366, 768)


def _opened(visit: Visitor, path: str, role: Role = Role.COMMAND, size: tuple[int, int] = DESK) -> Visit:
    opened = visit(role, size)
    opened.go(path)
    opened.page.wait_for_selector('#times[data-ready="yes"]')
    return opened


def _drag(opened: Visit, first: int, last: int, of: int = 36) -> None:
    box = opened.page.locator(".times-plot").bounding_box()
    assert box is not None
    at = [box["x"] + box["width"] * (k + 0.5) / of for k in (first, last)]
    opened.page.mouse.move(at[0], box["y"] + 30)
    opened.page.mouse.down()
    opened.page.mouse.move(at[1], box["y"] + 30, steps=4)
    opened.page.mouse.up()


def test_a_dragged_part_of_the_year_is_what_the_map_shows_and_the_link_keeps(visit: Visitor) -> None:
    opened = _opened(visit, "/command")
    page = opened.page
    _drag(opened, 6, 8)
    expect(page.locator(".times-said")).to_contain_text("2025年3月上旬—3月下旬")
    expect(page.locator("#legend")).to_contain_text("2025年3月上旬—3月下旬")
    page.wait_for_url("**window=20250301-20250331**")
    assert "window=20250301-20250331" in (page.locator(".drop a").first.get_attribute("href") or "")
    said = page.locator(".times-said").inner_text()
    opened.shot("command-window-1440x900")
    opened.go(page.url.removeprefix(opened.base))
    expect(page.locator(".times-said")).to_have_text(said)
    page.get_by_role("button", name="看整期").click()
    expect(page.locator("#legend")).to_contain_text("诉求率")
    assert "window=" not in page.url


def test_a_part_is_chosen_and_left_by_keyboard_and_stays_when_the_level_changes(visit: Visitor) -> None:
    opened = _opened(visit, "/command?window=20250301-20250331")
    page = opened.page
    page.get_by_role("slider", name="时段的终点").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**window=20250301-20250410**")
    before = page.locator(".times-said").inner_text()
    with page.expect_response(lambda answer: "/data/times.json?level=village" in answer.url):
        page.locator("#choices").get_by_label("村社区", exact=True).check()
    opened.drawn()
    expect(page.locator(".times-said")).to_have_text(before)
    expect(page.locator("#legend")).to_contain_text("2025年3月上旬—4月上旬")
    page.get_by_role("slider", name="时段的起点").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#window")).to_be_hidden()


def test_asking_for_another_measure_leaves_the_part(visit: Visitor) -> None:
    opened = _opened(visit, "/command?window=20250301-20250331")
    opened.page.locator("#choices").get_by_label("平滑率", exact=True).check()
    expect(opened.page.locator("#legend")).to_contain_text("平滑率")
    opened.page.wait_for_url(re.compile(r"^((?!window=).)*$"))


def test_playing_walks_on_and_stops_where_it_is_told(visit: Visitor) -> None:
    opened = _opened(visit, "/command")
    page = opened.page
    page.get_by_label("播放快慢").select_option("fast")
    page.get_by_role("button", name="按旬播放").click()
    expect(page.locator("#window")).to_be_visible()
    expect(page.locator(".times-said")).not_to_contain_text("2025年1月上旬")
    page.get_by_role("button", name="停下").click()
    page.wait_for_url("**window=2025**")
    stood = page.locator(".times-said").inner_text()
    page.get_by_role("button", name="往前一旬").click()
    expect(page.locator(".times-said")).not_to_have_text(stood)


def test_a_grid_opens_its_card_over_the_column_and_closing_returns_to_the_row(visit: Visitor) -> None:
    opened = _opened(visit, "/command", size=OFFICE)
    page = opened.page
    row = page.locator(".ranked .line").first
    code, name = row.get_attribute("data-area"), row.locator(".name b").inner_text()
    row.locator(".name").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#card h2")).to_have_text(name)
    page.wait_for_url(f"**area={code}**")
    opened.shot("command-area-1366x768")
    with page.expect_response(
        lambda answer: f"/areas/{code}" in answer.url and "period=20240101" in answer.url
    ):
        page.locator("select[name=period]").select_option("20240101-20241231")
    expect(page.locator("#card h3").first).to_contain_text("2024年")
    page.locator("#card [data-close]").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#card.open")).to_have_count(0)
    assert "area=" not in page.url


def test_a_place_is_found_by_name_with_the_keyboard_alone(visit: Visitor) -> None:
    opened = _opened(visit, "/command")
    page = opened.page
    wanted = page.locator(".ranked .name b").nth(2).inner_text()
    page.keyboard.press("/")
    page.keyboard.type(wanted)
    expect(page.locator("#found [role=option]").first).to_contain_text(wanted)
    page.keyboard.press("Enter")
    expect(page.locator("#card h2")).to_have_text(wanted)
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type("没有这个地方")
    expect(page.locator("#found")).to_contain_text("没有叫这个名字或代码的地方")


@pytest.mark.parametrize(
    ("measure", "words"),
    [("pattern", "没有明显走势"), ("expected", "预计"), ("overdue", "没有超期"), ("smoothed", "件/千户·年")],
)
def test_every_measure_has_its_legend_and_its_list(visit: Visitor, measure: str, words: str) -> None:
    opened = _opened(visit, f"/command?measure={measure}&period=20220101-20251231")
    expect(opened.page.locator("#legend")).to_contain_text(words)
    assert opened.page.locator("select[name=period]").is_disabled() == (measure in ("expected", "overdue"))
    opened.shot(f"command-{measure}-1440x900")


def test_the_layers_are_folded_away_until_they_are_wanted(visit: Visitor) -> None:
    opened = _opened(visit, "/command", size=OFFICE)
    page = opened.page
    expect(page.locator(".leaflet-control-layers-list")).to_be_hidden()
    page.locator(".leaflet-control-layers").hover()
    page.locator(".leaflet-control-layers-overlays label", has_text="近期聚集").click()
    page.wait_for_selector('.folium-map[data-clusters="on"]')
    expect(page.locator(".tile-legend")).to_contain_text("近期聚集")


def test_numbers_that_could_not_be_fetched_can_be_asked_for_again(visit: Visitor) -> None:
    opened = visit(Role.COMMAND, DESK)
    page = opened.page

    def refuse(route: Route) -> None:
        route.fulfill(status=503, body="")

    page.route("**/data/hotspots.json**", refuse)
    page.goto(f"{opened.base}/command")
    again = page.locator("#legend").get_by_role("button", name="再取一次")
    expect(again).to_be_visible()
    page.unroute("**/data/hotspots.json**")
    again.click()
    opened.drawn()
    expect(page.locator("#legend")).to_contain_text("件/千户·年")
    opened.complaints.clear()  # the browser notes the refusal that this visit is about


def test_the_town_office_has_the_same_map_of_its_town(visit: Visitor) -> None:
    opened = _opened(visit, "/office", Role.TOWN_OFFICER)
    _drag(opened, 0, 2)
    expect(opened.page.locator("#window")).to_contain_text("2025年1月")
    opened.page.locator(".ranked .line .name").first.click()
    expect(opened.page.locator("#card h2")).to_be_visible()


def test_on_a_telephone_nothing_sticks_out_and_the_card_covers_the_page(visit: Visitor) -> None:
    opened = _opened(visit, "/command", size=PHONE)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.locator(".ranked .line .name").first.click()
    box = page.locator("#card.open").bounding_box()
    assert box is not None
    assert box["width"] == PHONE[0]
    opened.shot("command-area-390x844")
