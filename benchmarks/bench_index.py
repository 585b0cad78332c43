"""The index of the full city: a year of it, a month's board with what moved it, places under other weights,
and a bulletin as Word and PDF.

GRIDMGMT_BENCH_HOME names a home that holds the full sample city; without it one is loaded, which takes
minutes. Measured is the year before the issued months of the sample, which nothing has frozen.
"""

import json
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Engine

from benchmarks import web_city
from benchmarks.measure import against_goal
from gridmgmt.calendar import CHINA
from gridmgmt.index import robust, service, spans, stored
from gridmgmt.index.bulletins import facts, layout
from gridmgmt.index.bulletins.layout import Stand
from gridmgmt.index.periods import Period, months_before
from gridmgmt.index.tree import Level

YEAR_MS, BULLETIN_MS, BOARD_MS, RANKS_MS = 10_000.0, 15_000.0, 250.0, 1_000.0
LAST = date(2025, 12, 1)
# The sample's bulletins have frozen the months of two years.
OPEN = [months_before(LAST, back) for back in range(35, 23, -1)]


def run() -> list[dict[str, Any]]:
    """Return the rows."""
    with web_city.opened() as (_, engine):
        return rows(engine)


def rows(engine: Engine) -> list[dict[str, Any]]:
    """Return the rows for a city that stands."""
    with engine.connect() as connection:
        board = stored.board(connection, LAST, Level.TOWN)
        return [
            against_goal("a year of the index", partial(service.build, engine, OPEN, "bench"), YEAR_MS),
            against_goal("a month and what moved it, towns", partial(_moved, connection), BOARD_MS),
            against_goal("1,000 draws of weights, towns", partial(robust.ranks, board), RANKS_MS),
            against_goal("a bulletin as Word and PDF", partial(_bulletin, connection), BULLETIN_MS, 1),
        ]


def _moved(connection: Any) -> object:
    period = Period(LAST)
    boards = stored.boards(connection, [*period.before.months, *period.months], Level.TOWN)
    return spans.change(spans.over(boards, period.before), spans.over(boards, period))


def _bulletin(connection: Any) -> object:
    made = datetime(2026, 1, 5, tzinfo=CHINA)
    return layout.files(facts.data(connection, Period(LAST)), "", Stand(None, None, made, "bench"))


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row, ensure_ascii=False))
