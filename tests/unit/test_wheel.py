"""The year wheel: where arcs, names and flags stand on the circle."""

import re
from datetime import date

import pytest

from gridmgmt.web.ruler import Lane
from gridmgmt.web.wheel import CENTRE, RINGS, STEPS, Ring, year_wheel

TODAY = date(2026, 11, 22)


def _lane(
    *windows: tuple[date, date, date], act_by: tuple[date, ...] = (), name: str = "企业拖欠工资"
) -> Lane:
    spans = tuple((*window, 3) for window in windows)
    return Lane("1301", name, 3, 30.0, 20.0, spans, act_by, ())


def _ring(lane: Lane) -> Ring:
    return year_wheel(2026, [lane], TODAY).rings[0]


def _numbers(path: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+\.?\d*", path)]


def _ends(path: str) -> tuple[float, float, float, float]:
    x0, y0, _, _, _, _, _, x1, y1 = _numbers(path)
    return x0, y0, x1, y1


def test_a_window_over_new_year_is_one_arc_through_the_top() -> None:
    window = _ring(_lane((date(2025, 12, 20), date(2025, 12, 31), date(2026, 1, 10)))).windows[0]
    assert window.start < 0 < window.end
    x0, y0, x1, y1 = _ends(window.arcs[0])
    assert x0 < CENTRE < x1
    assert max(y0, y1) < CENTRE
    assert _numbers(window.arcs[0])[5] == 0, "the short way round"
    later = _ring(_lane((date(2026, 12, 20), date(2026, 12, 31), date(2027, 1, 10)))).windows[0]
    assert later.arcs == window.arcs, "the same days of the circle, whichever year they are counted in"


def test_arcs_darken_towards_the_peak_wherever_it_lies() -> None:
    first, last = date(2026, 7, 1), date(2026, 8, 20)
    for peak in (first, date(2026, 7, 5), date(2026, 8, 10), last):
        window = _ring(_lane((first, peak, last))).windows[0]
        assert len(window.arcs) == len(STEPS)
        summit = (peak - date(2026, 1, 1)).days / 365
        widths = []
        for step in STEPS:
            start = window.start + (summit + 0.5 / 365 - window.start) * step
            end = window.end - (window.end - summit - 0.5 / 365) * step
            assert start <= summit + 0.5 / 365 <= end
            widths.append(end - start)
        assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize("rings", [1, RINGS])
def test_a_name_lies_on_its_ring_beside_every_arc_and_flag(rings: int) -> None:
    lanes = [
        _lane(
            (date(2026, 1, 18), date(2026, 2, 1), date(2026, 2, 16)),
            (date(2026, 6, 5), date(2026, 6, 13), date(2026, 9, 6)),
            act_by=(date(2025, 12, 19), date(2026, 5, 21)),
            name="工程项目拖欠农民工工资",
        )
    ] * rings
    for ring in year_wheel(2026, lanes, TODAY).rings:
        half = len(ring.name.name) * 15 / 2 / (2 * 3.14159 * ring.radius)
        span = (ring.name.share - half, ring.name.share + half)
        for window in ring.windows:
            for turn in (-1, 0, 1):
                assert span[1] <= window.start + turn or span[0] >= window.end + turn, ring.number


def test_words_read_from_left_to_right_all_around() -> None:
    wheel = year_wheel(2026, [_lane((date(2026, 7, 1), date(2026, 7, 5), date(2026, 7, 9)))], TODAY)
    for word in (*wheel.months, *wheel.terms, *wheel.feasts):
        if min(abs(word.share % 1 - side) for side in (0.25, 0.75)) > 0.02:
            x0, _, x1, _ = _ends(word.path)
            assert x0 < x1, word.name
    assert [len(wheel.months), len(wheel.terms)] == [12, 24]
    assert next(word.share for word in wheel.terms if word.name == "立春") == pytest.approx(34 / 365)


def test_the_hand_shows_today_in_its_own_year_only() -> None:
    lane = _lane((date(2027, 7, 1), date(2027, 7, 5), date(2027, 7, 9)))
    assert year_wheel(2027, [lane], TODAY).hand is None
    hand = year_wheel(2026, [lane], TODAY).hand
    assert hand is not None
    assert hand[2] < CENTRE, "in November it points up and to the left"
    assert hand[3] < CENTRE
