"""Rows of benchmarks in one form, and what counts as worse than before."""

from pathlib import Path

from benchmarks.report import keep, uniform, worse

PEER = {
    "work": "sort", "ours_s": 0.5, "peer": "other", "peer_version": "1", "peer_s": 5.0, "ratio": 10.0,
    "goal": 8.0, "same_result": True,
}  # fmt: skip
LIMIT = {"work": "page", "median_ms": 50.0, "slowest_ms": 90.0, "goal_ms": 200.0, "met": True}


def test_a_limit_stands_in_for_a_peer_and_a_wrong_result_never_counts_as_met() -> None:
    row = uniform(LIMIT)
    assert (row["peer"], row["ratio"], row["goal"], row["met"]) == ("limit of 200 ms", 4.0, 1.0, True)
    assert row["same_result"] is None
    assert uniform(PEER)["met"]
    assert not uniform(PEER | {"same_result": False})["met"]
    assert not uniform(PEER | {"ratio": 7.9})["met"]
    assert not uniform(LIMIT | {"median_ms": 20.0, "met": False})["met"], "errors among the requests"


def test_what_was_seen_is_kept_as_a_range_and_only_less_than_its_lowest_is_worse(tmp_path: Path) -> None:
    kept = tmp_path / "results.json"
    for ratio in (10.0, 6.0, 8.0):
        keep([uniform(PEER | {"ratio": ratio})], kept)
    assert worse([uniform(PEER | {"ratio": 5.0})], kept) == [], "a busy machine"
    (said,) = worse([uniform(PEER | {"ratio": 4.0})], kept)
    assert said.startswith("sort: 4x, was 6x")
    assert worse([uniform(PEER | {"same_result": False})], kept)
    assert worse([uniform(LIMIT)], kept) == [], "what was never measured before"
