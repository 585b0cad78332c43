import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gridmgmt.errors import InputError
from gridmgmt.hotspots.statistics.significance import benjamini_yekutieli, fdr, q_values

P = arrays(float, st.integers(1, 30), elements=st.floats(0, 1))

# Benjamini & Hochberg 1995, JRSS B 57(1), section 3.2: fifteen tests of a trial; four stand at 0.05.
TRIAL = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719]
TRIAL += [0.6528, 0.7590, 1.0000]


def test_the_trial_of_benjamini_and_hochberg_names_four() -> None:
    assert fdr(TRIAL).nonzero()[0].tolist() == [0, 1, 2, 3]
    assert benjamini_yekutieli(TRIAL).nonzero()[0].tolist() == [0, 1, 2]
    np.testing.assert_allclose(q_values(TRIAL)[:5], [0.0015, 0.003, 0.0095, 0.035625, 0.0603], rtol=1e-12)


@given(P, st.floats(0.001, 0.5))
def test_fdr_is_the_step_up_rule_and_by_is_never_looser(p: np.ndarray, alpha: float) -> None:
    ordered = np.sort(p)
    passing = np.flatnonzero(ordered * (len(p) / np.arange(1, len(p) + 1)) <= alpha)
    bound = ordered[passing[-1]] if passing.size else -1.0
    assert np.array_equal(fdr(p, alpha), p <= bound)
    assert not np.any(benjamini_yekutieli(p, alpha) & ~fdr(p, alpha))


@given(P)
def test_q_values_keep_order_and_are_never_below_p(p: np.ndarray) -> None:
    q = q_values(p)
    assert np.all(q >= p)
    assert np.all(np.diff(q[np.argsort(p, kind="stable")]) >= 0)


def test_shape_is_kept_and_nothing_stays_nothing() -> None:
    p = np.array(TRIAL).reshape(5, 3)
    assert q_values(p).shape == fdr(p).shape == (5, 3)
    assert np.array_equal(q_values(p).ravel(), q_values(TRIAL))
    assert fdr([]).shape == (0,)


@pytest.mark.parametrize("bad", [[0.1, np.nan], [-0.1], [1.1]])
def test_what_is_no_p_value_is_refused(bad: list[float]) -> None:
    for function in (fdr, benjamini_yekutieli, q_values):
        with pytest.raises(InputError):
            function(bad)
    with pytest.raises(InputError):
        fdr([0.1], alpha=0.0)


def test_on_null_cities_false_discoveries_keep_to_the_level() -> None:
    p = np.random.default_rng(2).uniform(size=(2000, 300))
    any_named = np.array([fdr(city).any() for city in p])
    assert any_named.mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
