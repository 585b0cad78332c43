"""`./dev bench [NAME…] [--json]`: runs the benchmarks and prints one row a comparison."""

import argparse
import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

NAMES = sorted(
    module.name.removeprefix("bench_")
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if module.name.startswith("bench_")
)
# Names that stand for several benchmarks.
OTHERS = ("seasonal", "grids", "partition", "roster", "matters", "web", "tiles", "index")
GROUPS = {"all": NAMES, "web": ["web", "tiles"], "statistics": [name for name in NAMES if name not in OTHERS]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"some of: {', '.join([*GROUPS, *NAMES])}; all of them by default",
    )
    parser.add_argument("--json", action="store_true", help="print the rows as JSON, as the last line")
    chosen = parser.parse_args()
    wanted = dict.fromkeys(one for name in chosen.names or ["all"] for one in GROUPS.get(name, [name]))
    unknown = sorted(set(wanted) - set(NAMES))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    rows = [row for name in wanted for row in importlib.import_module(f"benchmarks.bench_{name}").run()]
    for row in rows:
        print(_said(row))
    if chosen.json:
        print(json.dumps(rows))


def _said(row: dict[str, Any]) -> str:
    if "peer" in row:
        return _against_a_peer(row)
    return _against_a_size(row) if "goal_kb" in row else _against_a_goal(row)


def _against_a_size(row: dict[str, Any]) -> str:
    judged = "met" if row["met"] else "MISSED"
    return f"{row['work']}: {row['kb']:.1f} KB (goal {row['goal_kb']:.0f} KB; {judged})"


def _against_a_peer(row: dict[str, Any]) -> str:
    return (
        f"{row['work']}: {row['ratio']:.1f}x {row['peer']} {row['peer_version']} "
        f"(goal {row['goal']}x; {row['ours_s']:.3f} s against {row['peer_s']:.3f} s; "
        f"{'same result' if row['same_result'] else 'RESULTS DIFFER'}; peak {row['ours_peak_mb']} MB)"
    )


def _against_a_goal(row: dict[str, Any]) -> str:
    return (
        f"{row['work']}: {row['median_ms']:.0f} ms, slowest {row['slowest_ms']:.0f} ms "
        f"(goal {row['goal_ms']:.0f} ms; {'met' if row['met'] else 'MISSED'})"
    )


if __name__ == "__main__":
    main()
