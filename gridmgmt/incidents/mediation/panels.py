"""The trade panels: the packaged list that a new city begins with, and those of the city."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, Engine, select
from sqlalchemy.dialects.postgresql import insert

from gridmgmt.incidents.mediation.models import MediationPanel

PATH = Path(__file__).with_name("panels.toml")


@dataclass(frozen=True)
class Panel:
    """A panel; `words` are what the name of a category holds that it is asked about."""

    code: str
    name: str
    trade: str
    words: tuple[str, ...] = ()

    def words_in(self, *names: str) -> int:
        """Return how often names of categories say a word of this trade.

        >>> Panel("property", "物调委", "物业纠纷", ("物业",)).words_in("物业收费", "物业管理")
        2
        """
        return sum(word in name for word in (self.trade, *self.words) for name in names)


@cache
def packaged() -> tuple[Panel, ...]:
    """Return the panels of the packaged list."""
    raw = tomllib.loads(PATH.read_text(encoding="utf-8"))["panel"]
    return tuple(Panel(each["code"], each["name"], each["trade"], tuple(each["words"])) for each in raw)


def install(engine: Engine) -> None:
    """Write the packaged panels that the city has not; what stands is left as the city has it."""
    rows = [{"code": each.code, "name": each.name, "trade": each.trade} for each in packaged()]
    with engine.begin() as connection:
        connection.execute(insert(MediationPanel).values(rows).on_conflict_do_nothing())


def listed(connection: Connection) -> list[Panel]:
    """Return the panels that are asked, in the order of their codes."""
    words = {each.code: each.words for each in packaged()}
    statement = select(MediationPanel).where(MediationPanel.active).order_by(MediationPanel.code)
    return [
        Panel(row.code, row.name, row.trade or row.name, words.get(row.code, ()))
        for row in connection.execute(statement.with_only_columns(*MediationPanel.__table__.columns))
    ]


def panel_for(panels: list[Panel], *names: str) -> Panel | None:
    """Return the panel whose trade the names of a category say most often; None when none does."""
    meant = max(panels, key=lambda panel: panel.words_in(*names), default=None)
    return meant if meant and meant.words_in(*names) else None
