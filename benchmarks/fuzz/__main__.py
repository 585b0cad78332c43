"""`python -m benchmarks.fuzz api|files [--count N] [--seed N]`: 1 when anything broke."""

import argparse
import signal
import sys

from benchmarks.fuzz import api, files

RUNS = {"api": (api.run, 20_000), "files": (files.run, 1_200)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    parser.add_argument("what", choices=list(RUNS))
    parser.add_argument("--count", type=int, help="requests (20,000) or files (1,200)")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    run, usual = RUNS[chosen.what]
    sys.exit(0 if run(chosen.count or usual, chosen.seed) else 1)


if __name__ == "__main__":
    main()
