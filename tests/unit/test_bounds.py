"""Compiled code would read past the end of an array without a word: in a test run it looks first."""

import numba
import numpy as np
import pytest

from gridmgmt.hotspots.statistics import clusters


def test_compiled_statistics_do_not_read_past_an_array():
    if numba.config.BOUNDSCHECK != 1:
        pytest.skip("compiled without a look at bounds: ./dev test does it with NUMBA_BOUNDSCHECK=1")
    with pytest.raises(IndexError, match="out of bounds"):
        clusters._root(np.arange(3), 3)
