"""What reports of their time said of an area, where its boundary has moved since."""

from datetime import date

import numpy as np
from sqlalchemy import Connection

from gridmgmt.config import ALPHA
from gridmgmt.grids import service as grids
from gridmgmt.grids.codes import DIGITS
from gridmgmt.hotspots.areas import Columns, at_least
from gridmgmt.hotspots.cube import Located, count


def on_record(
    connection: Connection, before: Located, since: date, level: str, codes: list[str], columns: Columns
) -> np.ndarray:
    """Return counts[area, column] as the areas' own books had them before the boundaries of today.

    A grid that began after `since` answers for the grid that most of its ground came from; somebody who
    compares this year's report with last year's compares these numbers.
    """
    ids, row = np.unique(before.recorded, return_inverse=True)
    kept = row if len(ids) == 0 or ids[0] >= 0 else row - 1
    single = count(kept, before.category, int((ids >= 0).sum()), len(before.categories))
    answers = _answers(connection, ids[ids >= 0], since, before, level, codes)
    return np.asarray(answers @ columns.sums(single), dtype=np.int64)


def _answers(
    connection: Connection, ids: np.ndarray, since: date, before: Located, level: str, codes: list[str]
) -> np.ndarray:
    """Which recorded grid (k,) counts for which area of today (n,), as (n, k) of 0 and 1."""
    place = {code: n for n, code in enumerate(codes)}
    column = {int(grid): k for k, grid in enumerate(ids)}
    answers = np.zeros((len(codes), len(ids)), dtype=np.int64)
    if level != "grid":
        for grid, code in grids.code_of_ids(connection).items():
            area = place.get(code[: DIGITS[level]])
            if area is not None and grid in column:
                answers[area, column[grid]] = 1
        return answers
    parents = grids.main_predecessors(connection, since)
    for n, grid in enumerate(before.grids.ids.tolist()):
        for source in (grid, parents.get(grid)):
            if source in column:
                answers[n, column[source]] = 1
    return answers


def has_changed(count_now: int, count_before: int) -> bool:
    """Return whether two periods of one length differ by more than chance, both ways, at 5 %.

    Given their sum, the later is binomial with one half (Przyborowski & Wilenski 1940, Biometrika 31).
    """
    total, most = count_now + count_before, max(count_now, count_before)
    return bool(2 * at_least(np.array(most), total, np.array(0.5)) <= ALPHA)


def only_the_boundary(count_now: int, count_before: int, recorded_before: int | None) -> bool:
    """Return whether reports show a change that is none on today's boundaries."""
    if recorded_before is None:
        return False
    return has_changed(count_now, recorded_before) and not has_changed(count_now, count_before)
