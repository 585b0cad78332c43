"""`python -m sample_data OUT [--scale S] [--through Y] [--seed N] [--no-roster]`: write a synthetic city."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gridmgmt.errors import GridmgmtError
from sample_data import generate


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sample_data", description="Write the files of a synthetic city."
    )
    parser.add_argument("out", type=Path, help="folder to write into; made when absent")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="1 is the whole county, 0.03 a small one for tests"
    )
    parser.add_argument("--through", type=int, default=2025, help="last of four years of matters")
    parser.add_argument("--seed", type=int, default=1001, help="same seed, same bytes")
    parser.add_argument("--no-roster", action="store_true", help="leave out the persons")
    return parser.parse_args()


def main() -> int:
    """Run the command and return its exit code."""
    given = _arguments()
    try:
        figures = generate(
            given.out,
            scale=given.scale,
            through=given.through,
            seed=given.seed,
            roster=not given.no_roster,
            report=lambda line: print(line, file=sys.stderr),
        )
    except GridmgmtError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(json.dumps(figures, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
