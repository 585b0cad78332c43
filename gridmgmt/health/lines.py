"""Every line of every part; a part that cannot be looked at says so and holds up no other."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from gridmgmt.config import Settings
from gridmgmt.health import city, files, server, work
from gridmgmt.health.line import Line, Number, State


def lines(owner: Engine, reader: Engine, chosen: Settings) -> list[Line]:
    """Return how everything is, the worst first.

    `owner` is the engine of who owns the schema, `reader` one that sees no personal tables. A database that
    does not answer is a line too, and nothing is raised.
    """
    found = list(files.lines(chosen))
    try:
        found += server.lines(owner)
    except OperationalError:
        found.append(
            Line(
                "database", "数据库", State.BAD, "没有应答", "检查数据库服务和网络，再看 gridmgmt doctor。",
                numbers=(Number("database_up", 0),),
            )
        )  # fmt: skip
    else:
        found += _tried("work", "后台工作", lambda: work.lines(owner, chosen))
        found += _tried("city", "业务数据", lambda: city.lines(owner, reader))
    return sorted(found, key=lambda line: -list(State).index(line.state))


def _tried(key: str, name: str, look: Callable[[], Iterable[Line]]) -> list[Line]:
    try:
        return list(look())
    except DBAPIError:  # no schema yet, or an old one
        return [Line(key, name, State.BAD, "读不出来", "先把数据库结构更新到程序需要的版本。")]
