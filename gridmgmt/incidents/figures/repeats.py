"""How many matters tell of a problem told before: same category, 50 m, 14 days (`incidents.pool`)."""

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from sqlalchemy import Engine, text

from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.figures.stored import Names, bounds
from gridmgmt.incidents.figures.values import Period, Question, share
from gridmgmt.incidents.pool import FOLD_DAYS, problems


@dataclass(frozen=True)
class Repeats:
    """Matters with a place, and those of them that tell of a known problem; the same by category group."""

    placed: int
    again: int
    by_category: Mapping[str, tuple[int, int]]

    @property
    def rate(self) -> float | None:
        """Told again, of those with a place."""
        return share(self.again, self.placed)


def repeats(engine: Engine, actor: Actor, question: Question) -> tuple[Repeats, Repeats]:
    """Return how often problems were told again in a period, and in the same days of the year before.

    A matter is told again when an earlier one of its category opened the same problem, by days of
    occurrence; those of the 14 days before the period are read too, so that its first days count alike.
    """
    with on_matters(engine, actor) as connection:
        names = Names(connection, question)
        return tuple(  # type: ignore[return-value]
            _of(connection, actor, question, names, period)
            for period in (question.period, question.period.year_before)
        )


def _of(connection: Any, actor: Actor, question: Question, names: Names, period: Period) -> Repeats:
    table = _read(connection, actor, question, names, period)
    lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
    kinds = table["category"].combine_chunks().dictionary_encode()
    category = kinds.indices.to_numpy(zero_copy_only=False)
    leads = problems(lon, lat, category, table["day"].to_numpy().astype("datetime64[D]"))
    within = (table["within"].to_numpy(zero_copy_only=False) == "t") & np.isfinite(lon)
    again = within & (leads != np.arange(len(leads)))
    groups = [names.group[code] for code in kinds.dictionary.to_pylist()]
    told = Counter(groups[place] for place in category[within].tolist())
    repeated = Counter(groups[place] for place in category[again].tolist())
    by_category = {code: (count, repeated[code]) for code, count in told.items()}
    return Repeats(int(within.sum()), int(again.sum()), by_category)


_READ = """
COPY (SELECT coalesce(ST_X(i.geom), 'nan') AS lon, coalesce(ST_Y(i.geom), 'nan') AS lat, i.category,
    i.occurred_on - DATE '1970-01-01' AS day, i.reported_at >= %(start)s AS within FROM incident i
    WHERE i.reported_at >= %(early)s AND i.reported_at < %(end)s {narrowed}
    ORDER BY i.occurred_on, i.reported_at, i.id)
TO STDOUT (FORMAT csv, HEADER)
"""


def _read(connection: Any, actor: Actor, question: Question, names: Names, period: Period) -> pa.Table:
    """Return place, category and day of a period's matters and of those just before it."""
    moments = bounds(period)
    narrowed, bound = names.narrowed(question, actor)
    for name in bound:  # psycopg2's own marks, since COPY takes no parameters of the server
        narrowed = narrowed.replace(f":{name}", f"%({name})s")
    bound |= {"start": moments["start"], "end": moments["end"]}
    bound["early"] = moments["start"] - timedelta(days=FOLD_DAYS)
    connection.execute(text("SELECT set_config('jit', 'off', true)"))
    cursor = connection.connection.cursor()
    buffer = io.BytesIO()
    cursor.copy_expert(cursor.mogrify(_READ.format(narrowed=narrowed), bound).decode(), buffer)
    types = {
        "lon": pa.float64(), "lat": pa.float64(), "category": pa.string(), "day": pa.int32(),
        "within": pa.string(),
    }  # fmt: skip
    return pacsv.read_csv(
        pa.BufferReader(buffer.getbuffer()),
        convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=False),
    )
