"""The hotline's export says when matters were closed and by when they were to be, as a hotline's does."""

import numpy as np
import pandas as pd
import pytest

from sample_data import generate


@pytest.fixture(scope="module")
def matters(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    out = tmp_path_factory.mktemp("city")
    generate(out, scale=0.03, roster=False)
    frame = pd.concat(
        [pd.read_csv(path, encoding="gb18030", dtype=str) for path in sorted(out.glob("incidents_*.csv"))]
    )
    for name in ("登记时间", "办结时间", "办理期限"):
        frame[name] = pd.to_datetime(frame[name])
    return frame


def test_what_is_closed_says_when_and_was_so_between_report_and_export(matters):
    closed = matters["状态"] == "已办结"
    assert (matters["办结时间"].notna() == closed).all()
    assert (matters["办结时间"] >= matters["登记时间"])[closed].all()
    assert matters["办结时间"].max() <= matters["登记时间"].max()


def test_limits_end_when_offices_close_on_a_working_day_some_working_days_later(matters):
    due = matters["办理期限"].to_numpy()
    day = due.astype("datetime64[D]")
    assert set(due - day) == {np.timedelta64(17 * 60 + 30, "m")}
    assert np.is_busday(day).all()
    reported = np.busday_offset(matters["登记时间"].to_numpy().astype("datetime64[D]"), 0, roll="backward")
    assert set(np.busday_count(reported, day)) == {3, 5, 10, 15}


def test_about_ninety_five_of_a_hundred_are_closed_in_time(matters):
    closed = matters[matters["状态"] == "已办结"]
    assert (closed["办结时间"] <= closed["办理期限"]).mean() == pytest.approx(0.953, abs=0.01)
    assert len(closed) / len(matters) == pytest.approx(0.974, abs=0.008)
