"""The database server: connections, schema, clock, long transactions, the log kept for standbys."""

import time
from collections.abc import Iterator

from sqlalchemy import Connection, Engine, text

from gridmgmt.db import migrations
from gridmgmt.db.server import server
from gridmgmt.health.line import Line, Number, State, above, size, span

MANY = 0.8
SKEWED, WRONG = 5.0, 60.0
LONG, TOO_LONG = 15 * 60.0, 2 * 3600.0
KEPT, TOO_MUCH_KEPT = 1 << 30, 10 << 30


def lines(owner: Engine) -> Iterator[Line]:
    """Give the lines of the server; `owner` is the engine of who owns the schema."""
    schema = migrations.status(owner)
    with owner.connect() as connection:
        yield _database(connection)
        yield Line(
            "schema", "数据库结构", State.OK if schema.up_to_date else State.BAD,
            f"版本 {schema.current or '无'}" + ("" if schema.up_to_date else f"，程序需要 {schema.head}"),
            "" if schema.up_to_date else "在服务器上运行 gridmgmt db up，然后重启服务。",
            numbers=(Number("schema_up_to_date", schema.up_to_date),),
        )  # fmt: skip
        yield _clock(connection)
        yield _transactions(connection)
        yield _slots(connection)


def _database(connection: Connection) -> Line:
    found = server(connection)
    many = found.connections > MANY * found.most_connections
    return Line(
        "database", "数据库", State.WATCH if many else State.OK,
        f"PostgreSQL {found.version.split()[0]}，PostGIS {found.postgis}，{size(found.size)}，"
        f"连接 {found.connections} / {found.most_connections}",
        "连接快用完了：减少 serve 的 --workers 或 --threads，或调大 max_connections。" if many else "",
        numbers=(
            Number("database_up", 1), Number("database_bytes", found.size),
            Number("database_connections", found.connections),
            Number("database_connections_most", found.most_connections),
        ),
    )  # fmt: skip


def _clock(connection: Connection) -> Line:
    before = time.time()
    there = float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
    skew = there - (before + time.time()) / 2
    state = above(abs(skew), SKEWED, WRONG)
    return Line(
        "clock", "时钟", state, f"数据库与本机相差 {abs(skew):.1f} 秒",
        "" if state is State.OK else "校准两台机器的时间（NTP）；时限、登录和备份都按时间算。",
        numbers=(Number("database_clock_skew_seconds", round(skew, 3)),),
    )  # fmt: skip


def _transactions(connection: Connection) -> Line:
    query = """
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = current_database()
    """
    seconds = float(connection.execute(text(query)).scalar_one())
    state = above(seconds, LONG, TOO_LONG)
    return Line(
        "transactions", "长事务", state, f"最久的一项已 {span(seconds)}" if seconds >= 1 else "没有",
        "" if state is State.OK else "若不是导入或分析，查明是谁并结束它；它会妨碍清理和升级。",
        numbers=(Number("database_longest_transaction_seconds", round(seconds, 1)),),
    )  # fmt: skip


def _slots(connection: Connection) -> Line:
    query = """
        SELECT count(*), coalesce(max(pg_wal_lsn_diff(
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
            restart_lsn)), 0), count(*) FILTER (WHERE NOT active)
        FROM pg_replication_slots
    """
    slots, kept, idle = connection.execute(text(query)).one()
    state = above(float(kept), KEPT, TOO_MUCH_KEPT)
    return Line(
        "slots", "复制槽", state,
        f"{slots} 个，其中 {idle} 个没有人接收，为其保留日志 {size(float(kept))}" if slots else "没有",
        "" if state is State.OK else "归档或备用库停了：启动它，或删除不用的复制槽，否则磁盘会占满。",
        numbers=(Number("database_slot_kept_bytes", float(kept)),),
    )  # fmt: skip
