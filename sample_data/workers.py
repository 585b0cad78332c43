"""Grid workers: a chief for every grid and one member more, with the published shares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sample_data.cells import Ints
from sample_data.names import person_parts
from sample_data.people import join, pick, text
from sample_data.sizes import Size
from sample_data.territory import Territory

SCHOOLED, YOUNG = 0.257, 0.217


def _chosen(n: int, count: int, rng: np.random.Generator) -> Ints:
    """Return n zeros and ones with exactly `count` ones, in random order."""
    return rng.permutation((np.arange(n) < count).astype(np.int64))


def make_workers(
    territory: Territory, size: Size, through: int, since: str, before: str, rng: np.random.Generator
) -> pa.Table:
    """Return the workers: name, employment, education, birth_year, grid, role, from."""
    n, grids = size.workers, territory.grids
    surnames, share, given = person_parts()
    man = rng.integers(0, 2, n)
    name = join(
        pick(surnames.tolist(), rng.choice(len(surnames), n, p=share)),
        pick(given.ravel().tolist(), man * given.shape[1] + rng.integers(0, given.shape[1], n)),
    )
    schooled, young = _chosen(n, round(SCHOOLED * n), rng), _chosen(n, round(YOUNG * n), rng)
    learnt = np.where(
        schooled == 1, 3 + rng.choice(3, n, p=[0.45, 0.4, 0.15]), rng.choice(3, n, p=[0.12, 0.58, 0.3])
    )
    age = np.where(young == 1, rng.integers(24, 40, n), rng.integers(40, 63, n))
    where = np.append(np.arange(size.grids), np.argmax(grids.households))
    return pa.table(
        {
            "name": name,
            "employment": pick(["part_time", "full_time"], _chosen(n, size.full_time, rng)),
            "education": pick(["小学", "初中", "高中", "中专", "大专", "本科"], learnt),
            "birth_year": text(through - age),
            "grid": pick(grids.codes, where),
            "role": pick(["chief", "member"], (np.arange(n) >= size.grids).astype(np.int64)),
            "from": pick([since, before], grids.unchanged[where].astype(np.int64)),
        }
    )
