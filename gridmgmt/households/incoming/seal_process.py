"""Seals in a process beside the import, which tells it on standard input what to seal."""

import sys

from gridmgmt.households.incoming.seals import seals_of
from gridmgmt.importing.pipes import receive, send


def main() -> None:
    """Answer every (identity, phone, whether to seal) until nobody asks; the key ring comes first."""
    ring = receive(sys.stdin.buffer)
    while True:
        try:
            asked = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(sys.stdout.buffer, seals_of(ring, *asked))


if __name__ == "__main__":
    main()
