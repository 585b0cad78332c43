"""Tries PgBouncer's pooling modes with the connections that the program opens.

    python deploy/pgbouncer/try.py

On a cluster of its own, with PgBouncer on a socket. In each mode connections of the owner and of the reader
take turns, as the web's threads do, and each asks who it is. Prints, per mode, how many answers were wrong:
an answer of the reader that came with the owner's rights is a hole. Needs the packages pgbouncer and
postgresql.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gridmgmt.db import jobs, migrations
from gridmgmt.db.cluster import Cluster
from gridmgmt.db.engine import READER, create_database, make_engine
from gridmgmt.db.models import JobKind
from gridmgmt.errors import GridmgmtError

ROUNDS = 50


def main() -> None:
    """Try both modes; exits with 77 where PgBouncer is not installed."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit(77)
    folder = Path(tempfile.mkdtemp(prefix="gridmgmt-pool-", dir="/tmp"))
    folder.chmod(0o777)
    cluster = Cluster(folder / "home")
    cluster.start()
    try:
        create_database(cluster.url("postgres"), "gridmgmt")
        owner = make_engine(cluster.url())
        migrations.up(owner)
        owner.dispose()
        for mode in ("transaction", "session"):
            print(f"{mode}: {tried(program, folder, cluster, mode)}")
    finally:
        cluster.drop()
        shutil.rmtree(folder)


def tried(program: str, folder: Path, cluster: Cluster, mode: str) -> str:
    """Return in words what went wrong in a mode."""
    place = folder / mode
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    there = cluster.url().split("host=")[1]
    (place / "users").write_text('"postgres" ""\n')
    (place / "pgbouncer.ini").write_text(
        f"[databases]\ngridmgmt = host={there} dbname=gridmgmt\n[pgbouncer]\nlisten_addr =\n"
        f"unix_socket_dir = {place}\nlisten_port = 6432\nauth_type = trust\nauth_file = {place}/users\n"
        f"pool_mode = {mode}\nserver_reset_query = DISCARD ALL\ndefault_pool_size = 4\nmax_client_conn = 50\n"
        f"query_wait_timeout = 5\nlogfile = {place}/log\n"
    )
    command = [program, place / "pgbouncer.ini"]
    if os.geteuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    bouncer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (place / ".s.PGSQL.6432").exists():
            time.sleep(0.05)
        return counted(f"postgresql://postgres@/gridmgmt?host={place}&port=6432")
    finally:
        bouncer.terminate()
        bouncer.wait(10)


def counted(url: str) -> str:
    """Return how many of the answers were another role's, another clock's, and whether a job is held once."""
    owner, reader = make_engine(url, pooled=True), make_engine(url, role=READER, pooled=True)
    holes = broken = clocks = 0
    question = text("SELECT current_user, current_setting('TimeZone')")
    with owner.connect() as first, reader.connect() as second, owner.connect() as third:
        for _ in range(ROUNDS):
            for connection, wanted in ((first, "postgres"), (second, READER), (third, "postgres")):
                found, zone = connection.execute(question).one()
                holes += wanted == READER and found != READER
                broken += wanted != READER and found == READER
                clocks += zone != "Asia/Shanghai"
            for connection in (
                first,
                second,
                third,
            ):  # all three were in a transaction at once, as threads are
                connection.rollback()
    held = "a job is held by one"
    try:
        number = jobs.ask(owner, JobKind.HOTSPOTS, "try", {}, "try")
        with jobs.held(owner, number), jobs.held(owner, number):
            held = "a job was held by two"
    except GridmgmtError:
        pass
    except DBAPIError as why:
        held = f"no job could be asked for or held ({type(why.orig).__name__})"
    owner.dispose()
    reader.dispose()
    return (
        f"of {ROUNDS} answers to the reader {holes} came with the owner's rights, of {2 * ROUNDS} to the "
        f"owner {broken} with the reader's, {clocks} on another clock; {held}"
    )


if __name__ == "__main__":
    main()
