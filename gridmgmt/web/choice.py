"""What a map shows, as it stands in the address: level, measure, category and period.

A period is written as its two days, not as the number of a run: a link stays good when the analysis is run
again, and when the level changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from gridmgmt.errors import InputError
from gridmgmt.hotspots import explain
from gridmgmt.hotspots import stored as hotspots
from gridmgmt.hotspots.stored import ALL_NAME, Run, TestedCategory
from gridmgmt.web.areas import LEVELS

MEASURES = {
    "rate": "诉求率", "count": "诉求数", "gi": "热点等级", "smoothed": "平滑率", "pattern": "热点演变",
    "expected": "下旬预计", "overdue": "超期",
}  # fmt: skip
# What is so today, whatever period was analysed.
OF_TODAY = ("expected", "overdue")


@dataclass(frozen=True)
class Choice:
    """A view of the map that can be shown; `run` is None where nothing has been analysed yet."""

    level: str
    measure: str
    category: str
    run: Run | None
    runs: tuple[Run, ...]
    categories: tuple[TestedCategory, ...]

    @property
    def period(self) -> str:
        return period_key(self.run) if self.run else ""

    @property
    def category_name(self) -> str:
        return next((each.name for each in self.categories if each.code == self.category), ALL_NAME)

    def arguments(self, **changes: str) -> dict[str, str]:
        """Return what an address needs to show this view, with changes; what is usual is left out."""
        usual = {"level": "grid", "measure": "rate", "category": "", "period": ""}
        mine = {
            "level": self.level,
            "measure": self.measure,
            "category": self.category,
            "period": self.period,
        }
        return {name: value for name, value in (mine | changes).items() if value != usual[name]}

    def measured(self, measure: str) -> "Choice":
        return replace(self, measure=measure)


def read_choice(
    arguments: Mapping[str, str], connection: Connection, levels: tuple[str, ...] = tuple(LEVELS)
) -> Choice:
    """Return the view that an address asks for; what it leaves out is the usual.

    Raises InputError naming the part of the address that is not allowed.
    """
    level = _one_of("level", arguments.get("level") or levels[0], levels)
    measure = _one_of("measure", arguments.get("measure") or "rate", tuple(MEASURES))
    runs = tuple(hotspots.runs(connection, level))
    run = _run(arguments.get("period", ""), runs)
    categories = tuple(hotspots.run_categories(connection, run.id)) if run else ()
    category = arguments.get("category", "")
    if run:
        category = hotspots.nearest_category(connection, run.id, category)
    return Choice(level, measure, category, run, runs, categories)


def _one_of(name: str, found: str, allowed: tuple[str, ...]) -> str:
    if found not in allowed:
        raise InputError(name, found, " | ".join(allowed[:12]))
    return found


def _run(period: str, runs: tuple[Run, ...]) -> Run | None:
    """Return the run of a period, or the newest: a level may lack a period that another one has."""
    if period and not _is_period(period):
        raise InputError("period", period, "two days such as 20250101-20251231")
    return next((run for run in runs if period_key(run) == period), runs[0] if runs else None)


def _is_period(text: str) -> bool:
    first, _, last = text.partition("-")
    return len(first) == len(last) == 8 and (first + last).isdecimal()


def period_key(run: Run) -> str:
    """Return a run's period as an address writes it."""
    return f"{run.start:%Y%m%d}-{run.end:%Y%m%d}"


def period_name(run: Run) -> str:
    """Return a run's period as people say it: 2025年, 2022—2025年, or its two days."""
    return explain.period_name(run.start, run.end).zh
