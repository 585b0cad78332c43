"""`python -m benchmarks.faults [--faults 100] [--seed N] [--json]`: 1 when anything does not hold."""

import argparse
import json
import os
import signal
import sys
from pathlib import Path

from benchmarks.faults.bench import GOAL_S, Result, run, table
from benchmarks.faults.ledger import Found
from gridmgmt.cli.printing import new_table, print_table

NUMBERS = ("number", "median_s", "worst_s", "all_median_s", "all_worst_s", "kept", "unclear")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--port", type=int, help="two ports from here on; free ones by default")
    parser.add_argument("--logs", type=Path, help="a folder for logs and for every attempt of a client")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, as the last line")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    result = run(chosen.faults, chosen.seed, chosen.port, chosen.logs)
    _print(result)
    if chosen.json:
        print(json.dumps(_as_json(result), ensure_ascii=False))
    sys.exit(0 if result.holds else 1)


def _print(result: Result) -> None:
    shown = new_table("", ["fault", *(f"#{name}" for name in NUMBERS), "errors meanwhile"])
    for row in table(result):
        errors = ", ".join(f"{n} {name}" for name, n in row["errors"].items())
        shown.add_row(row["fault"], *(str(row[name]) for name in NUMBERS), errors)
    print_table(shown)
    worst = max((each.first_s for each in result.faults), default=0.0)
    print(
        f"{len(result.faults)} faults, seed {result.seed}: {result.writes} writes acknowledged"
        f" ({', '.join(f'{n} {kind}' for kind, n in sorted(result.found.counts.items()))}),"
        f" {_words(result.found)}; restored into a new cluster {_words(result.again)};"
        f" worst recovery {worst:.1f} s (goal {GOAL_S:.0f} s), audit log {result.audit},"
        f" {os.cpu_count()} cores with up to {result.load:.0f} processes that wanted one"
    )
    unclear = [line for each in result.faults for line in each.unclear]
    for line in [*result.found.wrong[:20], *result.again.wrong[:20], *unclear[:10]]:
        print(f"wrong: {line}")


def _words(found: Found) -> str:
    return f"{len(found.lost)} lost, {len(found.doubled)} doubled, {len(found.broken)} rules broken"


def _as_json(result: Result) -> dict[str, object]:
    return {
        "seed": result.seed, "faults": len(result.faults), "writes": result.writes,
        "found": vars(result.found), "restored": vars(result.again), "audit": result.audit,
        "load": round(result.load, 1), "holds": result.holds, "kinds": table(result),
    }  # fmt: skip


if __name__ == "__main__":
    main()
