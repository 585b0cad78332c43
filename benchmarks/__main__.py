"""`./dev bench [NAME…] [--json] [--keep]`: runs the benchmarks and prints one row a comparison.

Ends with 1 when a work gives another result than its peer, or a ratio fell below what `results.json` keeps by
more than noise. Several benchmarks run in a process each, so that none pays for what another left in memory.
"""

import argparse
import importlib
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks import report, web_city
from gridmgmt.cli.printing import print_table

NAMES = sorted(
    module.name.removeprefix("bench_")
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if module.name.startswith("bench_")
)
# Names that stand for several benchmarks.
ON_THE_CITY = ("web", "index", "soak")
OTHERS = ("seasonal", "grids", "partition", "roster", "matters", "tiles", "growth", *ON_THE_CITY)
GROUPS = {"all": NAMES, "statistics": [name for name in NAMES if name not in OTHERS]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of: {', '.join([*GROUPS, *NAMES])}; all of them by default",
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON, as the last line")
    parser.add_argument("--keep", action="store_true", help="widen benchmarks/results.json by this run")
    chosen = parser.parse_args()
    wanted = list(dict.fromkeys(one for name in chosen.names or ["all"] for one in GROUPS.get(name, [name])))
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    rows = []
    for row in _alone(wanted[0]) if len(wanted) == 1 else _each(wanted):
        print(report.said(row), flush=True)
        rows.append(row)
    print_table(report.table(rows))
    worse = report.worse(rows)
    if chosen.keep:
        report.keep(rows)
    for line in worse:
        print(f"worse: {line}")
    if chosen.json:
        print(json.dumps(rows, ensure_ascii=False))
    sys.exit(1 if worse else 0)


def _alone(name: str) -> Iterator[report.Row]:
    for row in importlib.import_module(f"benchmarks.bench_{name}").run():
        yield report.uniform(row)


def _each(names: list[str]) -> Iterator[report.Row]:
    """Give the rows of several benchmarks, each run by a process of its own; they share the full city."""
    with ExitStack() as stack:
        if set(names) & set(ON_THE_CITY) and web_city.HOME not in os.environ:
            os.environ[web_city.HOME] = str(stack.enter_context(web_city.opened())[0])
        for name in names:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks", name, "--json"], stdout=subprocess.PIPE, text=True,
                check=False,
            )  # fmt: skip
            last = done.stdout.strip().rpartition("\n")[2]
            if not last.startswith("["):
                raise SystemExit(f"benchmark {name} ended with {done.returncode} and without its rows")
            yield from json.loads(last)


if __name__ == "__main__":
    main()
