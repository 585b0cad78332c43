"""All matters as one file, row by row from the database to the wire: places, days and kinds, nothing written.

The role that reads them cannot select what somebody wrote. Without the exact points of `matters:read` a place
has three decimals, about 100 m.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.incidents.opening.requests import DECIMALS, EXACT

COLUMNS = (
    "id", "category", "category_name", "ledger", "channel", "status", "stage", "level", "village",
    "occurred_on", "reported_on", "due_on", "closed_on", "lon", "lat",
)  # fmt: skip
ROWS_AT_ONCE = 2000
# A cell that begins so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(reader: Engine, *, exact: bool, start: date | None = None, end: date | None = None) -> Iterator[Any]:
    """Give matters in order of the day they arose, as tuples of `COLUMNS`; both days are inside.

    The transaction ends with the iterator, also when whoever reads it stops early.
    """
    decimals = EXACT if exact else DECIMALS
    place = ", ".join(f"round(ST_{axis}(i.geom)::numeric, {decimals})::float8" for axis in "XY")
    query = text(f"""
        SELECT i.id, i.category, c.name, i.ledger, i.channel, i.status, i.stage, i.level, i.village,
            i.occurred_on, i.reported_at, i.due_at, i.closed_at, {place}
        FROM incident i JOIN category c ON c.code = i.category
        WHERE i.occurred_on BETWEEN :start AND :end ORDER BY i.occurred_on, i.id
        """)
    period = {"start": start or date.min, "end": end or date.max}
    with ExitStack() as stack:
        connection = stack.enter_context(reader.connect())
        result = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query, period)
        stack.callback(result.close)
        for row in result:
            yield tuple(_day(value) if isinstance(value, datetime) else value for value in row)


def csv_lines(found: Iterable[Any]) -> Iterator[str]:
    """Give the lines of a CSV file with its head."""
    yield _line(COLUMNS)
    for row in found:
        yield _line(_safe(value) for value in row)


def geojson_lines(found: Iterable[Any]) -> Iterator[str]:
    """Give a GeoJSON feature collection (RFC 7946) in pieces; a matter without a place has no geometry."""
    yield '{"type":"FeatureCollection","features":['
    comma = ""
    for row in found:
        said = dict(zip(COLUMNS, row, strict=True))
        lon, lat = said.pop("lon"), said.pop("lat")
        point = None if lon is None else {"type": "Point", "coordinates": [lon, lat]}
        feature = {"type": "Feature", "id": said["id"], "geometry": point, "properties": said}
        yield comma + json.dumps(feature, ensure_ascii=False, default=str, separators=(",", ":"))
        comma = ",\n"
    yield "]}\n"


def _day(moment: datetime) -> date:
    return moment.astimezone(CHINA).date()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()
